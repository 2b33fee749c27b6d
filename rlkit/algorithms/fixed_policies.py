"""Fixed policies, for agents that only predict what they are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.random_actions import random_action, uniform
from rlkit.core.types import Actor, FromRun, Memory, Metrics, State, TimeStep, Transition, Tree


class Uniform:
    """Draws each action uniformly from the action space, among the legal ones where the environment says which."""

    def __init__(self, action_space: FromRun[Any]):
        """Take any Gymnasium `action_space`."""
        self._space = action_space

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return a random action [N] or [N, ...] for each environment."""
        n = len(timestep.valid)
        if isinstance(self._space, spaces.Discrete):
            return uniform(int(self._space.n), n, rng, timestep.legal_actions), memory
        rows = [None] * n if timestep.legal_actions is None else list(timestep.legal_actions)
        return tree.stack([random_action(self._space, rng, row) for row in rows]), memory


class Following:
    """Acts as a policy does: a mixin for agents that learn what it is worth."""

    def __init__(self, policy: Actor):
        """Follow `policy`."""
        self._policy = policy

    def initial_memory(self, n: int) -> Memory:
        """Return what the policy remembers."""
        return self._policy.initial_memory(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return the policy's actions."""
        return self._policy.act(timestep, memory, explore=explore, rng=rng)


class Untaught:
    """Learns nothing: a mixin that makes an agent of an actor."""

    def observe(self, transition: Transition) -> None:
        """Take no notice."""

    def update(self) -> Metrics | None:
        """Learn nothing."""
        return None

    def state_dict(self) -> State:
        """Return nothing: there is no state."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Take back nothing."""
