"""What a command of `rlkit search` asks for: keys of its own, ranges, and settings of `rlkit train`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from omegaconf import DictConfig

from rlkit.config import plugins
from rlkit.config.compose import composed, explained, with_choices
from rlkit.config.instantiate import plain
from rlkit.config.literals import literal, spelled
from rlkit.config.messages import check_words
from rlkit.config.run_config import TrainRunConfig, requested
from rlkit.config.schemas import SearchConfig
from rlkit.config.search_space import Dimension, dimension, parted_ranges, places
from rlkit.config.typed import typed
from rlkit.core.types import UsageError
from rlkit.runs.folder import is_file, require_name, training_values
from rlkit.runs.launch import agree_to_places
from rlkit.runs.searching.locks import held
from rlkit.runs.searching.search import FILE, FILED, FOLDER, Header, SearchFolder, opened, pair_name

OWN = frozenset(get_type_hints(SearchConfig))
JOINING = ("resume", "trials", "workers", "trust", "output")
"""Keys that go with ``resume=``."""

QUIET = ("logger=[csv]", "video=none")
"""Settings of trials unless they are typed: a search has a line for each."""

RUN_KEYS = ("name", "seed", "run_dir", "resume", "resume_sweep", "empty_replay", "output", "trust")
"""Keys of a run that a search sets itself."""


class Parted(NamedTuple):
    """The words of a command line by what they are for."""

    own: list[str]
    of_runs: list[str]
    of_hydra: list[str]  # its launchers


class AskedSearch(NamedTuple):
    """What a command asks for."""

    settings: SearchConfig
    launcher: list[str]
    search: SearchFolder
    notes: list[str]


def parted(words: Iterable[str]) -> Parted:
    """Return the words of a command line by what they are for.

    Raises:
        UsageError: one is an option with a dash, or a key of a run that a search sets itself.
    """
    made = Parted([], [], [])
    for word in words:
        key = re.split(r"[=@.]", word.lstrip("+~"))[0]
        if word.startswith("-"):
            raise UsageError(
                f"rlkit search has no option {word}: ranges are values, as 'agent.gamma=interval(0.9,0.99)'"
            )
        if word.startswith(plugins.SEARCHPATH):
            made.own.append(word)
            made.of_runs.append(word)
        elif key.partition("/")[0] == "hydra":
            made.of_hydra.append(word)
        elif key in OWN:
            made.own.append(word)
        elif key in RUN_KEYS:
            raise UsageError(f"{key} is set by the search for each of its runs; leave it out")
        else:
            made.of_runs.append(word)
    return made


def asked(words: Sequence[str]) -> AskedSearch:
    """Begin the search that a command asks for, or open it where it has begun.

    Raises:
        UsageError: a mistake in the command, or another search has its folder.
    """
    words = list(words)
    check_words("search", [word for word in words if "=" not in word])
    own, of_runs, launcher = parted(words)
    if any(word.startswith("resume=") for word in own):
        return _resumed(own, of_runs, launcher)
    runs = _runs(of_runs)
    node, settings = _settings([*_own_ranges(own, runs.choices), *own])
    header, config, notes = _frozen(node, settings, runs)
    require_name(header.name, f"name={header.name}")
    values = training_values(replace(config, run_dir=""))
    search, joined = _begun_or_joined(SearchFolder(FOLDER / header.name, header, values))
    return AskedSearch(settings, launcher, search, [] if joined else notes)


def _settings(own: Sequence[str]) -> tuple[DictConfig, SearchConfig]:
    node, _ = composed("search", own)
    return node, typed(SearchConfig, plain(node))


def _resumed(own: Sequence[str], of_runs: Sequence[str], launcher: list[str]) -> AskedSearch:
    for word in [*own, *of_runs]:
        key = word.lstrip("+~").partition("=")[0]
        if key not in JOINING:
            raise UsageError(
                f"{key} cannot change where a search goes on: its {FILE} holds; only {', '.join(JOINING[1:])} and "
                "Hydra's launcher can"
            )
    _, settings = _settings(own)
    search = opened(Path(str(settings.resume)))
    if any(word.startswith("trials=") for word in own):
        with held(search.lock):
            search.extend(settings.trials)
    return AskedSearch(settings, launcher, search, [])


class Runs(NamedTuple):
    """What words say of the runs of a search."""

    words: list[str]  # with a single value
    ranges: dict[str, Dimension]
    keys: set[str]  # of the words
    config: DictConfig
    choices: Mapping[str, str]


def _runs(of_runs: Sequence[str]) -> Runs:
    words, ranges, keys = parted_ranges(spelled("train", ["-m", *with_choices(of_runs)])[1:])
    words = [*(word for word in QUIET if word.partition("=")[0] not in keys), *words]
    config, choices = composed("train", words)
    if not config.eval.every:
        raise UsageError("a search judges trials by their evaluations, and eval.every=0 makes none; set eval.every")
    return Runs(words, ranges, keys, config, choices)


def _own_ranges(own: Sequence[str], choices: Mapping[str, str]) -> list[str]:
    """Return the word for the ranges of the agent, unless other ones are typed, or there are none."""
    agent = choices["agent"]
    known = [entry.name for entry in plugins.entries("search", own)]
    is_typed = any(word.startswith("search=") for word in own)
    return [f"search={agent}"] if agent in known and not is_typed else []


def _frozen(node: DictConfig, settings: SearchConfig, runs: Runs) -> tuple[Header, TrainRunConfig, list[str]]:
    """Return what the search's folder will hold, and lines for the user."""
    choices = runs.choices
    ranges, notes = _ranges(node, runs)
    _require_keys(ranges, runs.words)
    run = requested(TrainRunConfig, runs.config, choices)
    agree_to_places({key: getattr(run, key) for key in FILED})
    found = {key: {"range": one.text, "places": places(runs.config, one)} for key, one in ranges.items()}
    header = Header(
        id=secrets.token_hex(8),
        name=settings.name or pair_name(run),
        seed=settings.seed,
        trials=settings.trials,
        objective=settings.objective,
        confirm=settings.confirm,
        sampler=settings.sampler,
        pruner=settings.pruner,
        scheduler=settings.scheduler,
        ranges=found,
        words=[word for word in runs.words if not word.startswith(("hydra", "logger", "video"))],
    )
    return header, replace(run, name=header.name), notes


