"""The one loop: an agent and N environments as a stream of transitions that all else consumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from rlkit.core import tree
from rlkit.core.alike import require_alike
from rlkit.core.divergence import infinite_observation
from rlkit.core.statistics import count, finite_rewards
from rlkit.core.types import (
    Actor,
    Agent,
    DivergedError,
    Environment,
    Interrupted,
    Memory,
    Metrics,
    RunError,
    State,
    StepInfo,
    TimeStep,
    Transition,
    Tree,
    UsageError,
    WorkerError,
    a_kind,
    described,
)

T = TypeVar("T")

FIX = "fix it"
"""What to do when an environment fails."""

RESUME = f"{FIX}, then resume from the last checkpoint with resume="
"""What to do when an environment fails while a run trains."""

NOT_IN_STEP = (
    "processes that train together need environments that begin a new episode in the step that ends one, and these "
    "take another for it: set vectorization=sync, or train without torchrun"
)
"""Why a native vector environment may be none for ranks, whose decisions must be as many."""

ResetSeeds = Callable[[int], list[int]]
"""Returns the seeds [N] of the episodes that start at a given step."""


def crossed(before: int, after: int, every: int) -> bool:
    """Return whether a multiple of `every` lies in (before, after]; always False if `every` is 0."""
    return every > 0 and after // every > before // every


class Interaction(Iterator[Transition]):
    """The stream that `interact` returns, and its state, with which it can continue in another process.

    Attributes:
        steps: agent decisions so far, summed over environments, and over processes that train together.
        rng: the generator that `act` draws from.
        at_truncation: the last step crossed a multiple of `truncate_every` and ended every episode.
        reproduced: after `load_state_dict`, an opaque environment began with the same observation as when it was saved.
    """

    def __init__(
        self,
        agent: Actor,
        env: Environment,
        *,
        explore: bool,
        rng: np.random.Generator,
        reset_seeds: ResetSeeds,
        truncate_every: int,
        remedy: str,
        ranks: int,
    ):
        self._agent = agent
        self._env = env
        self._explore = explore
        self.rng = rng
        self._reset_seeds = reset_seeds
        self._truncate_every = truncate_every
        self._remedy = remedy
        self._ranks = ranks
        self._initial = agent.initial_memory(env.num_envs)
        self._memory: Memory = self._initial
        self._timestep: TimeStep | None = None
        self._sent: tuple[Tree, Memory] | None = None
        self.steps = 0
        self.at_truncation = False
        self.reproduced = True

    def __next__(self) -> Transition:
        """Let the agent act once in every environment; errors as in `send`."""
        now = self.begin() if self._timestep is None else self._timestep
        action, memory = self._act(now)
        return self._transition(now, action, memory, self.ask(self._env.step, action))

    def _act(self, now: TimeStep) -> tuple[Tree, Memory]:
        try:
            return self._agent.act(now, self._memory, explore=self._explore, rng=self.rng)
        except DivergedError as error:
            raise infinite_observation(now.observation) or error from error

    def begin(self) -> TimeStep:
        """Return the time step to act on; environments are reset if they have not been yet."""
        if self._timestep is None:
            self._timestep = self.ask(self._env.reset, self._reset_seeds(0))
        return self._timestep

    def advance_to(self, timestep: TimeStep, steps: int, memory: Memory | None = None) -> None:
        """Continue from `timestep` at `steps` decisions, which the environments reached by other means.

        `memory` is the agent's then; None: as it is.
        """
        self._memory = self._memory if memory is None else memory
        self._timestep = timestep
        self.steps = steps

    def send(self) -> None:
        """Let the agent act and the environments start their step; call `recv` next.

        Raises:
            DivergedError: what the agent computes is no number any more.
            RunError: for the environment showed infinite numbers; or as in `ask`.
        """
        self._sent = self._act(self.begin())
        self.ask(self._env.send, self._sent[0])

    def recv(self) -> Transition:
        """Wait for the step that `send` started."""
        assert self._timestep is not None
        assert self._sent is not None
        action, memory = self._sent
        self._sent = None
        return self._transition(self._timestep, action, memory, self.ask(self._env.recv))

    def _transition(self, now: TimeStep, action: Tree, memory: Memory, after: TimeStep) -> Transition:
        """Count the step from `now` to `after`, and return it."""
        before, valid = self.steps, count(after.valid)
        self.steps = before + valid * self._ranks
        if self._ranks > 1 and valid < len(after.valid):
            raise UsageError(NOT_IN_STEP)
        if self._truncate_every:
            self.at_truncation = crossed(before, self.steps, self._truncate_every)
            after = self._truncate(after) if self.at_truncation else after
        self._timestep = after
        self._memory = memory
        if memory is not self._initial and (valid < len(after.valid) or count(after.last)):
            self._memory = tree.where(after.last | ~after.valid, self._initial, memory)
        # Positions are faster than names, and this is done at every step.
        return Transition(
            now.observation,
            action,
            after.reward,
            after.discount,
            after.next_observation,
            after.last,
            after.valid,
            now.legal_actions,
            after.next_legal_actions,
            after.info,
            memory,
        )

    def ask(self, method: Callable[..., T], *arguments: Any) -> T:
        """Call a method of the environments, whose code may be a user's and can raise anything, or leave the process.

        Raises:
            RunError: it did.
            UsageError: what it returned, or was given, does not fit, and nothing was played yet: the settings or the
                environment are wrong, not the run.
        """
        cause: BaseException
        try:
            return method(*arguments)
        except WorkerError as error:
            cause, what = error, str(error)
        except (RunError, Interrupted, KeyboardInterrupt):
            raise
        except UsageError as error:
            if self.steps == 0:
                raise
            cause, what = error, str(error)
        except BaseException as error:
            cause, what = error, f"the environment raised {described(error)}"
        remedy = self._remedy if self.steps else FIX
        raise RunError(f"{' '.join(what.split())} (after step {self.steps}); {remedy}") from cause

    def _truncate(self, after: TimeStep) -> TimeStep:
        """End every episode as truncated and start new ones, seeded by the step."""
        fresh = self.ask(self._env.restart, self._reset_seeds(self.steps))
        # A game whose lost life ended an episode in this step is truncated too.
        truncated = after.valid & ~after.info.game_over
        return after._replace(
            observation=fresh.observation,
            legal_actions=fresh.legal_actions,
            last=after.last | truncated,
            info=after.info._replace(truncated_by_checkpoint=truncated),
        )

    def state_dict(self) -> State:
        """Return the state; an opaque environment's is None, which is valid only at a multiple of `truncate_every`."""
        timestep = None if self._timestep is None else timestep_state(self._timestep)
        return {
            "steps": self.steps,
            "timestep": timestep,
            "memory": self._memory,
            "rng": self.rng.bit_generator.state,
            "env": None if self._truncate_every or timestep is None else self._env.get_state(),
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.steps = state["steps"]
        self._memory = state["memory"]
        self.rng.bit_generator.state = state["rng"]
        if state["timestep"] is None:
            return
        opaque = state["env"] is None
        begin = self._env.restart if opaque else self._env.reset
        fresh = self.ask(begin, self._reset_seeds(self.steps if opaque else 0))
        require_alike(state["timestep"], timestep_state(fresh), "stream.timestep")
        _require_masks(state["timestep"], fresh)
        self._timestep = timestep_from_state(state["timestep"])._replace(state=self._env.states)
        if opaque:
            self.reproduced = tree.equal(fresh.observation, self._timestep.observation)
            self._timestep = self._timestep._replace(observation=fresh.observation)
        else:
            self._env.set_state(state["env"])


def _require_masks(found: State, fresh: TimeStep) -> None:
    """Check that stored legal actions are masks, where the environment says which are legal.

    Raises:
        ValueError: they are not.
    """
    masked = fresh.legal_actions is not None
    for name in ("legal_actions", "next_legal_actions"):
        if found[name] is not None and not (masked and isinstance(found[name], np.ndarray)):
            raise ValueError(f"stream.timestep.{name} is {a_kind(found[name])}: there are no masks")
    if masked and found["next_legal_actions"] is not None:
        require_alike(found["next_legal_actions"], fresh.legal_actions, "stream.timestep.next_legal_actions")


def interact(
    agent: Actor,
    env: Environment,
    *,
    explore: bool,
    rng: np.random.Generator,
    reset_seeds: ResetSeeds | None = None,
    truncate_every: int = 0,
    remedy: str = RESUME,
    ranks: int = 1,
) -> Interaction:
    """Return the endless stream of transitions of `agent` in `env`, which training, evaluation and videos consume.

    Args:
        agent: chooses the actions; only its `act` is called.
        env: N parallel environments.
        explore: passed to `act`.
        rng: the generator that `act` draws from.
        reset_seeds: returns the seeds [N] of the episodes that start at step 0 or at a truncation; None: they are
            drawn from `rng`, which is for streams that are never resumed.
        truncate_every: for environments whose state cannot be read, truncate all episodes and start new ones whenever
            the number of decisions crosses a multiple of this; 0: never.
        remedy: what errors of the environments advise.
        ranks: how many processes train together (`rlkit.core.ranks`), whose decisions are counted, too.
    """

    def drawn(step: int) -> list[int]:
        return rng.integers(2**31, size=env.num_envs).tolist()  # type: ignore[no-any-return]

    seeds = reset_seeds or drawn
    return Interaction(
        agent,
        env,
        explore=explore,
        rng=rng,
        reset_seeds=seeds,
        truncate_every=truncate_every,
        remedy=remedy,
        ranks=ranks,
    )


def refuse_odd_reward(line: str) -> None:
    """Raise a `RunError` with `line` and the remedy."""
    raise RunError(f"{line}: {RESUME}")


def _look_at_rewards(transition: Transition, steps: int, on_odd_reward: Callable[[str], None]) -> None:
    for rewards in (transition.info.raw_reward, transition.reward):
        odd = np.flatnonzero(~np.isfinite(rewards))
        if odd.size:
            on_odd_reward(_odd_reward(rewards[odd[0]], transition.info.raw_reward[odd[0]], steps))
            return


def _odd_reward(reward: float, raw_reward: float, steps: int) -> str:
    """Return what is wrong with a reward that is not finite as float32, `raw_reward` before any wrapper."""
    if not np.isfinite(raw_reward):
        return f"the environment returned the reward {raw_reward} at step {steps:,}; it must be finite"
    begun = f"the environment returned the reward {raw_reward:g} at step {steps:,}"
    return f"{begun}, which is {reward} as float32; it must be finite"


def train(
    agent: Agent,
    stream: Interaction,
    *,
    total_steps: int,
    overlap: bool = False,
    on_odd_reward: Callable[[str], None] = refuse_odd_reward,
) -> Iterator[tuple[Transition, Metrics | None]]:
    """Feed the stream to the agent and let it learn until `total_steps` decisions have been made.

    Yields each transition with the metrics of the update that followed it, None if there was no update.

    Args:
        agent: learns.
        stream: its transitions.
        total_steps: decisions, summed over environments.
        overlap: update the agent while the environments take their step, so that an update comes one step later;
            only for agents that learn from a replay. The results do not depend on timing.
        on_odd_reward: called, before the agent observes it, with a line that says which reward is not finite.

    Raises:
        RunError: a reward is not finite, unless `on_odd_reward` allows that.
    """
    while stream.steps < total_steps:
        if overlap:
            stream.send()
            metrics = agent.update()
            transition = stream.recv()
        else:
            transition = next(stream)
        if not finite_rewards(transition):
            _look_at_rewards(transition, stream.steps, on_odd_reward)
        agent.observe(transition)
        yield transition, metrics if overlap else agent.update()


def timestep_state(timestep: TimeStep) -> State:
    """Return a time step as plain data, without the simulators' states, which the environment saves itself."""
    info = {name: value for name, value in timestep.info._asdict().items() if name != "logged"}
    return timestep._replace(state=None, info=info)._asdict()  # type: ignore[arg-type]


def timestep_from_state(state: State) -> TimeStep:
    """Return the time step of a state from `timestep_state`."""
    return TimeStep(**{**state, "info": StepInfo(**state["info"])})
