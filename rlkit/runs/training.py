"""A training run: the loop, and what happens at the multiples of its periods."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from pathlib import Path

from rlkit.algorithms.fixed_policies import NonLearning
from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import Vectorization
from rlkit.core.alike import require_alike
from rlkit.core.callback import CLOCK, Callback
from rlkit.core.checkpoint import Store
from rlkit.core.divergence import diverged, infinite_observation
from rlkit.core.loop import Interaction, crossed, interact, refuse_odd_reward, train
from rlkit.core.ranks import Ranks
from rlkit.core.seeding import Seeds
from rlkit.core.statistics import Averages, Episode, EpisodeTracker
from rlkit.core.types import Actor, Agent, Environment, Interrupted, Metrics, State, Transition, UsageError
from rlkit.runs import build
from rlkit.runs.callbacks import Callbacks, Hook, P, implementing, load_states, notify, states
from rlkit.runs.compatibility import (
    fitting,
    made_for,
    require_fit,
    require_moments,
    require_parts,
    require_state_of,
    without_replay,
)
from rlkit.runs.evaluations import STOP_AT, EvaluationError, Evaluations
from rlkit.runs.folder import CHECKPOINTS
from rlkit.vector.manners import return_to

TOTAL_EPISODES = "total_episodes was reached"
ENDED = (
    "the environment's state cannot be read, so that a run resumes only at a multiple of checkpoint.every, and this "
    "one ended before the first: train again with a smaller checkpoint.every"
)
"""Why a run may not resume from a whole checkpoint."""


WITHOUT_SEGMENTS = (
    "only what its replay held is damaged: resume with empty_replay=true to go on without it, or start the run again"
)
"""What to do where only segments are damaged."""


class Training:
    """The training of one run, from its built parts.

    Attributes:
        opaque: the environment's state cannot be read.
        evaluations: those of the run, and its best agent.
        episodes: training episodes that have ended, without those that a checkpoint truncated.
        stopped: why it ended before `total_steps`, or None.
        interrupted: a signal ended it before its time.
        stuck: it did so in the middle of a step of the environment, which did not return.
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
        ranks: Ranks | None = None,
    ):
        """Prepare to train `agent` in `env`.

        Args:
            config: the run's.
            directory: its folder.
            videos: that of its videos.
            agent: learns.
            env: it acts in.
            callbacks: listen.
            opaque: the environment's state cannot be read.
            ranks: the processes that train together; None: this one is alone.

        Raises:
            UsageError: ``inner_loop=numba``, and there is no compiled loop for this agent and environment.
        """
        rank, self._world = (0, 1) if ranks is None else (ranks.rank, ranks.size)
        self._config = config
        self._agent = agent
        self._env = env
        self._callbacks = callbacks
        self._on_step = implementing(callbacks, Callback.step)
        self._on_episode = implementing(callbacks, Callback.episode)
        self.opaque = opaque
        self._stream = stream(config, agent, env, opaque=opaque, rank=rank, ranks=self._world)
        self._home = Path.cwd()
        self._tracker = EpisodeTracker(env.num_envs, config.log.info)
        self._averages = Averages()
        self._compiled = build.compiled_loop(config, agent, env)
        self.episodes = 0
        self._odd_reward = False
        # A run with an opaque environment may not resume from its last checkpoint: the scheduled one before it serves.
        keep = max(config.checkpoint.keep, 2 if opaque else 1)
        folder = directory / CHECKPOINTS
        if rank:
            # The first rank's checkpoint comes last: without it, that of before has to be there still.
            keep, folder = keep + 1, folder / f"rank-{rank}"
        self._store = Store(folder, keep, self.say)
        self.evaluations = Evaluations(
            config, folder, videos, agent=agent, callbacks=callbacks, made_for=self._made_for, warn=self.say
        )
        self.stopped: str | None = None
        self.interrupted = False
        self.stuck = False
        self._unfinished: int | None = None
        self._begun = time.perf_counter(), 0

    def say(self, line: str) -> None:
        """Show a line to the user."""
        notify(self._callbacks, Callback.message, line)

    def _say_once(self, line: str) -> None:
        """Say that a reward is not finite, which harms nobody who does not learn."""
        if not self._odd_reward:
            self.say(f"{line}: so are returns and scores with it")
        self._odd_reward = True

    @property
    def steps(self) -> int:
        """Agent decisions so far."""
        return self._stream.steps

    @property
    def is_unfinished(self) -> bool:
        """Whether an evaluation was interrupted, which a resumed run begins with."""
        return self._unfinished is not None

    @property
    def num_envs(self) -> int:
        """Environments side by side."""
        return self._env.num_envs

    @property
    def resumes_at(self) -> int:
        """The step from which an interrupted run would resume."""
        return max(self._store.steps(), default=0)

    @property
    def reproduced(self) -> bool:
        """Whether the environment, started again with the same seed, began as it did before."""
        return self._stream.reproduced

    def resume(self, *, extended: bool, empty_replay: bool = False) -> None:
        """Resume from the newest whole checkpoint that allows it, or from step 0 before the first was written.

        Args:
            extended: a run that had stopped goes on, because its limit was raised.
            empty_replay: what the replay held is left out.

        Raises:
            CheckpointError: there are checkpoints, but no usable one.
            UsageError: the run is beyond `total_steps` by more than the last step of its environments.
        """
        if not self._has_checkpoints():
            self.say("there is no checkpoint yet: starting again from step 0")
            return
        step, state = self._newest(segments=not empty_replay)
        if empty_replay:
            state["agent"] = self._without_replay(state["agent"])
            self._store.link_nothing_before(step)
        with fitting(f"checkpoint {self._store.directory / str(step)}"):
            require_fit(state["made_for"], self._made_for())
            require_moments(state, step)
            self._require_alike(state)
            self.load_state_dict(state)
        if self.steps >= (total := self._config.total_steps) + self._world * self._env.num_envs:
            raise UsageError(f"total_steps is {total:,}, and the run is at step {self.steps:,} already: raise it")
        self.stopped = None if extended else state["stopped"]
        self._store.drop_after(step)
        # The final evaluation of a run that is extended was made at this step, but after its checkpoint.
        self.evaluations.drop_after(self.evaluations.best_step or 0)

    def _has_checkpoints(self) -> bool:
        return bool(self._store.steps())

    def _newest(self, *, segments: bool) -> tuple[int, State]:
        """Return step and state of the newest checkpoint that a run may resume from; errors as in `load_newest`."""
        return self._store.load_newest(may_resume, ENDED, segments=segments, without_segments=WITHOUT_SEGMENTS)

    def run(self, interrupted: Callable[[], str | None]) -> None:
        """Train until `total_steps` or a reason to stop; `interrupted` returns the signal that asks for it, or None."""
        try:
            self._train(interrupted)
        except Interrupted as reason:
            # The environment is in the middle of a step: there is nothing to save.
            self._interrupt(str(reason))
            self.stuck = True

    def _train(self, interrupted: Callable[[], str | None]) -> None:
        total = self._config.total_steps
        first = before = self.steps
        self._begun = time.perf_counter(), first
        if self._unfinished is None:
            self._say_if_over(total)
        else:
            self._take_stock(self._unfinished, interrupted)
            if not self.interrupted:
                self._save(resumable=True)
        due = self._next_due()
        for _ in self._strides(0 if self.stopped else total):
            if self._stream.steps >= due or self.stopped is not None or self._enough() is not None:
                self._take_stock(before, interrupted)
                before, due = self.steps, self._next_due()
            elif self._on_step:
                self._notify(self._on_step, Callback.step, self.steps)
            if self.stopped is None and (reason := interrupted()) is not None:
                self._interrupt(reason)
            if self.stopped is not None:
                break
        self._finish(first, interrupted)

    def _take_stock(self, before: int, interrupted: Callable[[], str | None]) -> None:
        """Do what is due after the steps since `before`; where an evaluation is interrupted, leave it all to resume."""
        after, config = self.steps, self._config
        if crossed(before, after, config.eval.every) and not self._evaluates(before, interrupted):
            self._unfinished = before
            return
        self._unfinished = None
        if crossed(before, after, config.log.every):
            self._log()
        if self._on_step:
            self._notify(self._on_step, Callback.step, after)
        self.stopped = self._reason_to_stop()
        if crossed(before, after, config.checkpoint.every) and after < config.total_steps:
            self._save(resumable=True)

    def _evaluates(self, before: int, interrupted: Callable[[], str | None]) -> bool:
        """Evaluate, and return whether that was not interrupted; where it fails, what was trained is saved first."""
        try:
            return self._evaluate(interrupted)
        except EvaluationError:
            self._save_unfinished(before)
            raise

    def _save_unfinished(self, before: int) -> None:
        """Save what was trained up to an evaluation that is to be made again, if that can be resumed."""
        if not self.opaque or self._stream.at_truncation:
            self._unfinished = before
            self._save(resumable=True)

    def _reason_to_stop(self) -> str | None:
        return self.stopped or self._enough()

    def _interrupt(self, reason: str) -> None:
        self.stopped, self.interrupted = reason, True

    def _say_if_over(self, total: int) -> None:
        """Say why a run that is resumed has ended already."""
        if self.stopped is not None:
            self.say(f"the run stopped at step {self.steps:,}: {self.stopped}; set total_steps to go on")
            return
        self.stopped = self._enough()
        if self.steps >= total or self.stopped:
            limit = "total_episodes" if self.stopped else "total_steps"
            self.say(f"the run is at step {self.steps:,} already: set a greater {limit} to go on")

    def _notify(self, callbacks: Callbacks, hook: Hook[P], *arguments: P.args, **keywords: P.kwargs) -> None:
        """Call a hook of each; the first reason to stop is the one that counts."""
        reason = notify(callbacks, hook, *arguments, **keywords)
        self.stopped = self.stopped or reason

    def _finish(self, first: int, interrupted: Callable[[], str | None]) -> None:
        """Write the last checkpoint, unless it is written already, or the run was interrupted where it cannot resume.

        What is outside of the schedule comes after it, so that a run that resumes from it does not know of this end.
        """
        resumable = not self.opaque or self._stream.at_truncation
        if self._unfinished is not None and self.steps == first:
            return  # It was interrupted in the same evaluation again.
        written = self.steps == first or self.steps in self._store.steps()
        if not written and (resumable or not self.interrupted):
            self._save(resumable=resumable)
        if self.interrupted:
            return
        if self._config.log.every and (means := self._averages.read()):
            notify(self._callbacks, Callback.metrics, self.steps, means)
        if self._config.eval.every and self.evaluations.last != self.steps:
            self._evaluate_at_end(interrupted)

    def _evaluate_at_end(self, interrupted: Callable[[], str | None]) -> None:
        try:
            self.evaluations.evaluate(self.steps, interrupted, final=True)
        except Interrupted as reason:
            self._interrupt(str(reason))

    def wait(self) -> None:
        """Wait until all processes of the run have come to its end; this one is alone."""

    def _strides(self, total: int) -> Iterator[None]:
        """Advance by a step, or by many at once up to the next multiple of a period."""
        if self._compiled is None:
            steps = train(
                self._agent,
                self._stream,
                total_steps=total,
                overlap=self._config.overlap,
                on_odd_reward=self._say_once if isinstance(self._agent, NonLearning) else refuse_odd_reward,
            )
            for transition, metrics in steps:
                self._add(transition, metrics)
                yield
            return
        if self._compiled.needs_compiling():
            self.say("compiling the loop, once for all runs …")
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

    def _add(self, transition: Transition, metrics: Metrics | None) -> None:
        if metrics is not None:
            require_finite(metrics, self.steps, transition)
            self._averages.add(metrics)
        if episodes := self._tracker.step(transition, self.steps):
            self._count(episodes)

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
                        **episode.info,
                    }
                )

    def _log(self) -> None:
        return_to(self._home)
        started, first = self._begun
        seconds = time.perf_counter() - started
        pace = {f"{CLOCK}seconds": seconds, f"{CLOCK}steps_per_second": (self.steps - first) / max(seconds, 1e-9)}
        self._notify(self._callbacks, Callback.metrics, self.steps, {**self._averages.read(), **pace})

    def _evaluate(self, interrupted: Callable[[], str | None]) -> bool:
        """Evaluate, and return whether that was not interrupted."""
        return_to(self._home)
        try:
            reason = self.evaluations.evaluate(self.steps, interrupted)
        except Interrupted as signal:
            self._interrupt(str(signal))
            return False
        self._drop_bests()
        self.stopped = STOP_AT if reason == STOP_AT else self.stopped or reason
        return True

    def _save(self, *, resumable: bool) -> None:
        return_to(self._home)
        self._store.save(self.steps, {**self.state_dict(), "resumable": resumable})
        self._drop_bests()

    def _drop_bests(self) -> None:
        """Keep the best agent so far, and for each checkpoint the best one up to it, for a run that resumes there."""
        self.evaluations.retain([*self._store.steps(), self.steps])

    def state_dict(self) -> State:
        """Return all that an exact continuation needs."""
        return {
            "made_for": self._made_for(),
            "agent": self._agent.state_dict(),
            "stream": self._stream.state_dict(),
            "tracker": self._tracker.state_dict(),
            "averages": self._averages.state_dict(),
            "best": self.evaluations.best,
            "evaluated": self.evaluations.last,
            "episodes": self.episodes,
            "unfinished": self._unfinished,
            # Whether a limit of episodes was reached is looked at again.
            "stopped": None if self.interrupted or self.stopped == TOTAL_EPISODES else self.stopped,
            "callbacks": states(self._callbacks),
        }

    def _without_replay(self, state: State) -> State:
        if "replay" not in state:
            raise UsageError(
                "empty_replay=true is for agents with a replay, which this one does not have; leave it out"
            )
        self.say("going on with an empty replay, so not as if uninterrupted")
        return without_replay(state)

    def _require_alike(self, state: State) -> None:
        """Check the types of a state against those of this session, before anything of it is restored.

        Raises:
            ValueError: they differ.
        """
        require_state_of(self._agent, state["agent"])
        for name, part in (("stream", self._stream), ("tracker", self._tracker), ("averages", self._averages)):
            require_alike(state[name], part.state_dict(), name)

    def _made_for(self) -> State:
        return made_for(self._config.agent, self._env)

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._agent.load_state_dict(state["agent"])
        self._stream.load_state_dict(state["stream"])
        self._tracker.load_state_dict(state["tracker"])
        self._averages.load_state_dict(state["averages"])
        self.evaluations.load_state_dict(state["best"], state["evaluated"])
        self.episodes = state["episodes"]
        self._unfinished = state["unfinished"]
        for name in load_states(self._callbacks, state["callbacks"]):
            self.say(f"{name} is not there any more: its state is left out of further checkpoints")


