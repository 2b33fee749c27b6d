"""The keys of the verbs.

Budgets, evaluation, checkpoints and logging are dataclasses: a misspelled key, a wrong type or a number out of its
range is refused by name.
The `agent`, `env`, `learner`, `data`, `prepare`, `network`, `distribution` and `replay` nodes are open, so that plugins
need no schema. The values are in `conf/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any

from omegaconf import MISSING

from rlkit.core.ranges import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
    Range,
    ShareBelowOne,
    Threads,
)


class Video(Enum):
    """Which videos are recorded in training."""

    none = "none"
    final = "final"
    eval = "eval"
    every = "every"


class Output(Enum):
    """How a verb prints its results on stdout."""

    text = "text"
    json = "json"


class InnerLoop(Enum):
    """The loop that steps one environment and a tabular agent."""

    auto = "auto"
    python = "python"
    numba = "numba"


# `async` is a keyword, so this enum cannot be written as a class.
Vectorization = Enum("Vectorization", ["sync", "async", "native", "ray"])


class StartMethod(Enum):
    """How worker processes begin: as copies of this one, of a small server, or from scratch."""

    fork = "fork"
    forkserver = "forkserver"
    spawn = "spawn"


@dataclass(frozen=True)
class EvalConfig:
    """Periodic evaluation."""

    every: NonNegativeInt = MISSING
    episodes: PositiveInt = MISSING
    epsilon: Probability = MISSING
    sample: bool = MISSING
    max_steps: PositiveInt = MISSING
    num_envs: PositiveInt = MISSING


@dataclass(frozen=True)
class CheckpointConfig:
    """Checkpoints."""

    every: NonNegativeInt = MISSING
    keep: PositiveInt = MISSING


@dataclass(frozen=True)
class LogConfig:
    """Rows of metrics.csv, and what is logged of infos."""

    every: NonNegativeInt = MISSING
    info: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TrainConfig:
    """Keys of `rlkit train`."""

    agent: Any = MISSING
    env: Any = MISSING
    data: Any = None
    network: Any = None
    distribution: Any = None
    replay: Any = None
    logger: dict[str, Any] = field(default_factory=dict)
    callback: dict[str, Any] = field(default_factory=dict)
    preprocess: list[Any] = field(default_factory=list)
    max_episode_steps: PositiveInt | None = None
    name: str | None = None
    run_dir: str | None = None
    resume: str | None = None
    resume_sweep: str | None = None
    empty_replay: bool = False
    trust: Any = None
    seed: NonNegativeInt = MISSING
    device: str = MISSING
    threads: Threads = MISSING
    deterministic: bool = MISSING
    total_steps: PositiveInt = MISSING
    total_episodes: PositiveInt | None = None
    stop_at: float | None = None
    num_envs: PositiveInt = MISSING
    vectorization: Vectorization = MISSING
    start_method: StartMethod = StartMethod.fork
    actors: PositiveInt = 1
    overlap: bool = MISSING
    inner_loop: InnerLoop = MISSING
    action_mask: bool = MISSING
    eval: EvalConfig = field(default_factory=EvalConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    video: Video = MISSING
    output: Output = MISSING


@dataclass(frozen=True)
class RunConfig:
    """Keys of the verbs that use a finished or running run."""

    checkpoint: str = MISSING
    episodes: PositiveInt = MISSING
    max_steps: PositiveInt | None = None
    epsilon: Probability | None = None
    sample: bool | None = None
    seed: NonNegativeInt = MISSING
    device: str | None = None
    threads: Threads = MISSING
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class EvaluateConfig(RunConfig):
    """Keys of `rlkit eval`."""

    run: str = MISSING
    num_envs: PositiveInt = MISSING
    recorded: str | None = None
    gamma: Probability | None = None
    iterations: PositiveInt = MISSING
    resamples: Annotated[int, Range(2)] = MISSING
    refits: Annotated[int, Range(2)] = MISSING
    behavior: Any = MISSING
    regressor: Any = MISSING


class EpisodeFormat(Enum):
    """The form of recorded episodes."""

    episodes = "episodes"
    minari = "minari"


@dataclass(frozen=True)
class PlayConfig(RunConfig):
    """Keys of `rlkit play`."""

    run: str | None = None
    log: str | None = None
    env: Any = None
    expert: Any = None
    record: bool = MISSING
    format: EpisodeFormat = MISSING
    source: str | None = None
    save_every: PositiveInt = MISSING
    hold: PositiveInt = MISSING
    human: bool = MISSING
    terminal: bool | None = None
    grid: bool = MISSING
    actions: bool = MISSING
    captions: bool = MISSING
    height: Annotated[int, Range(2)] | None = None
    fps: PositiveInt | None = None
    out: str | None = None


class TrialObjective(Enum):
    """What a trial of a search is worth, of the mean returns of its evaluations."""

    last = "last"
    best = "best"
    mean = "mean"


@dataclass(frozen=True)
class ConfirmConfig:
    """The best settings of a search, trained again."""

    settings: NonNegativeInt = MISSING
    seeds: PositiveInt = MISSING


@dataclass(frozen=True)
class SearchConfig:
    """Keys of `rlkit search`; all others are those of `rlkit train`."""

    search: Any = None
    sampler: Any = MISSING
    pruner: Any = MISSING
    scheduler: Any = MISSING
    name: str | None = None
    resume: str | None = None
    trials: PositiveInt = MISSING
    workers: PositiveInt = MISSING
    seed: NonNegativeInt = MISSING
    objective: TrialObjective = MISSING
    confirm: ConfirmConfig = field(default_factory=ConfirmConfig)
    trust: Any = None
    output: Output = MISSING


class ExportFormat(Enum):
    """Kinds of files of exported policies."""

    onnx = "onnx"
    torchscript = "torchscript"
    torch_export = "torch_export"


@dataclass(frozen=True)
class ExportConfig:
    """Keys of `rlkit export`."""

    run: str = MISSING
    format: ExportFormat = MISSING
    out: str | None = None
    checkpoint: str = MISSING
    seed: NonNegativeInt = MISSING
    threads: Threads = MISSING
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class ShareConfig:
    """Keys of `rlkit share`."""

    run: str = MISSING
    out: str | None = None
    checkpoint: str = MISSING
    video: str = MISSING
    threads: Threads = MISSING
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class MatchConfig:
    """Keys of `rlkit match`."""

    env: Any = None
    players: list[str] = field(default_factory=list)
    games: Annotated[int, Range(2)] = MISSING
    plies: NonNegativeInt = MISSING
    seconds: PositiveFloat | None = None
    checkpoint: str = MISSING
    out: str | None = None
    seed: NonNegativeInt = MISSING
    threads: Threads = MISSING
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class AnalyseConfig:
    """Keys of `rlkit analyse`."""

    env: Any = None
    player: str = MISSING
    moves: list[str] = field(default_factory=list)
    seconds: PositiveFloat | None = None
    checkpoint: str = MISSING
    seed: NonNegativeInt = MISSING
    threads: Threads = MISSING
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class FitConfig:
    """Keys of `rlkit fit`."""

    learner: Any = MISSING
    data: Any = MISSING
    prepare: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    run_dir: str | None = None
    seed: NonNegativeInt = MISSING
    device: str = MISSING
    threads: Threads = MISSING
    test_size: ShareBelowOne | None = None
    folds: NonNegativeInt = MISSING
    at: PositiveInt = MISSING
    plots: bool = MISSING
    output: Output = MISSING


@dataclass(frozen=True)
class PredictConfig:
    """Keys of `rlkit predict`."""

    run: str = MISSING
    input: str = MISSING
    out: str | None = None
    array: str = MISSING
    probabilities: bool = MISSING
    at: PositiveInt = MISSING
    threads: Threads = MISSING
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class CheckConfig:
    """Keys of `rlkit check`."""

    env: Any = None
    agent: Any = None
    learner: Any = None
    data: Any = None
    network: Any = None
    distribution: Any = None
    replay: Any = None
    preprocess: list[Any] = field(default_factory=list)
    max_episode_steps: PositiveInt | None = None
    action_mask: bool = MISSING
    seed: NonNegativeInt = MISSING
    steps: PositiveInt = MISSING
    seconds: PositiveFloat | None = None
    total_steps: PositiveInt = MISSING
    num_envs: PositiveInt = MISSING
    device: str = MISSING
    threads: Threads = MISSING
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class SuiteConfig:
    """Agents x environments x seeds, as `rlkit.runs.suites.plan` reads them."""

    agents: dict[str, Any] = field(default_factory=dict)
    envs: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    seeds: Any = MISSING
    evaluations: PositiveInt = MISSING
    episodes: PositiveInt = MISSING
    checkpoint: str = MISSING
    baseline: str = MISSING


@dataclass(frozen=True)
class BenchConfig:
    """Keys of `rlkit bench`."""

    suite: SuiteConfig = field(default_factory=SuiteConfig)
    agents: list[str] | None = None
    envs: list[str] | None = None
    seeds: Any = None
    workers: PositiveInt = MISSING
    run_dir: str | None = None
    out: str | None = None
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class ReportConfig:
    """Keys of `rlkit report`."""

    runs: list[str] = field(default_factory=list)
    out: str = MISSING
    video_mb: NonNegativeFloat = MISSING
    trust: Any = None
    output: Output = MISSING


@dataclass(frozen=True)
class WatchConfig:
    """Keys of `rlkit watch`."""

    folder: str = MISSING
    host: str = MISSING
    port: Annotated[int, Range(0, 65535)] = MISSING
    names: list[str] = field(default_factory=list)


SCHEMAS: Mapping[str, type[Any]] = {
    "train": TrainConfig,
    "fit": FitConfig,
    "predict": PredictConfig,
    "eval": EvaluateConfig,
    "play": PlayConfig,
    "export": ExportConfig,
    "share": ShareConfig,
    "match": MatchConfig,
    "analyse": AnalyseConfig,
    "check": CheckConfig,
    "report": ReportConfig,
    "search": SearchConfig,
    "bench": BenchConfig,
    "watch": WatchConfig,
}
