"""Agents in training, for the suite of agents."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv

from rlkit.core import tree
from rlkit.core.loop import interact, train
from rlkit.core.seeding import Seeds
from rlkit.core.spaces import choice_sizes, space_tree
from rlkit.core.types import Agent, Array, Environment, Memory, State, TimeStep, Transition, Tree
from rlkit.testing.driving import MakeEnv, environment
from rlkit.testing.rules import freeze, global_generators, require
from rlkit.testing.watching import Watched
from rlkit.vector.manners import is_opaque

MakeAgent = Callable[[Environment, Seeds], Agent]
"""Builds a new agent for the spaces of an environment, its generators taken from the seeds."""


class Masking:
    """An environment that allows random actions only, for agents whose environment has no such rules.

    Where an episode terminates no action is legal in its last state, as in a board game.
    """

    def __init__(self, env: Environment, rng: np.random.Generator):
        self._env, self._rng = env, rng

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, seeds: list[int]) -> TimeStep:
        """Reset, with legal actions."""
        return self._masked(self._env.reset(seeds))

    def step(self, action: Tree) -> TimeStep:
        """Step, with legal actions."""
        return self._masked(self._env.step(action))

    def recv(self) -> TimeStep:
        """Wait for the step that was sent."""
        return self._masked(self._env.recv())

    def _masked(self, timestep: TimeStep) -> TimeStep:
        if timestep.legal_actions is not None:
            return timestep
        n, sizes = self._env.num_envs, choice_sizes(self._env.action_space)
        legal = (self._rng.random((n, sum(sizes))) < 0.5) | one_of_each(sizes, n, self._rng)
        reached = legal & (timestep.discount != 0)[:, None]
        return timestep._replace(legal_actions=legal, next_legal_actions=reached)


def _states_then(env: Environment) -> Callable[[Any], Array] | None:
    """Return a function that returns the present states of the environments, also later; None: they cannot be read."""
    saved = freeze(env.get_state())
    if saved is None:
        return None

    def states(model: Any) -> Array:
        env.set_state(saved)
        return env.states(model)

    return states


class Trainee:
    """An agent, its environments and their stream, from a seed.

    Attributes:
        cut: the state cannot be read, so checkpoints truncate episodes as in a training run.
    """

    def __init__(
        self, make_agent: MakeAgent, env: Environment, seed: int, *, truncate_every: int, masked: bool = False
    ):
        seeds = Seeds(seed)
        self.env: Environment = Masking(env, seeds.generator("masks")) if masked else env
        # Streams are truncated where the state cannot be read, as in a training run.
        opaque = is_opaque(env)
        self.cut = opaque
        before = global_generators()
        with _torch_seeded(seeds):
            self.agent = make_agent(env, seeds)
        self.watched = Watched(self.agent, env.action_space, can_resign=env.can_resign)
        self.watched.note_moved("the constructor", before)
        self.stream = interact(
            self.watched,
            self.env,
            explore=True,
            rng=seeds.generator("actions"),
            reset_seeds=lambda step: seeds.integers("episodes", step, size=env.num_envs),
            truncate_every=truncate_every if opaque else 0,
        )

    def advance(self, steps: int) -> None:
        """Train until so many decisions were made."""
        for _ in train(self.watched, self.stream, total_steps=steps):
            pass

    def state_dict(self) -> State:
        """Return all that a checkpoint holds of agent and stream."""
        return {"agent": self.agent.state_dict(), "stream": self.stream.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.agent.load_state_dict(state["agent"])
        self.stream.load_state_dict(state["stream"])


class Lesson(NamedTuple):
    """A training that is over, and what it broke."""

    agent: Agent
    state: Any  # of agent and stream, at the end
    transition: Transition | None  # the next one, which the agent has not observed
    complaints: dict[str, str]
    learned: bool
    error: Exception | None


@dataclass
class AgentCase:
    """An agent under examination."""

    make_agent: MakeAgent
    make_env: MakeEnv
    seed: int
    steps: int
    num_envs: int
    action_mask: bool

    def environment(self, n: int) -> Environment:
        """Return `n` new environments."""
        return environment(self.make_env, n, action_mask=self.action_mask)

    @cached_property
    def is_vector(self) -> bool:
        """Whether `make_env` makes vector environments."""
        with closing(self.make_env()) as env:
            return isinstance(env, VectorEnv)

    @cached_property
    def action_space(self) -> Any:
        """The action space of one environment."""
        with closing(self.environment(1)) as env:
            return env.action_space

    @contextmanager
    def trainee(self, n: int | None = None, *, masked: bool = False) -> Iterator[Trainee]:
        """Yield a new agent in `n` new environments, always from the same seed."""
        with closing(self.environment(n or self.num_envs)) as env:
            yield Trainee(self.make_agent, env, self.seed, truncate_every=self.part, masked=masked)

    @property
    def part(self) -> int:
        """A fifth of the steps: where trainings are interrupted."""
        return self.steps // 5

    @cached_property
    def lesson(self) -> Lesson:
        """A whole training in several environments, watched closely."""
        return self.train(thorough=True)

    def train(self, n: int | None = None, *, masked: bool = False, thorough: bool = False) -> Lesson:
        """Train a new agent to the end."""
        with self.trainee(n, masked=masked) as trainee:
            watched = trainee.watched
            watched.thorough = thorough
            try:
                trainee.advance(self.steps)
                state, transition, error = freeze(trainee.state_dict()), next(trainee.stream), None
            except Exception as problem:  # somebody else's code can raise anything
                state, transition, error = None, None, problem
        return Lesson(trainee.agent, state, transition, watched.complaints, watched.learned, error)

    def heed(self, rule: str) -> None:
        """Raise a `ContractError` where training broke the rule."""
        require(rule not in self.lesson.complaints, self.lesson.complaints.get(rule, ""))

    @cached_property
    def situations(self) -> list[tuple[TimeStep, Memory]]:
        """Time steps and memories that the trained agent meets when it plays on."""
        rng = np.random.default_rng(self.seed)
        met = []
        with closing(self.environment(self.num_envs)) as env:
            timestep, memory = env.reset(list(range(env.num_envs))), self.lesson.agent.initial_memory(env.num_envs)
            for _ in range(20):
                seen = freeze(timestep._replace(state=None))._replace(state=_states_then(env))
                met.append((seen, freeze(memory)))
                action, memory = self.lesson.agent.act(timestep, memory, explore=True, rng=rng)
                timestep = env.step(action)
        return met


def can_be_masked(space: Any) -> bool:
    """Return whether actions can be ruled out."""
    counted = spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary
    return all(isinstance(part, counted) for part in tree.leaves(space_tree(space)))


def one_of_each(sizes: Sequence[int], n: int, rng: np.random.Generator) -> Array:
    """Return masks [n, sum(sizes)] bool that allow one value, drawn uniformly, of each choice."""
    return np.concatenate([np.eye(size, dtype=bool)[rng.integers(size, size=n)] for size in sizes], axis=1)


@contextmanager
def _torch_seeded(seeds: Seeds) -> Iterator[None]:
    """Build networks from the seed, as a run does, and leave torch's global generator as it was."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seeds.integers("network", size=1)[0])
        yield


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch, where it is in use, have so many threads for a while."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
