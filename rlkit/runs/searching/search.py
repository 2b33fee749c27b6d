"""A search's folder: what it tries, frozen when it begins, so that every worker does the same whatever YAML files say.

``search.yaml`` holds two YAML documents: the search's own settings, and the configuration of a run, in which a trial
replaces the values that are searched.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rlkit.config import instantiate
from rlkit.config.run_config import TrainRunConfig, findable
from rlkit.config.schemas import ConfirmConfig, TrialObjective
from rlkit.config.search_space import Dimension, dimension, put
from rlkit.config.trust import Trust, require_trusted
from rlkit.config.typed import plain_data, typed
from rlkit.core.files import write_whole
from rlkit.core.seeding import Seeds
from rlkit.core.types import UsageError
from rlkit.runs.folder import PlainLoader, parsed, run_config
from rlkit.runs.searching.journal import LOCKS, Journal, quiet
from rlkit.runs.searching.locks import FileLock
from rlkit.runs.searching.samplers import GRID, grid_values

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

FOLDER = Path("runs") / "searches"
FILE = "search.yaml"
SEPARATOR = "\n---\n"
FILED = ("logger", "callback")
"""Nodes of a run that send to other places."""

BUILT = ("sampler", "pruner", "scheduler")
NOT_COMPARED = ("id", "trials")
"""Keys of the header that may differ where a command joins a search."""


@dataclass(frozen=True)
class Searched:
    """A setting that is searched: its range, as typed, and the places of the configuration that have its value."""

    range: str
    places: list[str]


@dataclass(frozen=True)
class Header:
    """A search's own settings."""

    id: str
    name: str
    seed: int
    trials: int
    objective: TrialObjective
    confirm: ConfirmConfig
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    scheduler: dict[str, Any]
    ranges: dict[str, dict[str, Any]]
    words: list[str] = field(default_factory=list)  # settings that were typed, for the tuned file


