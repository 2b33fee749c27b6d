"""The configuration of a run once it is validated: frozen, and typed to the end of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from omegaconf import MISSING, DictConfig

from rlkit.config import injection
from rlkit.config.instantiate import plain
from rlkit.config.schemas import FitConfig, TrainConfig, Vectorization
from rlkit.config.typed import typed

C = TypeVar("C")


@dataclass(frozen=True)
class EnvironmentConfig:
    """What environments are made of."""

    env: Mapping[str, Any]
    preprocess: list[Any] = field(default_factory=list)
    action_mask: bool = False
    vectorization: Vectorization = Vectorization.sync
    data: Mapping[str, Any] | None = None
    seed: int = 0
    evaluation: bool = False  # to score an agent, or to show what it can

    def in_process(self) -> EnvironmentConfig:
        """Return that of single environments, in this process."""
        return replace(self, vectorization=Vectorization.sync)

    def for_evaluation(self) -> EnvironmentConfig:
        """Return that of environments, in this process, that score an agent or show what it can."""
        return replace(self.in_process(), evaluation=True)


@dataclass(frozen=True)
class AgentConfig:
    """What an agent is made of."""

    agent: Mapping[str, Any]
    network: Mapping[str, Any] | None
    num_envs: int
    device: str
    threads: int
    total_steps: int
    run_dir: str | None
    environment: EnvironmentConfig


@dataclass(frozen=True)
class TrainRunConfig(TrainConfig):
    """A training run's ``config.yaml``."""

    name: str = MISSING
    run_dir: str = MISSING
    choices: dict[str, str] = MISSING
    from_run: dict[str, list[str]] = field(default_factory=dict)  # parameters by node, see `rlkit.config.injection`

    @property
    def environment(self) -> EnvironmentConfig:
        """What its environments are made of."""
        return EnvironmentConfig(self.env, self.preprocess, self.action_mask, self.vectorization, self.data, self.seed)

    @property
    def agent_config(self) -> AgentConfig:
        """What its agent is made of."""
        return AgentConfig(
            self.agent,
            self.network,
            self.num_envs,
            self.device,
            self.threads,
            self.total_steps,
            self.run_dir,
            self.environment,
        )


@dataclass(frozen=True)
class FitRunConfig(FitConfig):
    """The ``config.yaml`` of a run of `rlkit fit`."""

    name: str = MISSING
    run_dir: str = MISSING
    choices: dict[str, str] = MISSING
    from_run: dict[str, list[str]] = field(default_factory=dict)  # parameters by node, see `rlkit.config.injection`


def requested(kind: type[C], config: DictConfig, choices: Mapping[str, str]) -> C:
    """Return the configuration of a run whose folder is not claimed yet, from what was composed.

    Name and folder are those that were typed, or "".

    Raises:
        UsageError: something is missing, or has another type.
    """
    values = plain(config)
    named = {key: values[key] or "" for key in ("name", "run_dir")}
    chosen = {key: value for key, value in choices.items() if not key.startswith("hydra/")}
    return typed(kind, {**values, **named, "choices": chosen, "from_run": injection.shown(values)[0]})
