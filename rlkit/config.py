"""The keys that verbs share, their composition by Hydra, and its errors in one line.

Budgets, evaluation, checkpoints and logging are dataclasses: a misspelt key or a wrong type is refused by name.
The `agent`, `env`, `network` and `replay` nodes are open, so that plugins need no schema. The values are in `conf/`.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import hydra
from hydra import compose, initialize_config_module
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlkit import plugins
from rlkit.core import UsageError

Choices = Mapping[str, str]
"""Which file of each group was chosen, e.g. ``{"agent": "dqn", "env": "cartpole"}``."""


class Video(Enum):
    """What is recorded while training."""

    none = "none"
    final = "final"
    eval = "eval"
    every = "every"


class Output(Enum):
    """How a verb reports on stdout."""

    text = "text"
    json = "json"


# `async` is a keyword, so this one cannot be written as a class.
Vectorization = Enum("Vectorization", ["sync", "async", "native"])


@dataclass
class EvalConfig:
    """Periodic evaluation."""

    every: int = MISSING
    episodes: int = MISSING
    epsilon: float = MISSING
    max_steps: int = MISSING
    num_envs: int = MISSING


@dataclass
class CheckpointConfig:
    """Checkpoints."""

    every: int = MISSING
    keep: int = MISSING


@dataclass
class LogConfig:
    """Rows of metrics.csv."""

    every: int = MISSING


@dataclass
class TrainConfig:
    """Keys of `rlkit train`."""

    agent: Any = MISSING
    env: Any = MISSING
    network: Any = None
    replay: Any = None
    logger: dict[str, Any] = field(default_factory=dict)
    preprocess: list[Any] = field(default_factory=list)
    name: str | None = None
    run_dir: str | None = None
    resume: str | None = None
    seed: int = MISSING
    device: str = MISSING
    threads: int = MISSING
    deterministic: bool = MISSING
    total_steps: int = MISSING
    stop_at: float | None = None
    num_envs: int = MISSING
    vectorization: Vectorization = MISSING
    action_mask: bool = MISSING
    eval: EvalConfig = field(default_factory=EvalConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    video: Video = MISSING
    output: Output = MISSING


@dataclass
class RunConfig:
    """Keys of the verbs that take a finished or running run."""

    run: str = MISSING
    checkpoint: str = MISSING
    episodes: int = MISSING
    max_steps: int | None = None
    epsilon: float | None = None
    seed: int = MISSING
    device: str | None = None
    threads: int = MISSING
    output: Output = MISSING


@dataclass
class EvaluateConfig(RunConfig):
    """Keys of `rlkit eval`."""

    num_envs: int = MISSING


@dataclass
class PlayConfig(RunConfig):
    """Keys of `rlkit play`."""

    human: bool = MISSING
    fps: int | None = None
    out: str | None = None


@dataclass
class CheckConfig:
    """Keys of `rlkit check`."""

    env: Any = None
    agent: Any = None
    network: Any = None
    replay: Any = None
    preprocess: list[Any] = field(default_factory=list)
    action_mask: bool = MISSING
    seed: int = MISSING
    steps: int = MISSING
    output: Output = MISSING


SCHEMAS = {"train": TrainConfig, "eval": EvaluateConfig, "play": PlayConfig, "check": CheckConfig}

for _verb, _schema in SCHEMAS.items():
    ConfigStore.instance().store(name=f"{_verb}_schema", node=_schema)


class _PluginSearchPath(SearchPathPlugin):
    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for origin in plugins.origins()[1:]:
            search_path.append(provider=origin.distribution, path=f"pkg://{origin.module}")


Plugins.instance().register(_PluginSearchPath)


def run_verb(verb: str, task: Callable[[DictConfig, Choices, Sequence[str]], Any], argv: Sequence[str]) -> None:
    """Run `task` as a Hydra application on ``conf/<verb>.yaml``, once, or once for each job of a sweep.

    Raises:
        UsageError: the command line does not compose, with the nearest valid name where there is one.
    """
    plugins.refuse_doubles()
    # Hydra prints and exits by itself unless it is asked for its exceptions.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [f"rlkit {verb}", *argv]
    application = hydra.main(version_base="1.3", config_path="pkg://rlkit.conf", config_name=verb)

    def job(config: DictConfig) -> Any:
        settings = HydraConfig.get()
        choices = {str(key): str(value) for key, value in settings.runtime.choices.items()}
        return task(config, choices, list(settings.overrides.task))

    try:
        application(job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(explain(error, verb, argv)) from error


def composed(verb: str, overrides: Sequence[str]) -> tuple[DictConfig, Choices]:
    """Return the configuration that ``rlkit <verb> <overrides>`` would run with, and the files chosen for it.

    Raises:
        UsageError: the overrides do not compose.
    """
    plugins.refuse_doubles()
    try:
        with initialize_config_module("rlkit.conf", version_base="1.3"):
            config = compose(verb, list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise UsageError(explain(error, verb, overrides)) from error
    choices = {str(key): str(value) for key, value in config.hydra.runtime.choices.items()}
    del_hydra = {key: config._get_node(key) for key in config if key != "hydra"}
    return OmegaConf.create(del_hydra), choices


def explain(error: Exception, verb: str, overrides: Sequence[str]) -> str:
    """Return Hydra's or OmegaConf's complaint in one line, with the nearest valid name where there is one."""
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    text = text.split(" See https://hydra.cc")[0].split(" full_key:")[0]
    for group, name in re.findall(r"Could not find '([\w/]+)/([\w\-./]+)'", text):
        return _unknown_choice(group, name)
    return text


def _unknown_choice(group: str, name: str) -> str:
    known = [entry.name for entry in plugins.entries(group)]
    return f"there is no {group}={name}{nearest(name, known)}"


def nearest(name: str, known: Sequence[str]) -> str:
    """Return the end of an error line: the nearest of the `known` names, or all of them where none is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; there is: {', '.join(known)}"
