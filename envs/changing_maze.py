"""A maze whose walls change while the agent learns (Sutton & Barto, 2nd ed., section 8.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.ranges import PositiveInt, Probability
from rlkit.core.types import State, UsageError
from rlkit.envs.maze import Maze


class ChangingMaze(gymnasium.Env[int, int]):
    """Mazes one after the other: a state is a cell, row by row, walls included.

    Each change comes after so many steps of the environment, of all its episodes, or as soon afterwards as the agent
    stands where no new wall is. A reset with a seed begins with the first maze.
    """

    metadata = Maze.metadata

    def __init__(
        self,
        drawings: Sequence[str],
        changes_at: Sequence[int],
        step: float,
        exit: float,
        slip: Probability,
        max_steps: PositiveInt | None,
        render_mode: str | None = None,
    ):
        """Read the drawings.

        Args:
            drawings: of mazes of one size, each as `rlkit.envs.maze.Maze` has it, without bonuses.
            changes_at: after how many steps each but the first one comes.
            step: reward of every move.
            exit: reward of entering an exit, beside that of the move; it ends the episode.
            slip: probability with which a move goes to one side instead, left or right of it equally often.
            max_steps: an episode that lasts so long is truncated; None: never.
            render_mode: None, ``ansi`` or ``rgb_array``.

        Raises:
            UsageError: drawings that cannot be read or differ in size, or changes that are not one fewer, in order.
        """
        if len(changes_at) != len(drawings) - 1 or list(changes_at) != sorted(set(changes_at)):
            raise UsageError(
                f"env.changes_at is {list(changes_at)} for {len(drawings)} drawings; give one fewer, each larger than "
                "the one before"
            )
        self._mazes = [
            Maze(drawing, step, exit, 0.0, 0.0, True, False, slip, max_steps, render_mode) for drawing in drawings
        ]
        sizes = sorted({maze.layout().panels[0].states.shape for maze in self._mazes})
        if len(sizes) > 1:
            raise UsageError(f"env.drawings are of {' and '.join(f'{r} x {c}' for r, c in sizes)} cells; draw one size")
        rows, self._columns = sizes[0]
        self._changes_at, self._steps, self._number = list(changes_at), 0, 0
        self.render_mode = render_mode
        self.observation_space = spaces.Discrete(rows * self._columns)  # type: ignore[assignment]
        self.action_space = spaces.Discrete(4)  # type: ignore[assignment]

    @property
    def maze(self) -> Maze:
        """The present one."""
        return self._mazes[self._number]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin an episode; no options are known."""
        super().reset(seed=seed)
        if seed is not None:
            self._steps = self._number = 0
        self._change()
        self.maze.np_random = self.np_random
        self.maze.reset()
        return self._observed()

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Move; then the maze may change."""
        self.maze.np_random = self.np_random
        _, reward, terminated, truncated, _ = self.maze.step(action)
        self._steps += 1
        self._change()
        observation, info = self._observed()
        return observation, reward, terminated, truncated, info

    def _observed(self) -> tuple[int, dict[str, Any]]:
        row, column = self.maze.cell
        legal: Any = self.maze.mdp.legal
        return row * self._columns + column, {"action_mask": legal[self.maze.state].astype(np.int8)}

    def _change(self) -> None:
        """Go on in the next maze if it is time, and free where the agent is."""
        while self._number < len(self._changes_at) and self._steps >= self._changes_at[self._number]:
            following = self._mazes[self._number + 1]
            state = following.layout().panels[0].states[self.maze.cell]
            if state < 0:
                return
            following.set_state({**self.maze.get_state(), "state": int(state)})
            self._number += 1

    def get_keys_to_action(self) -> dict[Any, int]:
        """Return what a person presses, in Gymnasium's convention."""
        return self.maze.get_keys_to_action()

    def render(self) -> Any:
        """Return a text, or a frame [H, W, 3] uint8, as `render_mode` says."""
        return self.maze.render()

    def get_state(self) -> State:
        """Return which maze it is, and where in it the agent stands; the generator is captured with the environment."""
        return {"steps": self._steps, "number": self._number, "maze": self.maze.get_state()}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._steps, self._number = state["steps"], state["number"]
        self.maze.set_state(state["maze"])
