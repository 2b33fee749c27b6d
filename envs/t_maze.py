"""The T-maze of Bakker, Reinforcement learning with long short-term memory (2001): remember a sign to its end."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import Array, State
from rlkit.envs.grids import AGENT, ARROW_KEYS, BONUS, DOWN, LEFT, RIGHT, UP, WALL, Board, pressed

SIGNS = ((0.0, 1.0, 1.0), (1.0, 1.0, 0.0))
"""What is observed at the start where the goal is up, and where it is down."""
CORRIDOR, JUNCTION = (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)


class TMaze(gymnasium.Env[Array, int]):
    """A corridor from a sign to a junction, where the sign says in which arm the goal is.

    An observation [3] float32 is that of `SIGNS` at the start, `CORRIDOR` after it and `JUNCTION` at the end. Going up
    or down there ends the episode. Whoever remembers the sign gets `goal`, others a mean of it and `other`.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 8}  # type: ignore[misc]

    def __init__(
        self,
        length: PositiveInt,
        goal: float,
        other: float,
        bump: float,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Make the spaces.

        Args:
            length: steps from the start to the junction.
            goal: reward of the arm that the sign means.
            other: reward of the other arm.
            bump: reward of a step against a wall, which does not move.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.
        """
        self.observation_space = spaces.Box(0.0, 1.0, (3,), np.float32)
        self.action_space = spaces.Discrete(4)  # type: ignore[assignment]
        self.render_mode = render_mode
        self._length, self._goal, self._other, self._bump, self._max_steps = length, goal, other, bump, max_steps
        self._place = self._sign = self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Draw a sign, and return it [3] float32. No options are known."""
        super().reset(seed=seed)
        self._place, self._sign, self._steps = 0, int(self.np_random.integers(2)), 0
        return self._observation(), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Go up (0), right (1), down (2) or left (3), and return what is there [3] float32."""
        self._steps += 1
        across = action in (UP, DOWN)
        if across and self._place == self._length:
            right = (action == DOWN) == bool(self._sign)
            return self._observation(), self._goal if right else self._other, True, False, {}
        place = min(max(self._place + (action == RIGHT) - (action == LEFT), 0), self._length)
        reward = self._bump if place == self._place else 0.0
        self._place = place
        return self._observation(), reward, False, self._steps == self._max_steps, {}

    def _observation(self) -> Array:
        seen = SIGNS[self._sign] if self._place == 0 else JUNCTION if self._place == self._length else CORRIDOR
        return np.array(seen, np.float32)

    def get_state(self) -> State:
        """Return place, sign and steps; the generator is captured with the environment."""
        return {"place": self._place, "sign": self._sign, "steps": self._steps}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._place, self._sign, self._steps = state["place"], state["sign"], state["steps"]

    def get_keys_to_action(self) -> dict[Any, int]:
        """Return what a person presses, in Gymnasium's convention."""
        return pressed(ARROW_KEYS)

    def render(self) -> Any:
        """Return a text, or a frame [H, W, 3] uint8, as `render_mode` says, with the goal, which agents do not see."""
        if self.render_mode == "ansi":
            rows = [" " * self._length + arm for arm in ("G.", ".G")[self._sign]]
            return "\n".join((rows[0], "." * self._place + "A" + "." * (self._length - self._place), rows[1]))
        if self.render_mode != "rgb_array":
            return None
        board = Board(3, self._length + 1)
        board.fill([(row, column) for row in (0, 2) for column in range(self._length)], WALL)
        board.grid()
        board.disc((2 * self._sign, self._length), BONUS)
        board.disc((1, self._place), AGENT)
        return np.asarray(board.image())
