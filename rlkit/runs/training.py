"""A training run: the loop, and what happens at the multiples of its periods."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import InnerLoop, Vectorization, Video
from rlkit.core.callback import CLOCK, Callback
from rlkit.core.checkpoint import CheckpointError, Store
from rlkit.core.evaluation import evaluate
from rlkit.core.loop import Interaction, crossed, interact, train
from rlkit.core.seeding import Seeds
from rlkit.core.statistics import Averages, Episode, EpisodeTracker, EvaluationEpisode, EvaluationResult
from rlkit.core.types import Agent, Environment, Metrics, RunError, State, Transition, UsageError
from rlkit.runs import build
from rlkit.runs.callbacks import Callbacks, Hook, P, implementing, load_states, notify, states
from rlkit.runs.compatibility import made_for, require_fit, without_replay
from rlkit.runs.folder import CHECKPOINTS

if TYPE_CHECKING:
    from rlkit.algorithms.tabular.compiled import CompiledLoop
    from rlkit.rendering.render_wrapper import FrameCallback

STOP_AT = "stop_at was reached"
TOTAL_EPISODES = "total_episodes was reached"
ENDED = (
    "the environment's state cannot be read, so that a run goes on only from a multiple of checkpoint.every, and this "
    "one ended before the first: train anew with a smaller checkpoint.every"
)
"""Why a whole checkpoint may not be one to go on from."""

COMPILED_FROM = 100_000
"""Steps from which a compiled loop is worth the time that it takes to load or, once, to compile."""


class Training:
    """One run in the making, from its built parts.

    Attributes:
        opaque: the environment's state cannot be read.
        episodes: training episodes that have ended, those that were cut left out.
        stopped: why it ended before `total_steps`, or None.
        interrupted: a signal ended it, so that it is not as it was meant to end.
    """

    def __init__(
        self,
        config: TrainRunConfig,
        directory: Path,
        videos: Path,
        *,
        agent: Agent,
        env: Environment,
        callbacks: Callbacks,
        opaque: bool,
    ):
        self._config = config
        self._videos = videos
        self._agent = agent
        self._env = env
        self._callbacks = callbacks
        self._on_step = implementing(callbacks, Callback.step)
        self._on_episode = implementing(callbacks, Callback.episode)
        self.opaque = opaque
        self._seeds = Seeds(config.seed)
        self._stream = stream(config, agent, env, opaque=opaque)
        self._tracker = EpisodeTracker(env.num_envs)
        self._averages = Averages()
        self._compiled = compiled(config, agent, env)
        self.episodes = 0
        self._best: dict[str, Any] = {"step": None, "score": -np.inf}
        self._evaluated: int | None = None  # the step of the last scheduled evaluation
        # An opaque environment's last checkpoint may not be one to go on from: the scheduled one before it is.
        keep = max(config.checkpoint.keep, 2 if opaque else 1)
        self._store = Store(directory / CHECKPOINTS, keep, self.say)
        self._best_store = Store(directory / CHECKPOINTS / "best", sys.maxsize, self.say)
        self.stopped: str | None = None
        self.interrupted = False

    def say(self, line: str) -> None:
        """Show a line to the user."""
        notify(self._callbacks, Callback.message, line)

    @property
    def steps(self) -> int:
        """Agent decisions so far."""
        return self._stream.steps

    @property
    def resumes_at(self) -> int:
        """The step from which an interrupted run would go on."""
        return max(self._store.steps(), default=0)

    @property
    def reproduced(self) -> bool:
        """Whether the environment, started again with the same seed, began as it did before."""
        return self._stream.reproduced

    @property
    def best_step(self) -> int | None:
        """The step of the best evaluation so far."""
        return None if self._best["step"] is None else int(self._best["step"])

    @property
    def best_score(self) -> float:
        """The mean return of the best evaluation so far."""
        return float(self._best["score"])

    def resume(self, *, extended: bool) -> None:
        """Go on from the newest whole checkpoint that can be gone on from; from step 0 where none was written yet.

        `extended`: a run that had stopped goes on, because it was given another limit.

        Raises:
            CheckpointError: there are checkpoints, but no usable one.
            UsageError: the run is beyond `total_steps` by more than the last step of its environments.
        """
        if not self._store.steps():
            self.say("there is no checkpoint yet: starting again from step 0")
            return
        step, state = self._store.load_newest(lambda state: bool(state["resumable"]), ENDED)
        try:
            require_fit(state["made_for"], self._made_for())
            self.load_state_dict(state)
        except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
            raise CheckpointError(
                f"checkpoint {self._store.directory / str(step)} does not fit this run's config.yaml: {error}"
            ) from error
        if self.steps >= (total := self._config.total_steps) + self._env.num_envs:
            raise UsageError(f"total_steps is {total:,}, and the run is at step {self.steps:,} already: give it more")
        self.stopped = None if extended else state["stopped"]
        self._store.drop_after(step)
        # The final evaluation of a run that is extended was made at this step, but after its checkpoint.
        self._best_store.drop_after(self.best_step or 0)

    def run(self, interrupted: Callable[[], str | None]) -> None:
        """Train until `total_steps`, or until there is a reason to stop: `interrupted` gives that of a signal."""
        total = self._config.total_steps
        started, before = time.perf_counter(), self.steps
        first = before
        self._say_what_is_over(total)
        for _ in self._strides(0 if self.stopped else total):
            after = self.steps
            if crossed(before, after, self._config.log.every):
                self._log(after, time.perf_counter() - started, after - first)
            if crossed(before, after, self._config.eval.every):
                self._evaluate(after)
            if self._on_step:
                self._notify(self._on_step, Callback.step, after)
            self.stopped = self.stopped or self._enough()
            if crossed(before, after, self._config.checkpoint.every) and after < total:
                self._save(resumable=True)
            before = after
            if self.stopped is None and (reason := interrupted()) is not None:
                self.stopped, self.interrupted = reason, True
            if self.stopped is not None:
                break
        self._finish(first)

    def _say_what_is_over(self, total: int) -> None:
        """Say why a run that is resumed has ended already."""
        if self.stopped is not None:
            self.say(f"the run stopped at step {self.steps:,}: {self.stopped}; give it a total_steps to go on")
            return
        self.stopped = self._enough()
        if self.steps >= total or self.stopped:
            limit = "total_episodes" if self.stopped else "total_steps"
            self.say(f"the run is at step {self.steps:,} already: give it a {limit} beyond that to go on")

    def _notify(self, callbacks: Callbacks, hook: Hook[P], *arguments: P.args, **keywords: P.kwargs) -> None:
        """Call a hook of each; the first reason to stop is the one that counts."""
        reason = notify(callbacks, hook, *arguments, **keywords)
        self.stopped = self.stopped or reason

    def _finish(self, first: int) -> None:
        """Write the last checkpoint, unless it was written just now or the run was interrupted where it can't be.

        What is outside of the schedule comes after it, so that going on from it forgets that the run ended here.
        """
        resumable = not self.opaque or self._stream.at_truncation
        written = self.steps == first or self.steps in self._store.steps()
        if not written and (resumable or not self.interrupted):
            self._save(resumable=resumable)
        if self.interrupted:
            return
        if self._config.log.every and (means := self._averages.read()):
            notify(self._callbacks, Callback.metrics, self.steps, means)
        if self._config.eval.every and self._evaluated != self.steps:
            self._evaluate(self.steps, final=True)

    def _strides(self, total: int) -> Iterator[None]:
        """Go on by a step, or by many at once up to the next multiple of a period."""
        if self._compiled is None:
            overlap = self._config.overlap
            for transition, metrics in train(self._agent, self._stream, total_steps=total, overlap=overlap):
                self._take(transition, metrics)
                yield
            return
        while self.steps < total:
            wanted = self._config.total_episodes
            episodes = total if wanted is None else wanted - self.episodes
            limits = {"steps": min(total, self._next_due()), "episodes": episodes}
            self._count(self._compiled.stride(self._stream, self._tracker, self._averages, **limits))
            yield

    def _next_due(self) -> int:
        """Return the next multiple of a period."""
        config = self._config
        periods = (config.log.every, config.eval.every, config.checkpoint.every, config.total_steps)
        return min((self.steps // every + 1) * every for every in periods if every)

    def _enough(self) -> str | None:
        wanted = self._config.total_episodes
        return TOTAL_EPISODES if wanted is not None and self.episodes >= wanted else None

    def _take(self, transition: Transition, metrics: Metrics | None) -> None:
        if metrics is not None:
            require_finite(metrics, self.steps)
            self._averages.add(metrics)
        self._count(self._tracker.step(transition, self.steps))

    def _count(self, episodes: Iterable[Episode]) -> None:
        for episode in episodes:
            if self._on_episode:
                self._notify(self._on_episode, Callback.episode, episode)
            if not episode.truncated_by_checkpoint:
                self.episodes += 1
                self._averages.add(
                    {
                        "return/raw": episode.return_raw,
                        "return/learner": episode.return_learner,
                        "episode/length": episode.length,
                    }
                )

    def _log(self, step: int, seconds: float, steps: int) -> None:
        pace = {f"{CLOCK}seconds": seconds, f"{CLOCK}steps_per_second": steps / max(seconds, 1e-9)}
        self._notify(self._callbacks, Callback.metrics, step, {**self._averages.read(), **pace})

    def _evaluate(self, step: int, *, final: bool = False) -> None:
        """Score the agent; `final`: at the end of the run, outside of the schedule."""
        target = self._videos / f"step-{step:09d}.mp4" if self._config.video is Video.eval else None
        played = evaluate_agent(self._config, self._agent, self._seeds, step, target)
        evaluation = EvaluationResult(step, played, final)
        reason = notify(self._callbacks, Callback.evaluation, evaluation)
        if target is not None:
            notify(self._callbacks, Callback.media, step, target)
        self._keep_best(evaluation)
        if final:
            return  # The best agent before it is kept, too: it is the best again where the run is extended.
        self._evaluated = step
        self._drop_bests()
        if self._config.stop_at is not None and evaluation.mean_return >= self._config.stop_at:
            self.stopped = STOP_AT
        self.stopped = self.stopped or reason

    def _keep_best(self, evaluation: EvaluationResult) -> None:
        """Save the agent where it is the best so far, the newest of equals."""
        step, score = evaluation.step, evaluation.mean_return
        if score >= self._best["score"]:
            self._best = {"step": step, "score": score}
            agent = without_replay(self._agent.state_dict())
            self._best_store.save(step, {"agent": agent, "score": score, "made_for": self._made_for()})

    def _save(self, *, resumable: bool) -> None:
        self._store.save(self.steps, {**self.state_dict(), "resumable": resumable})
        self._drop_bests()

    def _drop_bests(self) -> None:
        """Keep the best agent so far, and for each checkpoint that may be gone on from the best one up to it."""
        best = self._best_store.steps()
        ends = [*self._store.steps(), self.steps]
        self._best_store.retain({max(known) for end in ends if (known := [step for step in best if step <= end])})

    def state_dict(self) -> State:
        """Return all that an exact continuation needs."""
        return {
            "made_for": self._made_for(),
            "agent": self._agent.state_dict(),
            "stream": self._stream.state_dict(),
            "tracker": self._tracker.state_dict(),
            "averages": self._averages.state_dict(),
            "best": self._best,
            "evaluated": self._evaluated,
            "episodes": self.episodes,
            # A limit of episodes says so itself.
            "stopped": None if self.interrupted or self.stopped == TOTAL_EPISODES else self.stopped,
            "callbacks": states(self._callbacks),
        }

    def _made_for(self) -> State:
        return made_for(self._config.agent, self._env)

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._agent.load_state_dict(state["agent"])
        self._stream.load_state_dict(state["stream"])
        self._tracker.load_state_dict(state["tracker"])
        self._averages.load_state_dict(state["averages"])
        self._best, self._evaluated = dict(state["best"]), state["evaluated"]
        self.episodes = state["episodes"]
        for name in load_states(self._callbacks, state["callbacks"]):
            self.say(f"{name} is not there any more: what it remembers is not kept in further checkpoints")


def require_finite(metrics: Metrics, step: int) -> None:
    """Check the losses of an update.

    Raises:
        RunError: one is no finite number: what was learnt since is lost.
    """
    for name, value in metrics.items():
        if not isfinite(value) and name.startswith("loss/"):
            raise RunError(
                f"{name} is {value} at step {step:,}: learning has diverged; start a new run with a lower "
                "agent.learning_rate, or smaller rewards"
            )


def compiled(config: TrainRunConfig, agent: Agent, env: Environment) -> CompiledLoop | None:
    """Return the compiled loop where it is asked for, or pays and can be had.

    Raises:
        UsageError: it is asked for and cannot be had.
    """
    asked = config.inner_loop
    if asked is InnerLoop.python or (asked is InnerLoop.auto and not _pays(config)):
        return None
    from rlkit.algorithms.tabular.compiled import compiled_loop

    try:
        return compiled_loop(agent, env, action_mask=config.action_mask)
    except UsageError:
        if asked is InnerLoop.numba:
            raise
        return None


def _pays(config: TrainRunConfig) -> bool:
    """Return whether the compiled loop may be worth asking for, before anything is imported."""
    alone = config.num_envs == 1 and config.vectorization is Vectorization.sync and not config.preprocess
    return alone and config.network is None and config.total_steps >= COMPILED_FROM


def stream(config: TrainRunConfig, agent: Agent, env: Environment, *, opaque: bool) -> Interaction:
    """Return the training stream of a run."""
    seeds = Seeds(config.seed)
    return interact(
        agent,
        env,
        explore=True,
        rng=seeds.generator("actions"),
        reset_seeds=lambda step: seeds.integers("episodes", step, size=env.num_envs),
        truncate_every=config.checkpoint.every if opaque else 0,
    )


def evaluate_agent(
    config: TrainRunConfig, agent: Agent, seeds: Seeds, step: int, video_path: Path | None = None
) -> list[EvaluationEpisode]:
    """Play `eval.episodes` greedy episodes in fresh environments, all randomness derived from (seed, `step`).

    The first episode is recorded to `video_path` where given.
    """
    settings = config.eval
    num_envs = min(settings.num_envs, settings.episodes)
    recorder: AbstractContextManager[list[FrameCallback]] = nullcontext([])
    if video_path is not None:
        from rlkit.rendering.render_wrapper import FRAMES, Format, side_by_side

        recorder = side_by_side(video_path, 1, Format(max_frames=FRAMES))
    with recorder as frame_callbacks:
        env = build.make_environment(
            config.environment.for_evaluation(), num_envs=num_envs, frame_callbacks=frame_callbacks
        )
        try:
            return evaluate(
                agent,
                env,
                episodes=settings.episodes,
                max_steps=settings.max_steps,
                rng=seeds.generator("evaluation actions", step),
                episode_seeds=seeds.integers("evaluation episodes", step, size=settings.episodes),
                epsilon=settings.epsilon,
                sample=settings.sample,
            )
        finally:
            env.close()