def may_resume(state: State) -> bool:
    """Return whether a run can resume from the state of a checkpoint.

    Raises:
        CheckpointError: it does not have the parts of one.
    """
    require_parts(state)
    return bool(state["resumable"])


def require_finite(metrics: Metrics, step: int, transition: Transition) -> None:
    """Check the losses of an update after `transition`.

    Raises:
        RunError: one is not finite: what was learned since the last checkpoint is lost.
    """
    for name, value in metrics.items():
        if not isfinite(value) and name.startswith("loss/"):
            raise infinite_observation(transition.observation) or diverged(f"{name} is {value} at step {step:,}")


def stream(
    config: TrainRunConfig, agent: Agent, env: Environment, *, opaque: bool, rank: int = 0, ranks: int = 1
) -> Interaction:
    """Return the training stream of a run, of which this process is number `rank` of `ranks`."""
    seeds = Seeds(config.seed, rank)
    actor: Actor = agent
    if config.vectorization is Vectorization.ray:
        from rlkit.runs.remote.actors import acting

        actor = acting(config, agent, env, lambda: interaction.steps, opaque=opaque)
    interaction = interact(
        actor,
        env,
        explore=True,
        rng=seeds.generator("actions"),
        reset_seeds=lambda step: seeds.integers("episodes", step, size=env.num_envs),
        truncate_every=config.checkpoint.every if opaque else 0,
        ranks=ranks,
    )
    return interaction
