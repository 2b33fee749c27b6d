"""Catch, as bsuite has it (Osband et al., 2020): a ball falls, a paddle moves; observations are images."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.ranges import PositiveInt, Range
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, State, UsageError
from rlkit.envs.grids import AGENT, BONUS, Board

LEFT, STAY, RIGHT = range(3)


class Catch(gymnasium.Env[Array, int]):
    """A ball falls from a random column of the top row, one row at each step; the paddle stands in the bottom row.

    When the ball is in the bottom row, the episode ends, with 1 where the paddle is below it and -1 where it is not.
    Observations are gray images [rows * cell, columns * cell, 1] uint8; ball and paddle are white.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 6}  # type: ignore[misc]

    def __init__(
        self, rows: Annotated[int, Range(2)], columns: PositiveInt, cell: PositiveInt, render_mode: str | None = None
    ):
        """Make the spaces.

        Args:
            rows: of the field; an episode takes ``rows - 1`` steps.
            columns: of the field.
            cell: pixels of a cell's side, in observations.
            render_mode: None or ``rgb_array``.

        Raises:
            UsageError: a field of less than two rows or one column, or cells without pixels.
        """
        if rows < 2 or columns < 1 or cell < 1:
            raise UsageError(
                f"env.rows is {rows}, env.columns {columns} and env.cell {cell}; they must be at least 2, 1 and 1"
            )
        require_memory(4 * rows * columns * cell**2, "an image of this field", "set {rows}, {columns} or {cell} lower")
        self.observation_space = spaces.Box(0, 255, (rows * cell, columns * cell, 1), np.uint8)
        self.action_space = spaces.Discrete(3)  # type: ignore[assignment]
        self.render_mode = render_mode
        self._rows, self._columns, self._cell = rows, columns, cell
        self._row, self._ball, self._paddle = 0, 0, columns // 2

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Let a ball fall, the paddle in the middle; return the image [H, W, 1] uint8. No options are known."""
        super().reset(seed=seed)
        self._row, self._ball, self._paddle = 0, int(self.np_random.integers(self._columns)), self._columns // 2
        return self._observation(), {}

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Move the paddle left (0), not at all (1) or right (2), and the ball down; the image is [H, W, 1] uint8."""
        self._paddle = min(max(self._paddle + int(action) - STAY, 0), self._columns - 1)
        self._row += 1
        ended = self._row == self._rows - 1
        reward = (1.0 if self._paddle == self._ball else -1.0) if ended else 0.0
        return self._observation(), reward, ended, False, {}

    def _observation(self) -> Array:
        return image(self._rows, self._columns, self._cell, (self._row, self._ball, self._paddle))

    def get_state(self) -> State:
        """Return where ball and paddle are; the generator is captured with the environment."""
        return {"row": self._row, "ball": self._ball, "paddle": self._paddle}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._row, self._ball, self._paddle = state["row"], state["ball"], state["paddle"]

    def get_keys_to_action(self) -> dict[Any, int]:
        """Return what a person presses; whoever presses nothing stays."""
        return {("a",): LEFT, ("d",): RIGHT, 1073741904: LEFT, 1073741903: RIGHT, (): STAY}

    def render(self) -> Any:
        """Return a frame [H, W, 3] uint8."""
        if self.render_mode != "rgb_array":
            return None
        board = Board(self._rows, self._columns)
        board.grid()
        board.disc((self._row, self._ball), BONUS)
        bottom = float(self._rows)
        board.box(bottom - 0.25, self._paddle + 0.05, bottom, self._paddle + 0.95, AGENT)
        return np.asarray(board.image())


def image(rows: int, columns: int, cell: int, state: tuple[int, int, int]) -> Array:
    """Return the image [rows * cell, columns * cell, 1] uint8 of a state: ball's row and column, paddle's column."""
    row, ball, paddle = state
    cells = np.zeros((rows, columns), np.uint8)
    cells[row, ball] = cells[rows - 1, paddle] = 255
    return np.repeat(np.repeat(cells, cell, axis=0), cell, axis=1)[:, :, None]
