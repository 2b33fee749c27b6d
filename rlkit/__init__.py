"""rlkit: reinforcement learning with environment plugins, from Q-tables to AlphaZero.

Importing rlkit imports neither torch nor W&B nor matplotlib.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlkit.core.callback import Callback, RunInfo
    from rlkit.core.loop import interact
    from rlkit.core.statistics import Episode, EvaluationEpisode, EvaluationResult
    from rlkit.core.types import (
        Actor,
        Agent,
        Batch,
        Environment,
        FromRun,
        Replay,
        RunError,
        StepInfo,
        TimeStep,
        Transition,
        UsageError,
    )
    from rlkit.fitting.run import FitRun
    from rlkit.runs.callbacks import Callbacks
    from rlkit.runs.request import Objects, Request
    from rlkit.runs.run import Run
    from rlkit.runs.searching.results import Results

    __version__: str

_MODULES = {
    "rlkit.core.callback": ("Callback", "RunInfo"),
    "rlkit.core.loop": ("interact",),
    "rlkit.core.statistics": ("Episode", "EvaluationEpisode", "EvaluationResult"),
    "rlkit.core.types": (
        *("Actor", "Agent", "Batch", "Environment", "FromRun", "Replay", "StepInfo", "TimeStep", "Transition"),
        *("RunError", "UsageError"),
    ),
    "rlkit.fitting.run": ("FitRun",),
    "rlkit.runs.run": ("Run",),
}
"""What is imported when it is first asked for."""

__all__ = [
    "Actor",
    "Agent",
    "Batch",
    "Callback",
    "Environment",
    "Episode",
    "EvaluationEpisode",
    "EvaluationResult",
    "FitRun",
    "FromRun",
    "Replay",
    "Run",
    "RunError",
    "RunInfo",
    "StepInfo",
    "TimeStep",
    "Transition",
    "UsageError",
    "__version__",
    "defaults",
    "fit",
    "interact",
    "load",
    "report",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from rlkit.core.distribution import own_version

        return own_version()
    for module, names in _MODULES.items():
        if name in names:
            from importlib import import_module

            return getattr(import_module(module), name)
    raise AttributeError(f"module 'rlkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def train(*overrides: str, callbacks: Sequence[Callback] = (), **keys: Any) -> Run:
    """Train like ``rlkit train`` and return the run.

    Args:
        overrides: as on the command line, e.g. ``"agent=dqn", "env=cartpole", "eval.every=5000"``.
        callbacks: listen to the run, beside those of the configuration. Where a run is resumed, those whose state it
            depends on are passed again.
        keys: the same by name, e.g. ``seed=1`` or ``eval={"every": 5000}``. ``env=`` may be a class or a function that
            makes an environment, ``wrappers=`` a list of them that wrap one. A run of what no command can name
            resumes with ``rlkit.train(resume=…, env=…, wrappers=[…])``.

    Raises:
        UsageError: a mistake in the keys, in one line.
        RunError: something failed on the way.
    """
    from rlkit.config.compose import as_typed
    from rlkit.runs import launch
    from rlkit.runs.callbacks import named

    with as_typed([*overrides, *keys]):
        return launch.start(_request("train", overrides, keys, named(callbacks)))


def fit(*overrides: str, **keys: Any) -> FitRun:
    """Fit a learner to data like ``rlkit fit`` and return the run.

    Args:
        overrides: as on the command line, e.g. ``"learner=tree", "data=iris", "learner.max_depth=2"``.
        keys: the same by name, e.g. ``folds=5`` or ``learner={"max_depth": 2}``.

    Raises:
        UsageError: a mistake in the keys, in one line.
        RunError: the data cannot be had, or the learner refuses it.
    """
    from rlkit.fitting import launch

    return launch.start(_request("fit", overrides, keys, {}))


def load(
    directory: Path | str,
    trust: str | Sequence[str] | None = None,
    *,
    env: Callable[..., Any] | None = None,
    wrappers: Sequence[Callable[..., Any]] | None = None,
) -> Run | FitRun:
    """Return the run in a folder, as `train` or `fit` returned it.

    Args:
        directory: the folder.
        trust: a package or file, or several, whose classes the folder may name, beside those of rlkit, of installed
            plugins and those that you have named in a command.
        env: makes the run's environment, in place of what its folder names.
        wrappers: wrap it, innermost first, in place of those that its folder names.

    Raises:
        UsageError: there is none.
    """
    from rlkit.fitting.run import opened

    return opened(directory, trust, env=env, wrappers=wrappers)


def report(
    *directories: Path | str,
    out: Path | str = "report.html",
    video_mb: float = 20.0,
    trust: str | Sequence[str] | None = None,
) -> Path:
    """Write one HTML page that compares runs, like ``rlkit report``, and return its path.

    Args:
        directories: run folders; those that differ only in their seed form a group.
        out: the page; one that is there is replaced.
        video_mb: megabytes of videos inside the page; what is beyond is linked.
        trust: a package, or several, that the shown commands may name, beside what rlkit and installed plugins name.

    Raises:
        UsageError: a folder is not a run, or `out` cannot be written.
    """
    from rlkit.reporting.page import write

    return write(directories, out, video_mb, trust=trust)[0]


def search(*overrides: str, **keys: Any) -> Results:
    """Search for good settings like ``rlkit search``, and return what was found.

    Args:
        overrides: as on the command line, e.g. ``"agent=ppo", "env=cartpole", "agent.gamma=interval(0.9,0.999)"``.
        keys: the same by name, e.g. ``trials=20`` or ``confirm={"seeds": 5}``.

    Raises:
        UsageError: a mistake in the keys, in one line.
        RunError: one training after the other failed.
    """
    from rlkit.cli.searching import found

    return found([*overrides, *(word for key, value in keys.items() for word in _words(key, value))])[0]


def defaults(name: str) -> Any:
    """Return what a shipped YAML says, for plain scripts.

    For an agent these are its settings, e.g. a `rlkit.agents.dqn.DQNSettings` for ``agent/dqn``, of which
    `dataclasses.replace` changes one; for what takes no settings, as ``network/mlp``, the values by name.

    Raises:
        UsageError: there is no such YAML.
    """
    from rlkit.config import instantiate

    return instantiate.defaults(name)


def _request(verb: str, overrides: Sequence[str], keys: Mapping[str, Any], callbacks: Callbacks) -> Request:
    from rlkit.config.compose import composed
    from rlkit.core.types import UsageError
    from rlkit.runs.request import Request

    keys, objects = _split(keys, overrides)
    words = [*overrides, *(word for key, value in keys.items() for word in _words(key, value))]
    try:
        config, choices = composed(verb, words)
    except UsageError as error:
        raise error from None  # how Hydra and OmegaConf put it is of no use
    return Request(config, choices, words, callbacks, objects)


def _split(keys: Mapping[str, Any], overrides: Sequence[str]) -> tuple[dict[str, Any], Objects]:
    """Return the keys that can be typed, and the objects of the program."""
    from rlkit.runs.request import Objects

    special = {key: value for key, value in keys.items() if key in ("env", "wrappers", "preprocess")}
    if not any(not isinstance(value, (str, Mapping)) for value in special.values()):
        return dict(keys), Objects()
    resumes = "resume" in keys or any(word.startswith("resume=") for word in overrides)
    if resumes:
        rest = {key: value for key, value in keys.items() if key not in special}
        return rest, Objects(env=special.get("env"), wrappers=special.get("wrappers", special.get("preprocess")))
    from rlkit.config.own_words import of_program

    rest, by_name = of_program(keys)
    return rest, Objects(by_name)


def _words(key: str, value: Any) -> Iterator[str]:
    """Yield what would be typed for a value; a string is what would stand behind the =."""
    if isinstance(value, Mapping) and value and "_target_" not in value:
        for inner, part in value.items():
            yield from _words(f"{key}.{inner}", part)
    else:
        from rlkit.config.literals import literal

        yield f"{key}={value if isinstance(value, str) else literal(_plain(value))}"


def _plain(value: Any) -> Any:
    """Return a value as Python's own numbers, texts, lists and dicts; anything else, such as a path, as text."""
    from numbers import Integral, Real

    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_plain, value))
    if value is None or isinstance(value, (bool, str)):
        return value
    return int(value) if isinstance(value, Integral) else float(value) if isinstance(value, Real) else str(value)
