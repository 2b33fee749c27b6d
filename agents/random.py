"""Uniformly random actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import Array, Memory, Metrics, State, TimeStep, Transition
from rlkit.explore import random_action, uniform


class Random:
    """Draws each action uniformly from the action space, among the legal ones where the environment says which."""

    def __init__(self, action_space: Any):
        """Take any Gymnasium `action_space`."""
        self._space = action_space

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return a random action [N] or [N, ...] for each environment."""
        n = len(timestep.observation)
        if isinstance(self._space, spaces.Discrete):
            return uniform(int(self._space.n), n, rng, timestep.legal_actions), memory
        return np.stack([random_action(self._space, rng) for _ in range(n)]), memory

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
