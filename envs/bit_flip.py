"""Bit flipping (Andrychowicz et al., 2017, section 3.1): goals that are almost never reached by chance."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import Array

Observation = dict[str, Array]


class BitFlip(gymnasium.Env[Observation, int]):
    """An action flips one of n bits; a step costs 1 until the bits are those of the goal, which ends the episode.

    An observation has the bits, [n] int8, as ``observation`` and as ``achieved_goal``, and the goal's as
    ``desired_goal``.
    """

    state_fields = ("_bits", "_goal", "_steps")

    def __init__(self, bits: PositiveInt, max_steps: PositiveInt | None, render_mode: str | None = None):
        """Make the spaces.

        Args:
            bits: n.
            max_steps: after which an episode is truncated; None: n.
            render_mode: None or ``ansi``.
        """
        each = spaces.MultiBinary(bits)
        self.observation_space = spaces.Dict(  # type: ignore[assignment]
            observation=each, achieved_goal=each, desired_goal=each
        )
        self.action_space = spaces.Discrete(bits)  # type: ignore[assignment]
        self.render_mode = render_mode
        self._max_steps = bits if max_steps is None else max_steps
        self._bits, self._goal = np.zeros((2, bits), np.int8)
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draw bits and a goal, which are not the same. No options are known."""
        super().reset(seed=seed)
        count = len(self._bits)
        self._bits = self.np_random.integers(2, size=count, dtype=np.int8)
        wrong = self.np_random.integers(2, size=count, dtype=np.int8)
        wrong[self.np_random.integers(count)] = 1
        self._goal = self._bits ^ wrong
        self._steps = 0
        return self._observation(), {}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Flip bit `action`."""
        self._bits[action] ^= 1
        self._steps += 1
        reached = bool(self.compute_terminated(self._bits, self._goal, {}))
        return self._observation(), 0.0 if reached else -1.0, reached, self._steps >= self._max_steps, {}

    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: dict[str, Any]) -> Array:
        """Return what steps to achieved goals [..., n] earn: [...] float64, 0 for the desired ones, else -1."""
        return self.compute_terminated(achieved_goal, desired_goal, info) - 1.0

    def compute_terminated(self, achieved_goal: Array, desired_goal: Array, info: dict[str, Any]) -> Array:
        """Return whether achieved goals [..., n] are the desired ones: [...] bool."""
        return np.asarray((achieved_goal == desired_goal).all(axis=-1))

    def _observation(self) -> Observation:
        bits = self._bits.copy()
        return {"observation": bits, "achieved_goal": bits, "desired_goal": self._goal.copy()}

    def render(self) -> Any:
        """Return bits and goal as two lines of digits."""
        if self.render_mode != "ansi":
            return None
        return "\n".join("".join(map(str, each)) for each in (self._bits, self._goal))