def _ranges(node: DictConfig, runs: Runs) -> tuple[dict[str, Dimension], list[str]]:
    """Return the ranges of the agent's file and those typed, and a line for each that its settings leave out."""
    agent, notes, ranges = runs.choices["agent"], [], {}
    for key, text in (plain(node.search) or {}).items():
        if key in runs.ranges or _is_fixed(key, runs.keys):
            continue
        if _has(runs.config, key):
            ranges[key] = dimension(key, text, "search=")
        else:
            notes.append(f"{key} is not searched: {agent} does not have it with these settings")
    ranges |= runs.ranges
    if not ranges:
        raise UsageError(
            f"there is nothing to search: agent={agent} has no file of ranges (rlkit list search), so type some, as "
            "'agent.gamma=interval(0.9,0.999)' 'agent.learning_rate=tag(log,interval(1e-5,1e-2))'"
        )
    return ranges, notes


def _is_fixed(key: str, keys: Iterable[str]) -> bool:
    """Return whether a key has a single value that was typed, as itself or as a part of what was."""
    return any(f"{key}.".startswith(f"{fixed}.") and fixed.count(".") for fixed in keys) or key in keys


def _has(config: DictConfig, key: str) -> bool:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, DictConfig) or node._is_none() or part not in node:
            return False
        node = node[part]
    return True


def _require_keys(ranges: Mapping[str, Dimension], words: Sequence[str]) -> None:
    """Refuse ranges of keys that there are not, or whose values are of the wrong type, as `rlkit train` would.

    Raises:
        UsageError: there is one.
    """
    values = [f"{key}={literal(one.two()[1])}" for key, one in ranges.items()]
    with explained("train", [*words, *values]):
        composed("train", [*words, *values])


def _begun_or_joined(wanted: SearchFolder) -> tuple[SearchFolder, bool]:
    wanted.check()
    with held(wanted.lock):
        if not is_file(wanted.directory / FILE):
            wanted.write()
            return wanted, False
        search = opened(wanted.directory)
        if different := search.differences(wanted):
            raise UsageError(
                f"{search.directory} holds another search, which differs in {', '.join(different)}: choose another "
                f"name=, or go on with that one: rlkit search resume={search.directory}"
            )
        if wanted.header.trials > search.header.trials:
            search.extend(wanted.header.trials)
        return search, True
