"""Fixed policies, for agents that only predict what they are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import Actor, Array, Memory, TimeStep
from rlkit.explore import random_action, uniform
from rlkit.loop import mixed


class Uniform:
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


def of_run(run: str, checkpoint: str, epsilon: float, action_space: Any) -> Actor:
    """Return what the agent of a run folder does in evaluations, with a share `epsilon` of uniformly drawn actions.

    Raises:
        UsageError: there is no such run or checkpoint.
    """
    from rlkit.run import Run

    return mixed(Run(run).load_agent(checkpoint), action_space, epsilon)
