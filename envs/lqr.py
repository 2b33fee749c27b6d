"""A linear system with quadratic costs, whose best control is known (Bertsekas, Dynamic Programming, vol. 1)."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from PIL import Image

from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability
from rlkit.core.types import Array, UsageError
from rlkit.envs.grids import AGENT, GOAL, LINE, Board

Result = tuple[Array, float, bool, bool, dict[str, Any]]


class Solution(NamedTuple):
    """The best control of a linear system with quadratic costs, without bounds."""

    gain: Array  # K [D, S]: the best control is ``-K x``
    cost: Array  # P [S, S]: the return from x is ``-x' P x``


def riccati(a: Array, b: Array, q: Array, r: Array, gamma: float, horizon: int | None = None) -> Solution:
    """Return the best control for ``x' = a x + b u`` and rewards ``-(x' q x + u' r u)``, discounted by `gamma`.

    The Riccati recursion, backwards from a cost of zero.

    Args:
        a: [S, S].
        b: [S, D].
        q: [S, S], positive semidefinite.
        r: [D, D], positive definite.
        gamma: discount factor.
        horizon: steps until the end, where nothing follows; None: for ever, until the cost changes no more.

    Raises:
        ArithmeticError: the cost does not converge.
    """
    cost = np.zeros_like(a)
    for _ in range(100_000 if horizon is None else horizon):
        gain = np.linalg.solve(r + gamma * b.T @ cost @ b, gamma * b.T @ cost @ a)
        before, cost = cost, q + gain.T @ r @ gain + gamma * (a - b @ gain).T @ cost @ (a - b @ gain)
        if horizon is None and np.allclose(cost, before, rtol=1e-14, atol=0):
            break
    else:
        if horizon is None:
            raise ArithmeticError("the cost does not converge: the system cannot be controlled with this gamma")
    return Solution(np.linalg.solve(r + gamma * b.T @ cost @ b, gamma * b.T @ cost @ a), cost)


class LQR(gymnasium.Env[Array, Array]):
    """A point that drifts by what pushes it, ``x' = decay x + push u``, and costs ``x x + effort u u`` in each step.

    Each of the `dimensions` is a system of its own; states and controls are bounded, far from where the best control
    goes. Episodes are truncated, never terminated.

    Attributes:
        state: [S] float64.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    state_fields = ("state", "_steps")

    def __init__(
        self,
        dimensions: PositiveInt,
        decay: Probability,
        push: PositiveFloat,
        effort: PositiveFloat,
        noise: NonNegativeFloat,
        max_state: PositiveFloat,
        max_control: PositiveFloat,
        max_steps: PositiveInt,
        render_mode: str | None = None,
    ):
        """Make the system.

        Args:
            dimensions: S, the numbers in a state and in a control.
            decay: what is left of a state after a step.
            push: by what a control of 1 moves it.
            effort: cost of a control of 1.
            noise: standard deviation of what is added in each step.
            max_state: states are clipped to it.
            max_control: bound of the controls.
            max_steps: an episode that lasts so long is truncated.
            render_mode: None or ``rgb_array``.

        Raises:
            UsageError: another `render_mode`.
        """
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"render_mode is {render_mode!r}; it must be rgb_array or left out")
        self._numbers = decay, push, effort, noise
        self._max_state, self._max_steps, self.render_mode = max_state, max_steps, render_mode
        self.observation_space = spaces.Box(-max_state, max_state, (dimensions,), np.float32)
        self.action_space = spaces.Box(-max_control, max_control, (dimensions,), np.float32)
        self.state = np.zeros(dimensions)
        self._steps = 0

    def solution(self, gamma: float, horizon: int | None = None) -> Solution:
        """Return the exact solution, as `riccati` does; its costs leave out those of the noise."""
        decay, push, effort, _ = self._numbers
        one = np.eye(len(self.state))
        return riccati(decay * one, push * one, one, effort * one, gamma, horizon)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Begin with a state [S] drawn uniformly from half of the bounds."""
        super().reset(seed=seed)
        half = np.full(len(self.state), self._max_state / 2)
        self.state, self._steps = self.np_random.uniform(-half, half), 0
        return self._observation(), {}

    def step(self, action: Array) -> Result:
        """Push by `action` [S] float32."""
        decay, push, effort, noise = self._numbers
        control = np.asarray(action, np.float64)
        reward = -float(self.state @ self.state + effort * control @ control)
        after = decay * self.state + push * control
        if noise:
            after = after + noise * self.np_random.standard_normal(len(after))
        self.state = np.clip(after, -self._max_state, self._max_state)
        self._steps += 1
        return self._observation(), reward, False, self._steps >= self._max_steps, {}

    def _observation(self) -> Array:
        return self.state.astype(np.float32)

    def render(self) -> Array:
        """Return a frame [H, W, 3] uint8: a line for each dimension, its goal in the middle."""
        rows = len(self.state)
        board = Board(rows, 9, size=480)
        for row, number in enumerate(self.state.tolist()):
            board.line((row + 0.5, 0.5), (row + 0.5, 8.5), LINE, share=0.03)
            board.disc((row, 4), GOAL, share=0.2)
            board.disc((row, 4 + 4 * number / self._max_state), AGENT, share=0.4)
        image: Image.Image = board.image()
        return np.asarray(image)
