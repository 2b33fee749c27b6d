"""Evaluations while a run trains, and the checkpoints of the best agent that they select."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import Video
from rlkit.core.callback import Callback
from rlkit.core.checkpoint import Store
from rlkit.core.evaluation import evaluate, never
from rlkit.core.loop import FIX, RESUME
from rlkit.core.seeding import Seeds
from rlkit.core.statistics import EvaluationEpisode, EvaluationResult
from rlkit.core.types import Agent, RunError, State, UsageError
from rlkit.runs import build
from rlkit.runs.callbacks import Callbacks, notify
from rlkit.runs.compatibility import without_replay
from rlkit.vector.manners import unchanged

if TYPE_CHECKING:
    from rlkit.rendering.render_wrapper import FrameCallback

STOP_AT = "stop_at was reached"


class EvaluationError(RunError):
    """The environment failed while the agent was evaluated: nothing of the training has changed."""


class Evaluations:
    """Evaluates the agent of a run, and keeps checkpoints of the best one.

    Attributes:
        last: the step of the last scheduled evaluation, or None.
        best: the best evaluation so far: its ``step`` (None before the first) and its mean return, ``score``.
    """

    def __init__(
        self,
        config: TrainRunConfig,
        checkpoints: Path,
        videos: Path,
        *,
        agent: Agent,
        callbacks: Callbacks,
        made_for: Callable[[], State],
        warn: Callable[[str], None],
    ):
        """Prepare to evaluate `agent`.

        Args:
            config: of the run.
            checkpoints: the folder of the run's checkpoints.
            videos: the folder of its videos.
            agent: the one that is trained.
            callbacks: those of the run.
            made_for: returns what a checkpoint has to agree with.
            warn: shows a line to the user.
        """
        self._config = config
        self._videos = videos
        self._agent = agent
        self._callbacks = callbacks
        self._made_for = made_for
        self._seeds = Seeds(config.seed)
        self._store = Store(checkpoints / "best", sys.maxsize, warn)
        self._warn = warn
        self.last: int | None = None
        self.best: dict[str, Any] = {"step": None, "score": -np.inf}

    @property
    def best_step(self) -> int | None:
        """The step of the best evaluation so far."""
        return None if self.best["step"] is None else int(self.best["step"])

    @property
    def best_score(self) -> float:
        """The mean return of the best evaluation so far."""
        return float(self.best["score"])

    def evaluate(self, step: int, interrupted: Callable[[], str | None], *, final: bool = False) -> str | None:
        """Evaluate the agent, and return a reason to stop the run, or None.

        Args:
            step: the run's.
            interrupted: returns the signal that asks to stop, or None.
            final: at the end of the run, outside of the schedule; there is nothing left to stop.

        Raises:
            EvaluationError: the environment failed.
            RunError: a callback did.
            Interrupted: a signal asks to stop; nothing has changed.
        """
        target = self._videos / f"step-{step:09d}.mp4" if self._config.video is Video.eval else None
        try:
            episodes = evaluate_agent(self._config, self._agent, self._seeds, step, target, interrupted, self._warn)
        except (UsageError, RunError) as error:
            if isinstance(error, RunError) and not str(error).endswith(FIX):
                raise
            # The training's environment is fine, and its run is kept.
            said = str(error).removesuffix(f"; {FIX}")
            raise EvaluationError(f"the evaluation at step {step:,} failed: {said}; {RESUME}") from error
        evaluation = EvaluationResult(step, episodes, final)
        reason = notify(self._callbacks, Callback.evaluation, evaluation)
        if target is not None and target.exists():
            notify(self._callbacks, Callback.media, step, target)
        self._keep_best(evaluation)
        if final:
            return None
        self.last = step
        wanted = self._config.stop_at
        return STOP_AT if wanted is not None and evaluation.mean_return >= wanted else reason

    def _keep_best(self, evaluation: EvaluationResult) -> None:
        """Save the agent where it is the best so far, the newest of equals."""
        step, score = evaluation.step, evaluation.mean_return
        if score >= self.best["score"]:
            self.best = {"step": step, "score": score}
            agent = without_replay(self._agent.state_dict())
            self._store.save(step, {"agent": agent, "score": score, "made_for": self._made_for()})

    def load_state_dict(self, best: State, last: Any) -> None:
        """Restore `best`, and the step of the last evaluation, which is None before the first.

        Raises:
            TypeError, ValueError: they are no numbers.
        """
        step = best["step"]
        self.best = {"step": None if step is None else int(step), "score": float(best["score"])}
        self.last = None if last is None else int(last)

    def drop_after(self, step: int) -> None:
        """Delete the best agents of steps after `step`."""
        self._store.drop_after(step)

    def retain(self, ends: Iterable[int]) -> None:
        """Keep, for each of the steps `ends`, the best agent up to it, and delete the others."""
        best = self._store.steps()
        self._store.retain({max(known) for end in ends if (known := [step for step in best if step <= end])})


def evaluate_agent(
    config: TrainRunConfig,
    agent: Agent,
    seeds: Seeds,
    step: int,
    video_path: Path | None = None,
    interrupted: Callable[[], str | None] = never,
    on_failed_video: Callable[[str], None] | None = None,
) -> list[EvaluationEpisode]:
    """Play `eval.episodes` greedy episodes in fresh environments, all randomness derived from (seed, `step`).

    The first episode is recorded to `video_path`, unless that is None; `on_failed_video` is called with a line where
    that fails. Errors as in `rlkit.core.evaluation.evaluate`.
    """
    settings = config.eval
    num_envs = min(settings.num_envs, settings.episodes)
    recorder: AbstractContextManager[list[FrameCallback]] = nullcontext([])
    if video_path is not None:
        from rlkit.rendering.render_wrapper import FRAMES, Format, side_by_side

        recorder = side_by_side(video_path, 1, Format(max_frames=FRAMES), on_failed_video)
    with recorder as frame_callbacks:
        env = build.make_environment(
            config.environment.for_evaluation(), num_envs=num_envs, frame_callbacks=frame_callbacks
        )
        try:
            with unchanged():
                return evaluate(
                    agent,
                    env,
                    episodes=settings.episodes,
                    max_steps=settings.max_steps,
                    rng=seeds.generator("evaluation actions", step),
                    episode_seeds=seeds.integers("evaluation episodes", step, size=settings.episodes),
                    epsilon=settings.epsilon,
                    sample=settings.sample,
                    interrupted=interrupted,
                )
        finally:
            env.close()
