"""A maze seen from above."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

LAYOUT = """\
########
#...#..#
#.#.#.##
#.#....#
#.####.#
#.#..#.#
#...#..G
########"""
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # left, down, right, up
WALL, FLOOR, EXIT, PLAYER = (52, 58, 64), (241, 243, 245), (64, 192, 87), (34, 139, 230)


class Maze(gymnasium.Env[int, int]):
    """Walk from a random cell to the exit: a reward of 1 for arriving, 0 else."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012 - Gymnasium's own convention
    state_fields = ("_cell", "_steps")  # attributes that change while it runs, so that runs resume at any step

    def __init__(self, max_steps: int, render_mode: str | None = None):
        """Truncate episodes after `max_steps`; the run passes `render_mode` where it needs frames."""
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(64)
        self.action_space = spaces.Discrete(4)
        self._cells = np.array([list(row) for row in LAYOUT.splitlines()])
        self._max_steps = max_steps
        self._cell = self._steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Start in a free cell."""
        super().reset(seed=seed)  # seeds self.np_random, the only source of chance here
        self._cell = int(self.np_random.choice(np.flatnonzero(self._cells == ".")))
        self._steps = 0
        return self._cell, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Move, unless there is a wall."""
        row, column = (np.array(divmod(self._cell, 8)) + MOVES[action]).tolist()
        if self._cells[row, column] != "#":
            self._cell = 8 * row + column
        self._steps += 1
        arrived = bool(self._cells.flat[self._cell] == "G")
        return self._cell, float(arrived), arrived, self._steps >= self._max_steps, {}

    def render(self) -> np.ndarray:
        """Return the frame [256, 256, 3] uint8."""
        frame = np.full((8, 8, 3), FLOOR, np.uint8)
        frame[self._cells == "#"] = WALL
        frame[self._cells == "G"] = EXIT
        frame.reshape(64, 3)[self._cell] = PLAYER
        return frame.repeat(32, axis=0).repeat(32, axis=1)