class SearchFolder:
    """The folder of a search.

    Attributes:
        directory: the folder.
    """

    def __init__(self, directory: Path, header: Header, values: dict[str, Any]):
        """Describe a search; nothing is read or written.

        Args:
            directory: its folder.
            header: its own settings.
            values: the configuration of a run, as plain data.
        """
        self.directory = directory
        self.header = header
        self.values = values

    @cached_property
    def config(self) -> TrainRunConfig:
        """The configuration of a run before a trial's values are put into it."""
        return run_config(TrainRunConfig, self.values, self.directory)

    @cached_property
    def dimensions(self) -> dict[str, Dimension]:
        """The settings that are searched, by the names that samplers have for them.

        Raises:
            UsageError: a range cannot be read.
        """
        source = str(self.directory / FILE)
        made = [dimension(key, one["range"], source) for key, one in self.header.ranges.items()]
        return {one.name: one for one in made}

    @cached_property
    def distributions(self) -> dict[str, Any]:
        """The same as Optuna has them."""
        return {name: distribution(one) for name, one in self.dimensions.items()}

    @cached_property
    def journal(self) -> Journal:
        """The trials so far."""
        return Journal(self.directory)

    @cached_property
    def scheduler(self) -> Any:
        """Decides what is trained next: see `rlkit.runs.searching.schedulers`."""
        return instantiate.build(self.header.scheduler, {}, "scheduler")

    @property
    def lock(self) -> FileLock:
        """Held by who decides what is trained next."""
        return lock_of(self.directory)

    @property
    def total(self) -> int:
        """How many trials there will be."""
        return int(self.scheduler.total(self))

    @property
    def combinations(self) -> int | None:
        """How many a grid has; None for other samplers."""
        if self.header.sampler["_target_"] != GRID:
            return None
        return prod(len(grid_values(one, self.header.sampler["points"])) for one in self.dimensions.values())

    def sampler(self, number: int) -> BaseSampler:
        """Return what draws the settings of a trial."""
        seed = Seeds(self.header.seed).integers("trial", number, size=1)[0]
        context = {
            "seed": lambda path: seed,
            "search_seed": lambda path: self.header.seed,
            "dimensions": lambda path: self.dimensions,
        }
        with quiet():
            return instantiate.build(self.header.sampler, context, "sampler")  # type: ignore[no-any-return]

    def pruner(self) -> BasePruner:
        """Return what ends trials early."""
        first = max(1, self.config.eval.every)
        context = {"first": lambda path: first, "total": lambda path: max(first, self.config.total_steps)}
        with quiet():
            return instantiate.build(self.header.pruner, context, "pruner")  # type: ignore[no-any-return]

    def settled(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings, by their keys, for what a sampler drew."""
        return {one.key: one.value(drawn[name]) for name, one in self.dimensions.items()}

    def run_of(self, values: Mapping[str, Any], seed: int, name: str, directory: Path) -> TrainRunConfig:
        """Return the configuration of a run with settings of a trial.

        Raises:
            UsageError: they do not fit.
        """
        own = copy.deepcopy(self.values)
        for key, value in values.items():
            for place in self.header.ranges[key]["places"]:
                put(own, place, value)
        own = {**own, "seed": seed, "name": name, "run_dir": str(directory)}
        return run_config(TrainRunConfig, own, self.directory)

    def folder_of(self, number: int) -> Path:
        """Return the run folder of a trial."""
        return self.directory / "trials" / f"{number:04d}"

    def require_trusted(self, trust: Trust, *, typed: bool) -> None:
        """Check what the frozen configuration names.

        Args:
            trust: what it may name, beside rlkit's own.
            typed: it was typed in this command, so that it may name anything.

        Raises:
            UsageError: it names what no file may.
        """
        nodes = {key: getattr(self.header, key) for key in BUILT}
        if typed:
            findable(self.values)
        else:
            require_trusted({**self.values, **nodes}, self.directory / FILE, trust)

    def extend(self, trials: int) -> None:
        """Raise the number of trials.

        Raises:
            UsageError: it is less than before.
        """
        if trials < self.header.trials:
            raise UsageError(
                f"trials={trials}: {self.directory} was begun with {self.header.trials}, and can have more"
            )
        self.header = replace(self.header, trials=trials)
        self.write()

    def check(self) -> None:
        """Refuse what could not be searched, before anything is written.

        Raises:
            UsageError: something does not fit.
        """
        self.scheduler.check(self)
        self.sampler(0)
        self.pruner()

    def write(self) -> None:
        """Write what is frozen."""
        parts = plain_data(self.header), self.values
        texts = [yaml.safe_dump(part, sort_keys=False).rstrip("\n") for part in parts]
        write_whole(self.directory / FILE, SEPARATOR.join(texts) + "\n")

    def differences(self, other: SearchFolder) -> list[str]:
        """Return the keys by which another search differs from this one."""
        mine, others = ({**plain_data(one.header), **one.values} for one in (self, other))
        return [key for key in others if key not in NOT_COMPARED and mine.get(key) != others[key]]


def distribution(one: Dimension) -> Any:
    """Return a dimension as Optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    from rlkit.config.search_space import label

    if one.choices:
        return CategoricalDistribution([label(choice) for choice in one.choices])
    if one.is_whole:
        return IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
    return FloatDistribution(one.low, one.high, log=one.log)


def pair_name(run: TrainRunConfig) -> str:
    """Return the names of agent and environment, with the game or id that the environment's does not say."""
    choices = run.choices
    more = run.env.get("game") or (run.env.get("id") if choices["env"] == "gym" else None)
    parts = (choices["agent"], choices["env"], *([str(more)] if more else []))
    return re.sub(r"[^\w-]+", "-", "_".join(parts))


def lock_of(directory: Path) -> FileLock:
    """Return the lock of a search's folder, which is made where it is not there."""
    (directory / LOCKS).mkdir(parents=True, exist_ok=True)
    return FileLock(directory / LOCKS / "search")


def opened(directory: Path) -> SearchFolder:
    """Open the folder of a search, which may be somebody else's.

    Raises:
        UsageError: there is none, or it is not one of rlkit's.
    """
    path = directory / FILE
    try:
        header, run = path.read_text().split(SEPARATOR)
    except OSError as error:
        raise UsageError(f"there is no search {directory} (no {FILE} in it)") from error
    except ValueError as error:
        raise UsageError(f"{path} is not a search of rlkit's: it must hold two documents") from error
    return SearchFolder(directory, _header(header, path), parsed(run, path))


def _header(text: str, path: Path) -> Header:
    try:
        header = typed(Header, yaml.load(text, PlainLoader))
        for one in header.ranges.values():
            typed(Searched, one)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError, AttributeError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UsageError(f"{path} is not a search of rlkit's: {why}") from error
    except UsageError as error:
        raise UsageError(f"{path} is not a search of this version of rlkit: {error}") from error
    return header
