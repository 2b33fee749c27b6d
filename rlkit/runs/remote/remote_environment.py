"""Environments in actors, which also act in them: fragments travel, not steps."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.remote import RemoteAgent
from rlkit.core.types import Array, Goals, Memory, State, TimeStep, Tree, UsageError
from rlkit.runs.remote.fragment import Fragment, FragmentOrder, PlayedStep, joined, rows, step_of
from rlkit.runs.remote.fragment_worker import EnvironmentFacts
from rlkit.runs.remote.seat import ActorEngine, ActorSeat, MakeWorker, Question
from rlkit.vector.time_steps import first_timestep

Limit = Callable[[int], int]
"""Returns after how many steps from now, counted from those that are given, a fragment must end at the latest."""


class Ordered:
    """A fragment that the actors were asked for."""

    def __init__(self, acting: State, published: Any, orders: list[FragmentOrder], questions: list[Question]):
        """Keep what was ordered of each actor.

        Args:
            acting: the parameters that act.
            published: what stands for them.
            orders: one for each actor.
            questions: likewise.
        """
        self.acting, self.published, self.orders, self.questions = acting, published, orders, questions

    @property
    def length(self) -> int:
        """T, its steps."""
        return self.orders[0].length


class RemoteEnvironment:
    """N environments, N / K in each of K actors, that are stepped by copies of the agent there.

    The stream of transitions is the usual one: `acting` returns an actor that hands out the actions of the fragment at
    hand, and `step` the time steps that followed. Fragments are joined in the actors' order. A seat knows the state of
    its environments at both ends of the fragment; in between, it is played again where a checkpoint needs it.
    """

    def __init__(
        self,
        engine: ActorEngine,
        makes: Sequence[MakeWorker],
        *,
        num_envs: int,
        lag: int,
        make_goals: Callable[[], Goals],
        remedy: str,
    ):
        """Start the actors.

        Args:
            engine: runs them.
            makes: one function for each, which makes its worker.
            num_envs: N, a multiple of their number.
            lag: of the parameters that act, in fragments: 0 or 1.
            make_goals: returns the rules of the environment's goals.
            remedy: what helps where an actor is lost for good.

        Raises:
            UsageError: the environments cannot be built.
            RunError: an actor ended.
        """
        self.num_envs, self._lag, self._engine, self._make_goals = num_envs, lag, engine, make_goals
        size = num_envs // len(makes)
        self._rows = [slice(i, i + size) for i in range(0, num_envs, size)]
        self._seats = [ActorSeat(engine, index, make, remedy) for index, make in enumerate(makes)]
        for seat in self._seats:
            seat.wait()
        facts: EnvironmentFacts = self._seats[0].answer(self._seats[0].ask("facts"))
        self.observation_space, self.action_space = facts.observation_space, facts.action_space
        self.players = 1
        self.frame_stack, self.can_resign = facts.frame_stack, facts.can_resign
        self._agent: RemoteAgent | None = None
        self._limit: Limit = lambda ahead: sys.maxsize
        self._forget()

    def _forget(self) -> None:
        """Begin with no fragment."""
        self._fragment: Fragment | None = None
        self._of: Ordered | None = None  # the order of the fragment
        self._ahead: Ordered | None = None
        self._at = 0  # steps of the fragment that were handed out
        self._after: TimeStep | None = None
        self._rngs: list[list[State]] = []  # of each actor, at each step, if it has a generator of its own
        self._stored: list[State] = []  # of a checkpoint: parameters and lengths of the first fragments

    def acting(self, agent: RemoteAgent, limit: Limit) -> RemoteEnvironment:
        """Return the actor that acts with the parameters of `agent`, for a stream of transitions of this environment.

        Args:
            agent: publishes its parameters when a fragment begins.
            limit: says where fragments must end.
        """
        self._agent, self._limit = agent, limit
        return self

    def initial_memory(self, n: int) -> Memory:
        """Return the agent's memory of `n` environments at the start of their episodes."""
        assert self._agent is not None, "acting() was not called"
        return self._agent.initial_memory(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return the actions [N, ...] and the memory of the next step; `rng` is brought to where it is after it."""
        if self._fragment is None or self._of is None or self._at == self._of.length:
            self._advance(timestep, memory, rng)
        assert self._fragment is not None
        step = step_of(self._fragment, self._at)
        self._at += 1
        self._after = step.after
        if not self._lag:
            rng.bit_generator.state = step.rng
        return step.action, step.memory

    def step(self, action: Tree) -> TimeStep:
        """Return the time step after the action that `act` has returned."""
        assert self._after is not None, "step without act"
        return self._after._replace(state=self.states)

    def send(self, action: Tree) -> None:
        """Do nothing: the step has been made."""

    def recv(self) -> TimeStep:
        """Return the time step as `step`."""
        return self.step(None)

    def _advance(self, timestep: TimeStep, memory: Memory, rng: np.random.Generator) -> None:
        """Get the next fragment, and order the one after it where a lag is tolerated."""
        assert self._agent is not None
        if self._ahead is None:
            self._ahead = self._order(timestep, memory, dict(rng.bit_generator.state), 0)
        ordered = self._ahead
        fragments = [seat.fragment(one) for seat, one in zip(self._seats, ordered.questions, strict=True)]
        self._fragment, self._of, self._ahead, self._at = joined(fragments), ordered, None, 0
        if self._lag:
            self._rngs = [part.rngs for part in fragments]
            self._order_ahead(step_of(self._fragment, ordered.length - 1))

    def _order_ahead(self, last: PlayedStep) -> None:
        """Order the fragment after the one that ends with a step, unless every episode is going to be ended then."""
        assert self._agent is not None
        length = len(self._rngs[0])
        if self._limit(0) == length:
            return
        initial = self._agent.initial_memory(self.num_envs)
        memory = tree.where(last.after.last | ~last.after.valid, initial, last.memory)
        self._ahead = self._order(last.after, memory, last.rng, length)

    def _order(self, timestep: TimeStep, memory: Memory, rng: State, ahead: int) -> Ordered:
        """Let every actor begin a fragment, `ahead` steps from now."""
        assert self._agent is not None
        stored = self._stored.pop(0) if self._stored else None
        acting = self._agent.acting_state() if stored is None else stored["acting"]
        wanted = self._agent.fragment_steps() if stored is None else stored["length"]
        length, published = min(wanted, self._limit(ahead)), self._engine.publish(acting)
        rngs = [states[-1] for states in self._rngs] if self._lag else [rng] * len(self._seats)
        orders = [
            FragmentOrder(length, 0, rows(timestep, own), tree.take(memory, own), state)
            for own, state in zip(self._rows, rngs, strict=True)
        ]
        asked = zip(self._seats, orders, strict=True)
        return Ordered(acting, published, orders, [seat.ask("collect", published, order) for seat, order in asked])

    def reset(self, seeds: list[int]) -> TimeStep:
        """Start a new episode in every environment, environment i seeded with `seeds[i]`."""
        return self._started("reset", seeds)

    def restart(self, seeds: list[int]) -> TimeStep:
        """Build every environment again, and start an episode in each."""
        return self._started("restart", seeds)

    def _started(self, method: str, seeds: list[int]) -> TimeStep:
        self._forget()
        if self._lag:
            self._rngs = [[_generator(seeds[own])] for own in self._rows]
        questions = [seat.ask(method, seeds[own]) for seat, own in zip(self._seats, self._rows, strict=True)]
        parts = [seat.begin(question) for seat, question in zip(self._seats, questions, strict=True)]
        legal = None if parts[0].legal_actions is None else np.concatenate([part.legal_actions for part in parts])
        return first_timestep(tree.concatenate([part.observation for part in parts]), legal, self.states)

    def get_state(self) -> State | None:
        """Return the whole state as plain data, or None if it cannot be read.

        Without a lag it is that of environments in one process.
        """
        if any(seat.end is None for seat in self._seats):
            return None
        state = _merged(self._now())
        return {**state, "ordered": self._pending()} if self._lag else state

    def _now(self) -> list[State]:
        """Return the state of each actor's environments after the steps that were handed out."""
        if self._of is None or self._at == self._of.length:
            return [seat.end or {} for seat in self._seats]
        orders = [order._replace(length=self._at) for order in self._of.orders]
        asked = zip(self._seats, orders, strict=True)
        questions = [seat.within(self._of.published, order) for seat, order in asked]
        return [seat.answer(question) for seat, question in zip(self._seats, questions, strict=True)]

    def _pending(self) -> State:
        """Return the actors' generators, and of what is left of the fragment at hand, and of the next: its parameters.

        They may be older than the agent's.
        """
        inside = self._of is not None and self._at < self._of.length
        done = self._at if inside else 0
        fragments = [one for one in (self._of if inside else None, self._ahead) if one is not None]
        lengths = [one.length - (done if one is self._of else 0) for one in fragments]
        return {
            "rngs": [states[done - 1] for states in self._rngs],
            "fragments": [
                {"length": length, "acting": one.acting} for length, one in zip(lengths, fragments, strict=True)
            ],
        }

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._forget()
        if self._lag:
            self._rngs = [[rng] for rng in state["ordered"]["rngs"]]
            self._stored = list(state["ordered"]["fragments"])
        parts = _split(state, len(self._seats))
        questions = [seat.restore(part) for seat, part in zip(self._seats, parts, strict=True)]
        for seat, question in zip(self._seats, questions, strict=True):
            seat.answer(question)

    def why_opaque(self) -> str | None:
        """Return in one line why the state cannot be read; None if it can be."""
        found: str | None = self._seats[0].answer(self._seats[0].ask("why_opaque"))
        return found

    def states(self, model: Any) -> Array:
        """Refuse to read the simulators' states [N, ...], which are elsewhere.

        Raises:
            UsageError: always.
        """
        raise UsageError("a search needs to read the state of the environments; use vectorization=sync")

    def goals(self) -> Goals:
        """Return the rules of its goals, of an environment in this process; errors as in `goals_of`."""
        return self._make_goals()

    def render(self, index: int = 0) -> Array:
        """Refuse to draw a frame [H, W, 3].

        Raises:
            UsageError: always.
        """
        raise UsageError("environments in actors are not drawn; use vectorization=sync to record training")

    def close(self) -> None:
        """End the actors."""
        self._engine.close()


def _generator(seeds: list[int]) -> State:
    """Return the state of a new generator of an actor whose episodes begin with these seeds."""
    return np.random.PCG64(np.random.SeedSequence([*seeds, 1])).state  # type: ignore[return-value]


def _merged(states: list[State]) -> State:
    """Return the states of several actors' environments as one: where these are single ones, as of one process."""
    if all(set(state) == {"envs"} for state in states):
        return {"envs": [one for state in states for one in state["envs"]]}
    return {"actors": states}


def _split(state: State, actors: int) -> list[State]:
    """Return the parts of a state from `_merged`."""
    if "actors" in state:
        return list(state["actors"])
    size = len(state["envs"]) // actors
    return [{"envs": state["envs"][i * size : (i + 1) * size]} for i in range(actors)]
