"""A run folder: its configuration, its metrics, its agent, and what can be done with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from rlkit.config.run_config import TrainRunConfig
from rlkit.config.trust import packages, require_trusted, say_once
from rlkit.core.checkpoint import Store
from rlkit.core.csv_tables import read_table
from rlkit.core.evaluation import Watch, require_room, unwatched
from rlkit.core.seeding import Seeds
from rlkit.core.types import Agent, Array, State, UsageError, printable, require_least
from rlkit.rendering.render_wrapper import Format
from rlkit.runs import build, origin
from rlkit.runs.compatibility import (
    fitting,
    made_for,
    require_fit,
    require_parts,
    require_state_of,
    without_replay,
)
from rlkit.runs.final_episodes import played
from rlkit.runs.folder import training_config, training_name, training_values
from rlkit.runs.origin import identity
from rlkit.runs.record_video import record
from rlkit.runs.request import Objects, with_objects
from rlkit.runs.sharing.unpack import opened
from rlkit.runs.videos import claim_videos, videos_of

if TYPE_CHECKING:
    from rlkit.runs.policy import DeployedPolicy

BUILT = ("env", "preprocess", "data", "agent", "network")
"""Nodes that are built to let an agent act."""


class Run:
    """A run folder: its configuration, its metrics, and its agent.

    Attributes:
        directory: the folder; of a zip, one for as long as this object lives.
        values: config.yaml as plain data.
        stopped: why training ended before its budget, where this object comes from training; else None.
        tables: the CSV files that are attributes, without their suffix.
    """

    tables: tuple[str, ...] = ("metrics", "episodes", "evaluations")

    def __init__(
        self,
        directory: Path | str,
        trust: Any = None,
        *,
        trained: TrainRunConfig | None = None,
        env: Callable[..., Any] | None = None,
        wrappers: Sequence[Any] | None = None,
    ):
        """Open a run folder.

        Args:
            directory: the folder, or a zip of `share`.
            trust: a package or file, or a list of them, whose classes its configuration may name
                (`rlkit.config.trust`), beside those of rlkit and of installed plugins.
            trained: its configuration, if this process trained it, which may name anything; None: that of the folder.
            env: makes its environment, in place of what its configuration names.
            wrappers: wrap it, innermost first, in place of those that its configuration names.

        Raises:
            UsageError: it is not there, or not a run of rlkit.
        """
        self.directory = opened(Path(directory), self)
        self._trust = packages(trust)
        self._trained = trained
        self._read = trained or training_config(self.directory)
        self._objects = Objects(env=env, wrappers=wrappers)
        self.values = training_values(self._read)
        self.stopped: str | None = None

    @cached_property
    def config(self) -> TrainRunConfig:
        """The configuration, of which environments and agents can be built.

        Raises:
            UsageError: it names what no file may name without `trust`.
        """
        if self._trained is not None:
            return self._trained
        config = with_objects(self._read, self._objects)
        built = {key: getattr(config, key) for key in BUILT}
        folders = origin.source_folders(self.directory)
        require_trusted(built, self.directory / "config.yaml", self._trust, folders=folders)
        for file in origin.changed_files(self.directory):
            say_once(f"{file} has changed since {self.directory} began: its results may be others now")
        return replace(config, run_dir=str(self.directory), trust=self._trust)

    @property
    def name(self) -> str:
        """The run's name."""
        return self._read.name

    @property
    def default_name(self) -> str:
        """The name of the run unless one is set."""
        return training_name(self._read)

    @property
    def videos(self) -> Path:
        """The folder of this run's videos: ``videos/<name>``, or with a number where that is another run's."""
        return self.videos_in(Path("videos"))

    def videos_in(self, base: Path) -> Path:
        """Return the folder of this run's videos in `base`."""
        return videos_of(base, self.name, identity(self.directory))

    def claim_videos(self) -> Path:
        """Return the folder of this run's videos, marked as its own."""
        return claim_videos(Path("videos"), self.name, identity(self.directory))

    @cached_property
    def metrics(self) -> dict[str, Array]:
        """Columns of metrics.csv, [rows] float64 each; NaN where a row does not have the metric."""
        return read_table(self.directory / "metrics.csv")

    @cached_property
    def episodes(self) -> dict[str, Array]:
        """Columns of episodes.csv, [rows] float64 each, one row for each training episode."""
        return read_table(self.directory / "episodes.csv")

    @cached_property
    def evaluations(self) -> dict[str, Array]:
        """Columns of evaluations.csv, [rows] float64 each, one row for each evaluation episode."""
        return read_table(self.directory / "evaluations.csv")

    @cached_property
    def agent(self) -> Agent:
        """The best agent by evaluation, else the last."""
        return self.load_agent("best")

    @property
    def checkpoints(self) -> list[int]:
        """The steps of the checkpoints that are kept, oldest first."""
        return Store(self.directory / "checkpoints", warn=_warn).steps()

    def evaluation_means(self) -> list[tuple[int, float]]:
        """Return (step, mean raw return) of each evaluation."""
        if not (self.directory / "evaluations.csv").exists() or not self.evaluations:
            return []
        steps, returns = self.evaluations["step"], self.evaluations["return/raw"]
        if np.any(steps[1:] < steps[:-1]):
            order = np.argsort(steps, kind="stable")
            steps, returns = steps[order], returns[order]
        found, starts = np.unique(steps, return_index=True)
        ends = [*starts[1:], len(steps)]
        return [
            (int(step), float(returns[start:end].mean())) for step, start, end in zip(found, starts, ends, strict=False)
        ]

    def use_threads(self, threads: int) -> None:
        """Let torch use so many threads, where the agent uses torch.

        Raises:
            UsageError: less than one.
        """
        require_least(1, "", threads=threads)
        if self.config.network is not None:
            import torch

            torch.set_num_threads(threads)

    def load_agent(
        self,
        checkpoint: str | int = "best",
        device: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Agent:
        """Return the agent of a checkpoint.

        Args:
            checkpoint: ``best`` (as in `chosen`), ``last`` or a step.
            device: where its networks go; None: as in training.
            settings: values of the configuration's ``agent`` that stand in for those of training.

        Raises:
            UsageError: there is no such checkpoint.
            CheckpointError: it does not fit the run's config.yaml.
        """
        state = self.stored(self.chosen(checkpoint))[1]
        with fitting(f"checkpoint {checkpoint} of {self.directory}"):
            agent, wanted = self.new_agent(device, settings)
            require_fit(state["made_for"], wanted)
            require_state_of(agent, state["agent"])
            agent.load_state_dict(without_replay(state["agent"]))
        return agent

    def new_agent(self, device: str | None = None, settings: Mapping[str, Any] | None = None) -> tuple[Agent, State]:
        """Return the agent before a checkpoint fills it, and what one has to agree with (`made_for`).

        Args:
            device: as in `load_agent`.
            settings: as in `load_agent`.
        """
        config = self.config.agent_config
        node = {**config.agent, **(settings or {})}
        config = replace(config, agent=node, device=device or config.device)
        env = build.make_environment(config.environment.in_process(), num_envs=1)
        try:
            agent = build.make_agent(config, env, Seeds(self.config.seed), fresh=False, learns=False)
            return agent, made_for(config.agent, env)
        finally:
            env.close()

    def chosen(self, checkpoint: str | int) -> str:
        """Return which checkpoint is loaded where `checkpoint` is asked for.

        ``best`` is the agent with the greatest mean return in an evaluation, the one at the end of the run included,
        and the newest of equals. Where there was no evaluation (``eval.every=0``, or the run was interrupted before
        the first), it is the ``last``.
        """
        known = Store(self.directory / "checkpoints" / "best").steps()
        return "last" if checkpoint == "best" and not known else str(checkpoint)

    def stored(self, checkpoint: str) -> tuple[int, State]:
        """Return the step and the state of a checkpoint, ``best``, ``last`` or a step.

        What only training needs is not read, so that its damage stops nobody here.

        Raises:
            UsageError: there is no such checkpoint.
            CheckpointError: it is damaged.
        """
        folder = self.directory / "checkpoints"
        if checkpoint in ("best", "last"):
            store = Store(folder / "best" if checkpoint == "best" else folder, warn=_warn)
            return store.load_newest(_has_agent, segments=False)
        store = Store(folder, warn=_warn)
        known = {str(step): step for step in store.steps()}
        if checkpoint not in known:
            raise UsageError(
                f"there is no checkpoint={checkpoint} in {folder}; there is: {', '.join(('best', 'last', *known))}"
            )
        state = store.load(known[checkpoint], segments=False)
        _has_agent(state)
        return known[checkpoint], state

    def evaluate(
        self,
        episodes: int = 100,
        *,
        checkpoint: str | int = "best",
        seed: int = 0,
        epsilon: float | None = None,
        sample: bool | None = None,
        max_steps: int | None = None,
        num_envs: int = 10,
        device: str | None = None,
        watch: Watch = unwatched,
    ) -> dict[str, Any]:
        """Play fresh episodes and return their statistics: ``episodes``, ``return/raw`` and ``length``.

        Args:
            episodes: how many.
            checkpoint: as in `load_agent`.
            seed: of the episodes; they are never those of a periodic evaluation.
            epsilon: share of random actions; None: as in training's evaluations.
            sample: the others are drawn from the policy, not the likeliest; None: as in training's evaluations.
            max_steps: cap of an episode; None: as in training's evaluations.
            num_envs: played side by side; results do not depend on it where the agent does not draw.
            device: as in `load_agent`.
            watch: sees how far the episodes are, as in `rlkit.core.evaluation.evaluate`.

        Raises:
            UsageError: less than one episode, step or environment, or what `with_epsilon` refuses.
        """
        require_least(1, "", episodes=episodes, max_steps=max_steps, num_envs=num_envs)
        require_room(episodes)
        settings = self.config.eval
        return played(
            self.load_agent(checkpoint, device),
            self.config.environment,
            episodes,
            seed=seed,
            epsilon=settings.epsilon if epsilon is None else epsilon,
            sample=settings.sample if sample is None else sample,
            max_steps=max_steps or settings.max_steps,
            num_envs=num_envs,
            watch=watch,
        )

    def estimate(
        self,
        data: str,
        *,
        behavior: Any = None,
        regressor: Any = None,
        checkpoint: str | int = "best",
        seed: int = 0,
        epsilon: float | None = None,
        gamma: float | None = None,
        iterations: int = 30,
        resamples: int = 1000,
        refits: int = 5,
        device: str | None = None,
    ) -> dict[str, Any]:
        """Estimate the mean discounted return from recorded episodes; nothing is played.

        Args:
            data: recorded episodes, or a Minari data set.
            behavior: a classifier of what the data's players do, with scikit-learn's interface; None: logistic.
            regressor: of action values, likewise; None: a tree.
            checkpoint: as in `load_agent`.
            seed: of what is drawn.
            epsilon: share of random actions; None: as in training's evaluations.
            gamma: discount factor; None: the agent's.
            iterations: steps that fitted Q evaluation looks ahead.
            resamples: of the episodes, for intervals.
            refits: of fitted Q evaluation, for its interval.
            device: as in `load_agent`.

        Returns:
            ``episodes``, ``effective_episodes``, ``gamma``, and in ``estimates`` by name ``mean``, ``low``, ``high``.

        Raises:
            UsageError: as in `rlkit.runs.estimates.estimated_score`.
        """
        from rlkit.algorithms.estimation.estimates import Effort
        from rlkit.runs.estimates import Estimators, estimated_score

        return estimated_score(
            self.load_agent(checkpoint, device),
            self.config.environment,
            data,
            Estimators(behavior, regressor),
            gamma=float(self.values["agent"].get("gamma", 1.0)) if gamma is None else gamma,
            epsilon=self.config.eval.epsilon if epsilon is None else epsilon,
            effort=Effort(iterations, resamples, refits),
            seed=seed,
        )

    def policy(
        self,
        *,
        checkpoint: str | int = "best",
        seed: int = 0,
        epsilon: float | None = None,
        sample: bool | None = None,
        device: str | None = None,
    ) -> DeployedPolicy:
        """Return what the agent does, for a loop of one's own: ``action = run.policy()(observation)``.

        Args:
            checkpoint: as in `load_agent`.
            seed: of what the agent draws.
            epsilon: share of random actions; None: as in training's evaluations.
            sample: the others are drawn from the policy, not the likeliest; None: as in training's evaluations.
            device: as in `load_agent`.
        """
        from rlkit.runs.policy import DeployedPolicy, OneOfMany

        settings, environment = self.config.eval, self.config.environment.for_evaluation()
        real = self.make_env()
        return DeployedPolicy(
            self.load_agent(checkpoint, device),
            OneOfMany(real) if isinstance(real, VectorEnv) else real,
            build.wrapping(replace(environment, max_episode_steps=None)),
            action_mask=environment.action_mask,
            rng=Seeds(seed).generator("policy"),
            epsilon=settings.epsilon if epsilon is None else epsilon,
            sample=settings.sample if sample is None else sample,
        )

    def export(
        self, out: Path | str | None = None, *, format: str = "onnx", checkpoint: str | int = "best", seed: int = 0
    ) -> Path:
        """Write what the agent does where it does not explore to a file that needs no rlkit, and return its path.

        Args:
            out: the file; None: the run's name, in the working folder.
            format: onnx, torchscript or torch_export.
            checkpoint: as in `load_agent`.
            seed: of the observations that the file is tried on.

        Raises:
            UsageError: the agent is not one that a file can hold, or the format needs a package that is missing.
            RunError: the file decides otherwise than the agent.
        """
        from rlkit.runs.exporting.export import export

        return export(self, out, format=format, checkpoint=checkpoint, seed=seed).path

    def share(
        self, out: Path | str | None = None, *, checkpoint: str | int = "best", video: Path | str = "auto"
    ) -> Path:
        """Pack the run into a zip that others can evaluate and play, and return its path.

        Args:
            out: the zip; None: the run's name, in the working folder.
            checkpoint: as in `load_agent`.
            video: an mp4; auto: the newest of the run's in ``videos/``, else its curve; none: neither.

        Raises:
            UsageError: there is no such checkpoint or video.
        """
        from rlkit.runs.sharing.share import share

        return share(self, out, checkpoint=checkpoint, video=video)

    def make_env(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]:
        """Return a new environment of the run, without the wrappers of `preprocess`: what `policy` plays in."""
        environment = self.config.environment.for_evaluation().in_process()
        return build.make_single(replace(environment, preprocess=[]), render_mode=render_mode)

    def play(
        self,
        episodes: int = 1,
        *,
        checkpoint: str | int = "best",
        seed: int = 0,
        epsilon: float | None = None,
        sample: bool | None = None,
        max_steps: int | None = None,
        out: Path | str | None = None,
        grid: bool = False,
        actions: bool = False,
        fps: int | None = None,
        height: int | None = None,
        captions: bool = True,
        device: str | None = None,
    ) -> list[Path]:
        """Record episodes to mp4 files, and return their paths.

        Args:
            episodes: how many.
            checkpoint: as in `load_agent`.
            seed: of the episodes.
            epsilon: share of random actions; None: as in training's evaluations.
            sample: the others are drawn from the policy, not the likeliest; None: as in training's evaluations.
            max_steps: cap of an episode; None: as in training's evaluations.
            out: folder; None: ``videos/<name>``.
            grid: all side by side in one video; else one file each.
            actions: write a log of each episode's actions beside its video, for `rlkit.runs.record_video.render`.
            fps: frames per second; None: the environment's own.
            height: of a frame in pixels; None: as the environment draws it.
            captions: write score and step below each frame.
            device: as in `load_agent`.
        """

        recordings = record(
            self,
            episodes,
            checkpoint=checkpoint,
            seed=seed,
            epsilon=epsilon,
            sample=sample,
            max_steps=max_steps,
            out=out,
            grid=grid,
            actions=actions,
            format=Format(fps, height, captions=captions),
            device=device,
        )
        return [recording.video for recording in recordings]


def _has_agent(state: State) -> bool:
    require_parts(state, {"agent": dict, "made_for": dict})
    return True


def _warn(message: str) -> None:
    print(f"rlkit: {printable(message)}", file=sys.stderr)
