"""Composition of `conf/` by Hydra, as an application or in a program, and errors of the command line."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any, get_type_hints

import hydra
from hydra import compose, initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlkit.config import injection, plugins
from rlkit.config.literals import spelled
from rlkit.config.messages import FLAGS, Command, check_words, explain, nearest
from rlkit.config.schemas import SCHEMAS
from rlkit.config.tuning import NONE, PAIR, Known, borrowed, fixed_keys, jobs, mixtures
from rlkit.config.values import check_keys
from rlkit.core.resources import is_out_of_memory, out_of_memory
from rlkit.core.types import RunError, UsageError

COMPLAINTS = (HydraException, OmegaConfBaseException, ValueError, OverflowError)
COMPLAINTS_OF_A_TASK = (OmegaConfBaseException,)
SHOWS_JOB = re.compile(r"(?:--cfg|-c)[ =](?:job|all)\b")

NOT_SWEPT = "hydra.job.config.override_dirname.exclude_keys"
"""Hydra's setting for the keys that do not distinguish the jobs of a sweep, wherever these run."""
OWN_WORDS = re.compile(
    r"(env|agent|network|expert|learner|logger|callback)=.*:|env\.(kwargs|config)\.|[+~]*wrappers\b|preprocess="
)
"""The beginning of words that `rlkit.config.own_words` may have to translate."""

OF_WRAPPERS = re.compile(r"(?<![\w./])preprocess(?=[=.: ]|$)")
"""The list of wrappers by its other name, as errors have it."""

COUNTED = ("total_steps", "total_episodes", "seed")
"""Numbers of the command line that take no memory."""

Choices = Mapping[str, str]
"""The chosen file of each group, e.g. ``{"agent": "dqn", "env": "cartpole"}``; "tuned" is "none" without one."""


