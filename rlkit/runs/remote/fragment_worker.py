"""What an actor is: some of a run's environments, and a copy of its agent that acts in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.config.run_config import TrainRunConfig, findable
from rlkit.core import tree
from rlkit.core.loop import interact
from rlkit.core.remote import RemoteAgent
from rlkit.core.seeding import Seeds
from rlkit.core.types import Actor, Environment, Memory, State, TimeStep, Tree
from rlkit.runs import build
from rlkit.runs.remote.fragment import Fragment, FragmentOrder, PlayedStep, packed, rows


class EnvironmentFacts(NamedTuple):
    """What a run needs to know of environments that it does not have."""

    observation_space: Any  # of one environment
    action_space: Any  # of one environment
    frame_stack: Tree
    can_resign: bool


class FragmentWorker:
    """The environments of some rows of a run, and a copy of its agent."""

    def __init__(self, config: TrainRunConfig, own: range, *, mirrors: bool, folder: str | None = None):
        """Build both.

        Args:
            config: the run's.
            own: the rows among the run's environments.
            mirrors: draw and compute for all rows, of which only these count, so that the results have the bits of one
                process; else for these alone.
            folder: the working directory, if this process is an actor's own.

        Raises:
            UsageError: the environment or the agent cannot be built.
        """
        if folder is not None:
            _move_to(folder, config)
        build.configure_torch(config)
        self._env: Environment = build.make_environment(config.environment.in_process(), num_envs=len(own))
        seeds, settings = Seeds(config.seed), replace(config.agent_config, device="cpu")
        self._agent: Any = build.make_agent(settings, self._env, seeds, fresh=False, learns=False)
        actor = (_Mirrored if mirrors else _OfRows)(self._agent, own, config.num_envs)
        self._stream = interact(actor, self._env, explore=True, rng=seeds.generator("actions"))
        self._begun = False

    def facts(self) -> EnvironmentFacts:
        """Return what the run needs to know."""
        env = self._env
        return EnvironmentFacts(env.observation_space, env.action_space, env.frame_stack, env.can_resign)

    def why_opaque(self) -> str | None:
        """Return in one line why the environments' state cannot be read; None if it can be."""
        return self._env.why_opaque()

    def reset(self, seeds: list[int]) -> tuple[TimeStep, State | None]:
        """Start new episodes, seeded by `seeds` [n]; return the first time step and the environments' state."""
        return self._started(self._env.reset, seeds)

    def restart(self, seeds: list[int]) -> tuple[TimeStep, State | None]:
        """Build the environments again, and start new episodes as `reset`."""
        return self._started(self._env.restart, seeds)

    def _started(self, start: Callable[[list[int]], TimeStep], seeds: list[int]) -> tuple[TimeStep, State | None]:
        timestep = self._stream.ask(start, seeds)
        self._begun = True
        return timestep._replace(state=None), self._env.get_state()

    def restore(self, state: State) -> None:
        """Restore the environments' state."""
        if not self._begun:
            self.reset([0] * self._env.num_envs)
        self._env.set_state(state)

    def collect(self, acting: State, order: FragmentOrder) -> tuple[Fragment, State | None]:
        """Act with the parameters `acting`; return the fragment and the environments' state after it.

        Raises:
            RunError: an environment failed, or what the agent computes is no number any more.
        """
        self._load(acting)
        return self._play(order), self._env.get_state()

    def replay(self, acting: State, order: FragmentOrder, state: State) -> State | None:
        """Return the environments' state after a fragment that begins with `state`; they stay where they are."""
        now = self._env.get_state()
        assert now is not None, "an opaque environment was asked for its state"
        self.restore(state)
        found = self.collect(acting, order)[1]
        self.restore(now)
        return found

    def _load(self, acting: State) -> None:
        agent: RemoteAgent = self._agent
        agent.load_acting_state(acting)

    def _play(self, order: FragmentOrder) -> Fragment:
        stream = self._stream
        stream.rng.bit_generator.state = order.rng
        stream.advance_to(order.timestep._replace(state=self._env.states), order.steps, order.memory)
        steps = []
        for _ in range(order.length):
            transition = next(stream)
            steps.append(
                PlayedStep(transition.action, transition.memory, stream.begin(), stream.rng.bit_generator.state)
            )
        return packed(steps)

    def close(self) -> None:
        """Close the environments."""
        self._env.close()


def _move_to(folder: str, config: TrainRunConfig) -> None:
    """Work in the run's folder, where this machine has it, and find what the user has named there."""
    if Path(folder).is_dir():
        os.chdir(folder)
    findable({"env": config.env, "preprocess": config.preprocess, "agent": config.agent})


class _OfRows:
    """Acts in some rows of N environments, each of which has its place among all."""

    def __init__(self, agent: Actor, own: range, num_envs: int):
        self._agent, self._own, self._num_envs = agent, slice(own.start, own.stop), num_envs
        self.act = agent.act

    def initial_memory(self, n: int) -> Memory:
        return tree.take(self._agent.initial_memory(self._num_envs), self._own)


class _Mirrored(_OfRows):
    """Acts in some rows of N environments as an actor for all of them does.

    It draws the same numbers, and computes on arrays of the same shapes: the last bit of a matrix product can depend on
    the number of its rows, but a row of it does not depend on the others.
    """

    def __init__(self, agent: Actor, own: range, num_envs: int):
        super().__init__(agent, own, num_envs)
        # Its own rows where they belong, and the same ones again in the places of the others.
        self._rows = (np.arange(num_envs) - own.start) % len(own)
        self.act = self._act

    def _act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        action, after = self._agent.act(
            rows(timestep, self._rows), tree.take(memory, self._rows), explore=explore, rng=rng
        )
        return tree.take(action, self._own), tree.take(after, self._own)
