"""The jobs of a sweep, and Hydra's launchers, which run them one after the other, side by side or on a cluster."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from rlkit.config.compose import alone, explained, offer_launcher, parted_flags, prepare, search_path, with_choices
from rlkit.config.literals import spelled
from rlkit.config.messages import check_words

LAUNCHING = "launching"
"""The configuration of a sweep that is resumed: of Hydra's settings alone, so that no other YAML is read."""

JOB = "job"
"""The key of a job's configuration that holds its number."""

Task = Callable[[DictConfig], Any]
"""Runs the job whose number the configuration has under `JOB`; launchers pickle it."""


class PlannedSweep(NamedTuple):
    """A sweep before it starts."""

    settings: DictConfig  # Hydra's, with the launcher
    words: list[str]  # those that name folders of YAML files, which all jobs need
    jobs: list[list[str]]
    keys: list[str]  # the keys in which the jobs differ

    def differing(self, job: Sequence[str]) -> list[str]:
        """Return the words of a job that it does not share with the others."""
        return [word for word in job if word.partition("=")[0] in self.keys]


def planned(verb: str, argv: Sequence[str]) -> PlannedSweep | None:
    """Return the jobs of a command line with ``-m``; None for Hydra's other sweepers, which choose them on the way.

    Raises:
        UsageError: the command line does not compose.
    """
    check_words(verb, argv)
    argv = spelled(verb, with_choices(argv))
    _, words = parted_flags(argv)
    prepare(verb, argv)
    with explained(verb, argv):
        settings = _composed(verb, words)
        if settings.hydra.runtime.choices["hydra/sweeper"] != "basic":
            return None
        given = [f"{key}={value}" for key, value in (settings.hydra.sweeper.params or {}).items()]
        with alone() as loader:
            own = [*given, *(word for word in words if not word.lstrip("+~").startswith("hydra"))]
            overrides = OverridesParser.create(loader).parse_overrides(own)
            [jobs] = BasicSweeper.split_arguments(overrides, None)
        keys = [str(override.get_key_element()) for override in overrides if override.is_sweep_override()]
    return PlannedSweep(settings, search_path(words), jobs, keys)


def launcher_settings(words: Sequence[str]) -> DictConfig:
    """Return Hydra's settings for words of its own, such as ``hydra/launcher=joblib``.

    Raises:
        UsageError: they do not compose.
    """
    offer_launcher(words)
    quiet = [{f"override hydra/{kind}_logging": "none"} for kind in ("job", "hydra")]
    ConfigStore.instance().store(name=LAUNCHING, node={"defaults": ["application", "_self_", *quiet]})
    with explained("train", words):
        return _composed(LAUNCHING, words)


def _composed(name: str, words: Sequence[str]) -> DictConfig:
    """Return Hydra's settings of a sweep, in which nothing refers to other values of the configuration."""
    with alone() as loader:
        config = loader.load_configuration(name, list(words), RunMode.MULTIRUN)
        config.hydra.mode = RunMode.MULTIRUN
        config.hydra.sweep.dir = str(config.hydra.sweep.dir)
    with open_dict(config):
        for key in [key for key in config if key != "hydra"]:
            del config[key]
    return config


def launch(settings: DictConfig, numbers: Sequence[int], task: Task) -> None:
    """Let the launcher of the settings run `task` for each job; return when all have ended.

    Raises:
        Exception: of the launcher, or of the first job that raised one.
    """
    context = HydraContext(config_loader=_loader(), callbacks=Callbacks(settings))
    launcher = Plugins.instance().instantiate_launcher(context, task, settings)
    for first, batch in _batches(numbers, settings.hydra.sweeper.get("max_batch_size")):
        for done in launcher.launch([[f"{JOB}={number}"] for number in batch], first):
            _ = done.return_value


def _batches(numbers: Sequence[int], size: int | None) -> Iterator[tuple[int, Sequence[int]]]:
    size = size or len(numbers)
    for first in range(0, len(numbers), size):
        yield first, numbers[first : first + size]


class _JobLoader(ConfigLoaderImpl):
    """Composes nothing: a job has the settings of its sweep, and its number, wherever and whenever it runs."""

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Return the configuration of the job that `sweep_overrides` name by its number."""
        [word] = sweep_overrides
        config = copy.deepcopy(master_config)
        OmegaConf.copy_cache(from_config=master_config, to_config=config)
        with open_dict(config):
            config[JOB] = int(word.removeprefix(f"{JOB}="))
            config.hydra.overrides.task = [word]
            config.hydra.job.config.override_dirname.exclude_keys = [JOB]
        return config


def _loader() -> _JobLoader:
    with alone() as loader:
        return _JobLoader(loader.get_search_path())