class _PluginSearchPath(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for origin in plugins.origins()[1:]:
            search_path.append(provider=origin.distribution, path=f"pkg://{origin.module}")


Plugins.instance().register(_PluginSearchPath)


def prepare(verb: str, words: Iterable[str] = ()) -> None:
    """Let Hydra find a verb's keys, what plugins bring, and rlkit's own launcher where `words` ask for it."""
    offer_launcher(words)
    plugins.refuse_doubles()
    schema = OmegaConf.structured(SCHEMAS[verb])
    _allow_changes(schema)
    ConfigStore.instance().store(name=f"{verb}_schema", node=schema)


def offer_launcher(words: Iterable[str]) -> None:
    """Let Hydra find ``hydra/launcher=ray`` where `words` ask for it."""
    if any(word.lstrip("+~") == "hydra/launcher=ray" for word in words):
        import_module("rlkit.config.ray_launcher")


def _allow_changes(node: DictConfig) -> None:
    """Allow values to be merged into the nodes of frozen dataclasses, which OmegaConf makes read-only."""
    node._set_flag("readonly", None)
    for key in node:
        child = node._get_node(key)
        if isinstance(child, DictConfig) and not child._is_none():
            _allow_changes(child)


Task = Callable[[DictConfig, Choices, Sequence[str]], Any]
"""Runs a verb with its configuration, the chosen files, and the overrides as they were typed.

What it returns is the objective of sweepers of Hydra's that have one.
"""


def run_verb(verb: str, task: Task, argv: Sequence[str]) -> None:
    """Run `task` on ``conf/<verb>.yaml`` and the overrides `argv`, once, or once for each job of a sweep.

    Only a command line with flags, or keys of Hydra's own beside its search path, becomes a Hydra application, because
    that composes twice.

    Raises:
        UsageError: the command line does not compose; the message has the nearest valid name if there is one.
        RunError: jobs of a sweep failed.
    """
    with as_typed(argv):
        _run_verb(verb, task, argv)


@contextmanager
def as_typed(words: Iterable[str]) -> Iterator[None]:
    """Let errors call the list of wrappers as `words` do, which may be keys of a command line.

    Raises:
        UsageError: what was raised within.
        RunError: likewise.
    """
    try:
        yield
    except (UsageError, RunError) as error:
        text = OF_WRAPPERS.sub("wrappers", str(error))
        if text == str(error) or not any(re.match(r"\+*wrappers\b", word) for word in words):
            raise
        if isinstance(error, UsageError):
            raise UsageError(text) from error
        raise RunError(text) from error


def _run_verb(verb: str, task: Task, argv: Sequence[str]) -> None:
    check_words(verb, argv)
    argv = spelled(verb, with_choices(argv))
    if any(word.lstrip("+~").startswith(("-", "hydra")) for word in argv if not word.startswith(plugins.SEARCHPATH)):
        _run_application(verb, task, argv)
        return
    config, choices = composed(verb, argv)
    with explained(verb, argv, COMPLAINTS_OF_A_TASK):
        task(config, choices, argv)


def with_choices(words: Sequence[str]) -> Sequence[str]:
    """Return the words with choices in place of callables of the user's own."""
    if not any(map(OWN_WORDS.match, words)):
        return words
    from rlkit.config.own_words import translated

    return translated(words)


def _run_application(verb: str, task: Task, argv: Sequence[str]) -> None:
    """Run `task` as a Hydra application; if a job of a sweep fails, the others run all the same."""
    prepare(verb, argv)
    # Without this Hydra prints its errors and exits instead of raising them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    flags, words = parted_flags(argv)
    sweeps = any(flag in ("-m", "--multirun") for flag in flags)
    # Hydra does not accept words on both sides of its options.
    more = [] if sweeps else _borrowed_by(verb, words)
    sys.argv = [f"rlkit {verb}", *flags, *more, *words]
    if sweeps:
        sys.argv.append(f"{NOT_SWEPT}=[{','.join(fixed_keys(words))}]")
        warn_of_mixed_tuning(verb, words)
    application = hydra.main(version_base="1.3", config_path="pkg://rlkit.conf", config_name=verb)
    outcomes: list[tuple[Sequence[str], Exception | None]] = []
    home = os.getpid()

    def job(config: DictConfig) -> Any:
        settings = HydraConfig.get()
        overrides: list[str] = OmegaConf.to_container(settings.overrides.task)  # type: ignore[assignment]
        try:
            choices, more = _settled(config, settings, overrides)
            if more:
                config, choices = _compose(verb, [*search_path(words), *overrides, *more])
            with explained(verb, overrides, COMPLAINTS_OF_A_TASK):
                _check(verb, config)
                objective = task(config, choices, overrides)
            outcomes.append((overrides, None))
            return objective
        except Exception as error:
            if os.getpid() != home:
                raise
            # Hidden from Hydra, which would print lines of its own; raised below.
            outcomes.append((overrides, error))
            return float("nan")

    with explained(verb, argv):
        application(job)()
        if SHOWS_JOB.search(" ".join(flags)) and not sweeps:
            _show_injected(compose_alone(verb, [*search_path(words), *_of_the_verb(words), *more]))
    _raise_failures(outcomes)


def swept() -> list[str]:
    """Return, in a job of a sweep, what it does not share with the others, as ``agent.gamma=0.9``; else nothing."""
    if not HydraConfig.initialized() or HydraConfig.get().mode is not RunMode.MULTIRUN:
        return []
    settings = HydraConfig.get()
    fixed = set(settings.job.config.override_dirname.exclude_keys)
    return [word for word in settings.overrides.task if re.split("[@=]", word.lstrip("+~"))[0] not in fixed]


def _show_injected(config: DictConfig) -> None:
    """Print, as more YAML, which parameters will come from the run; targets that cannot be imported are comments."""
    injected, unread = injection.shown({str(key): _as_far_as_known(config._get_node(key)) for key in config})
    lines = [f"  {path}: [{', '.join(names)}]" for path, names in injected.items()]
    lines += [f"  # {path}: not known here: {problem}" for path, problem in unread.items()]
    if lines:
        print("\n".join(["from_run:  # parameters whose values only the run knows", *lines]), flush=True)


def _as_far_as_known(node: Any) -> Any:
    """Return a node as plain data; interpolations stay as they are if one of them has no value yet."""
    if not OmegaConf.is_config(node):
        return None
    try:
        return OmegaConf.to_container(node, resolve=True)
    except OmegaConfBaseException:
        return OmegaConf.to_container(node, resolve=False)


def parted_flags(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return Hydra's options with their values, and the other words."""
    flags: list[str] = []
    words: list[str] = []
    left = iter(argv)
    for word in left:
        (flags if word.startswith("-") else words).append(word)
        if FLAGS.get(word):
            flags.append(next(left))
    return flags, words


def search_path(words: Sequence[str]) -> list[str]:
    """Return the words that name folders of YAML files."""
    return [word for word in words if word.startswith(plugins.SEARCHPATH)]


def _of_the_verb(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.lstrip("+~").startswith("hydra")]


def _borrowed_by(verb: str, words: Sequence[str]) -> list[str]:
    """Return the override for the tuned file that a single job uses by the ``_tuned_`` of its nodes."""
    own = _of_the_verb(words)
    try:
        config = compose_alone(verb, [*search_path(words), *own], return_hydra_config=True)
    except COMPLAINTS:
        return []  # Hydra reports the error.
    return _settled(config, config.hydra, own)[1]


def warn_of_mixed_tuning(verb: str, words: Sequence[str]) -> None:
    """Print a warning if the jobs of a sweep use different tuned files."""
    if verb != "train":
        return
    with alone() as loader:
        choices_of_jobs = list(jobs(_of_the_verb(words), loader))
    compared = []
    for job in choices_of_jobs:
        try:
            _, choices = _compose(verb, [*search_path(words), *job])
        except (*COMPLAINTS, UsageError):
            continue  # The job itself reports the error.
        compared.append((choices["env"], choices.get("tuned", NONE), " ".join(job)))
    for line in mixtures(compared):
        print(f"rlkit: {line}", file=sys.stderr)


def composed(verb: str, overrides: Sequence[str], *, complete: bool = True) -> tuple[DictConfig, Choices]:
    """Return the configuration that ``rlkit <verb> <overrides>`` would run with, and the files chosen for it.

    Args:
        verb: whose keys they are.
        overrides: as they would be typed.
        complete: raise an error for values that are still missing.

    Raises:
        UsageError: the overrides do not compose.
    """
    check_words(verb, overrides)
    overrides = spelled(verb, with_choices(overrides))
    prepare(verb)
    with explained(verb, overrides):
        config, choices = _compose(verb, overrides)
        _check(verb, config, complete=complete)
    return config, choices


def _compose(verb: str, overrides: Sequence[str]) -> tuple[DictConfig, Choices]:
    config = compose_alone(verb, overrides, return_hydra_config=True)
    choices, more = _settled(config, config.hydra, overrides)
    if more:
        return _compose(verb, [*overrides, *more])
    own = {key: config._get_node(key) for key in config if key != "hydra"}
    return OmegaConf.create(own), choices


def compose_alone(name: str, overrides: Sequence[str] = (), *, return_hydra_config: bool = False) -> DictConfig:
    """Compose the file `name` of the configuration folder, even while a Hydra application is running.

    That may be a verb that composes another configuration, or a user's own application.
    """
    with alone():
        return compose(name, list(overrides), return_hydra_config=return_hydra_config)


@contextmanager
def alone() -> Iterator[ConfigLoader]:
    """Make the configuration folder the one that Hydra composes from; yield the loader of its files."""
    outer = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("rlkit.conf", version_base="1.3"):
            yield GlobalHydra.instance().config_loader()
    finally:
        GlobalHydra.instance().hydra = outer


def _settled(config: DictConfig, settings: Any, overrides: Sequence[str]) -> tuple[Choices, list[str]]:
    """Return the chosen files, and the override for the tuned file that is used by ``_tuned_``.

    Raises:
        UsageError: there is no tuned file of the name that was typed, or nothing chooses the environment of an id.
    """
    choices = {str(key): str(value) for key, value in settings.runtime.choices.items()}
    _require_env_of_id(choices, overrides)
    tuned = choices.get("tuned")
    if tuned is None:  # a verb without tuned files
        return choices, []
    known = _known(settings)
    if more := borrowed(config, choices, known):
        return choices, more
    if tuned not in known["tuned"] and any(override.startswith("tuned=") for override in overrides):
        raise UsageError(f"there is no tuned={tuned}{nearest(tuned, known['tuned'])}")
    return {**choices, "tuned": tuned if tuned in known["tuned"] else NONE}, []


def _require_env_of_id(choices: Choices, overrides: Sequence[str]) -> None:
    """Refuse an id without ``env=gym``: the verb's own environment would become another under its name.

    Raises:
        UsageError: ``env.id=`` is typed, and nothing chooses an environment.
    """
    keys = [word.lstrip("+").partition("=")[0] for word in overrides]
    ids = [word.partition("=")[2] for word in overrides if word.lstrip("+").startswith("env.id=")]
    if ids and not {"env", "experiment", "resume"} & set(keys) and any(map(str.isalpha, ids[-1])):
        raise UsageError(
            f"env.id={ids[-1]} goes with env=gym, which is missing: env=gym env.id={ids[-1]} (without it, the "
            f"environment is {choices.get('env')})"
        )


def _known(settings: Any) -> Known:
    """Return the files of the groups that decide which tuned file is used, from all of Hydra's search path."""
    sources = ((str(source.schema), str(source.path)) for source in settings.runtime.config_sources)
    folders = [folder for schema, path in sources if (folder := plugins.folder_of(schema, path)) is not None]
    return {
        group: [path.stem for folder in folders for path in sorted(folder.glob(f"{group}/*.yaml"))]
        for group in (*PAIR, "tuned")
    }


def _raise_failures(outcomes: Sequence[tuple[Sequence[str], Exception | None]]) -> None:
    """Raise the errors of jobs: the first if all failed alike, else one error with the overrides of each."""
    failed = [(" ".join(overrides), error) for overrides, error in outcomes if error is not None]
    if not failed:
        return
    first = failed[0][1]
    if len(failed) == len(outcomes) and len({str(error) for _, error in failed}) == 1:
        raise first
    kind = UsageError if all(isinstance(error, UsageError) for _, error in failed) else RunError
    errors = "; ".join(f"[{overrides}] {error}" for overrides, error in failed)
    raise kind(f"{len(failed)} of {len(outcomes)} jobs failed: {errors}") from first


def _check(verb: str, config: DictConfig, *, complete: bool = True) -> None:
    """Refuse what Hydra accepts: added or deleted keys, numbers out of their range, missing values."""
    _check_keys(config, SCHEMAS[verb])
    check_keys(SCHEMAS[verb], _known_values(config))
    _check_nodes(config)
    for key in sorted(OmegaConf.missing_keys(config)) if complete else ():
        raise UsageError(f"{key} has no value: give it one with {key}=… (rlkit {verb} --help shows what it is)")


GROUPS = ("agent", "env", "learner", "data", "network", "distribution", "replay", "expert")
"""Keys whose values are nodes, each of a file that is chosen by its name."""


def _check_nodes(config: DictConfig) -> None:
    """Refuse values where nodes are wanted: each names what it makes."""
    for key in GROUPS:
        child = config._get_node(key) if key in config else None
        if child is not None and not child._is_none() and not _is_node(child):
            raise UsageError(f"{key} is {child}; it must be the name of a file: rlkit list {key} shows what there is")
    for key in ("logger", "callback", "prepare"):
        parts: Any = config._get_node(key) if key in config else None
        for name in map(str, parts) if isinstance(parts, DictConfig) else ():
            if not _is_node(part := parts._get_node(name)):
                raise UsageError(
                    f"{key}.{name} is {part}; it must be a node that names what it makes: "
                    f"{key}=[{name}] for one that there is (rlkit list {key}), or {{_target_: my_module.MyClass}}"
                )


def _is_node(child: Any) -> bool:
    return isinstance(child, DictConfig) and (child._is_interpolation() or "_target_" in child)


def _known_values(config: DictConfig) -> dict[str, Any]:
    """Return the values of a configuration that are neither missing nor nodes, inside the nodes of the verb's own."""
    values: dict[str, Any] = {}
    for key in map(str, config):
        child = config._get_node(key)
        if isinstance(child, DictConfig) and is_dataclass(OmegaConf.get_type(child)):
            values[key] = _known_values(child)
        elif not OmegaConf.is_config(child) and not OmegaConf.is_missing(config, key):
            values[key] = config[key]
    return values


def _check_keys(config: DictConfig, schema: type[Any], path: str = "") -> None:
    types = get_type_hints(schema)
    present = set(config.keys())  # `in` would leave out those that have no value yet
    for key in sorted(map(str, present)):
        if key not in types:
            raise UsageError(f"there is no key {path}{key}{nearest(key, types)}")
    for key, kind in types.items():
        if key not in present:
            raise UsageError(f"{path}{key} cannot be deleted: rlkit needs a value for it")
        if isinstance(kind, type) and is_dataclass(kind):
            settings = config[key]  # an interpolation may be of anything
            if not isinstance(settings, DictConfig):
                raise UsageError(f"{path}{key} is {settings}; it must be settings: {', '.join(get_type_hints(kind))}")
            _check_keys(settings, kind, f"{path}{key}.")


@contextmanager
def explained(verb: str, overrides: Sequence[str], kinds: tuple[type[Exception], ...] = COMPLAINTS) -> Iterator[None]:
    """Turn errors of Hydra and OmegaConf about a command line, and lack of memory, into one line.

    Raises:
        UsageError: in place of one of `kinds`.
        RunError: in place of a lack of memory.
    """
    try:
        yield
    except kinds as error:
        command = Command(verb, overrides, lambda: _valid_keys(verb, overrides))
        raise UsageError(explain(error, command)) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise RunError(out_of_memory(f"rlkit {verb}", error, _typed_sizes(overrides))) from error
        raise


def _typed_sizes(overrides: Sequence[str]) -> dict[str, int]:
    """Return the whole numbers that were typed for what is made, by their keys."""
    words = (override.lstrip("+").partition("=") for override in overrides)
    return {key: int(value) for key, _, value in words if value.isascii() and value.isdigit() and key not in COUNTED}


def _valid_keys(verb: str, overrides: Sequence[str]) -> list[str]:
    """Return the dotted keys, and the groups, that are valid with the files that `overrides` choose."""
    groups = {entry.group for entry in plugins.entries()}
    chosen = [word for word in overrides if word.partition("=")[0].split("@")[0] in groups]
    chosen = [word if "=[" in word else word.split(",")[0] for word in chosen]
    for words in ([*search_path(overrides), *chosen], search_path(overrides), []):
        try:
            config, choices = _compose(verb, words)
        except Exception:  # these words may be the error
            continue
        # The groups first: a misspelled name is likelier a group than a node of the same name.
        return [*(key for key in choices if "/" not in key), *_dotted(OmegaConf.to_container(config))]
    return []


def _dotted(node: Any, path: str = "") -> Iterator[str]:
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if not str(key).startswith("_"):
            yield f"{path}{key}"
            yield from _dotted(value, f"{path}{key}.")
