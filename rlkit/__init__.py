"""rlkit: reinforcement learning with environment plugins, from Q-tables to AlphaZero.

Importing rlkit imports neither torch nor W&B nor matplotlib.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlkit.fitting.run import FitRun
    from rlkit.runs.request import Request
    from rlkit.runs.run import Run

__all__ = ["defaults", "fit", "load", "report", "train"]


def train(*overrides: str, **keys: Any) -> Run:
    """Train like ``rlkit train`` and return the run.

    Args:
        overrides: as on the command line, e.g. ``"agent=dqn", "env=cartpole", "eval.every=5000"``.
        keys: the same for simple keys, e.g. ``seed=1``.

    Raises:
        UsageError: a mistake in the keys, in one line.
        RunError: something failed on the way.
    """
    from rlkit.runs import launch

    return launch.start(_request("train", overrides, keys))


def fit(*overrides: str, **keys: Any) -> FitRun:
    """Fit a learner to data like ``rlkit fit`` and return the run.

    Args:
        overrides: as on the command line, e.g. ``"learner=tree", "data=iris", "learner.max_depth=2"``.
        keys: the same for simple keys, e.g. ``folds=5``.

    Raises:
        UsageError: a mistake in the keys, in one line.
        RunError: the data cannot be had, or the learner refuses it.
    """
    from rlkit.fitting import launch

    return launch.start(_request("fit", overrides, keys))


def load(directory: Path | str) -> Run | FitRun:
    """Return the run in a folder, as `train` or `fit` returned it.

    Raises:
        UsageError: there is none.
    """
    from rlkit.fitting.run import opened

    return opened(directory)


def report(*directories: Path | str, out: Path | str = "report.html", video_mb: float = 20.0) -> Path:
    """Write one HTML page that compares runs, like ``rlkit report``, and return its path.

    Args:
        directories: run folders; those that differ only in their seed form a group.
        out: the page; one that is there is replaced.
        video_mb: megabytes of videos inside the page; what is beyond is linked.

    Raises:
        UsageError: a folder is not a run, or `out` cannot be written.
    """
    from rlkit.reporting.page import write

    return write(directories, out, video_mb)[0]


def defaults(name: str) -> dict[str, Any]:
    """Return the values of a shipped YAML, e.g. of ``agent/dqn``, for plain scripts.

    See `rlkit.config.instantiate.defaults`.
    """
    from rlkit.config import instantiate

    return instantiate.defaults(name)


def _request(verb: str, overrides: Sequence[str], keys: Mapping[str, Any]) -> Request:
    from rlkit.config.compose import composed
    from rlkit.core.types import UsageError
    from rlkit.runs.request import Request

    words = [*overrides, *(f"{key}={_word(value)}" for key, value in keys.items())]
    try:
        config, choices = composed(verb, words)
    except UsageError as error:
        raise error from None  # how Hydra and OmegaConf put it is of no use
    return Request(config, choices, words)


def _word(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
