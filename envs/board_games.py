"""The base of board games for two, as models."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium
import numpy as np
from PIL import Image

from rlkit.core.types import Array, UsageError
from rlkit.envs.grids import AGENT, GOAL, TRAP, Board
from rlkit.planning.search import RuleModel, Rules
from rlkit.planning.search.minimax import action_values

COLORS = (AGENT, TRAP)
"""Of the stones of whoever began, and of the other's."""


class BoardGame(RuleModel):
    """A game on a grid as a model: a move of a player is one action, and the value of a win is 1.

    A state is a row of int64 whose last number is the player to move: 0 for whoever began.

    Attributes:
        rows: of the board.
        columns: of the board.
        name: of the game.
        solved: an exact solver knows the values of positions.
        draws: it has a frame.
    """

    bound: float | None = 1.0
    name: ClassVar[str]
    solved: ClassVar[bool] = False
    draws: ClassVar[bool] = True

    def __init__(self, rules: Rules, num_actions: int, rows: int, columns: int):
        """Set up a board of so many rows and columns."""
        self.rows, self.columns = rows, columns
        super().__init__(rules, num_actions, len(self.initial_state()))

    def initial_state(self) -> Array:
        """Return the state in which a game begins, [S] int64."""
        raise NotImplementedError

    def stones(self, states: Array) -> Array:
        """Return the stones of whoever is to move and of the other, [B, 2, R, C] bool."""
        raise NotImplementedError

    def observation(self, states: Array) -> Array:
        """Return the stones of whoever is to move and of the other, [B, 2, R, C] float32."""
        return self.stones(states).astype(np.float32)

    def read(self, env: gymnasium.Env[Any, Any]) -> Array:
        """Return the state [S] int64 of a `GameEnv`."""
        game: Any = env.unwrapped
        return np.array(game.game.states[0])

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Of one observation."""
        return 2, self.rows, self.columns

    def saved(self, states: Array) -> Array:
        """Return a copy of states [B, S]."""
        return states.copy()

    def restored(self, saved: Array) -> Array:
        """Return a copy of states `saved` [B, S] int64."""
        return np.array(saved)

    def first_to_move(self, states: Array) -> Array:
        """Return where whoever began is to move, [B] bool."""
        return np.asarray(states[:, -1] == 0)

    def move_name(self, state: Array, action: int) -> str:
        """Return a move's name in a state [S]: a letter for the column, a number for the row, as in chess."""
        row, column = divmod(action, self.columns)
        return f"{chr(97 + column)}{self.rows - row}"

    def board(self, state: Array) -> Array:
        """Return [R, C] int64: 0 where there is nothing, 1 and 2 for the stones of the first and second player."""
        own, other = self.stones(state[None])[0]
        first, second = (own, other) if state[-1] == 0 else (other, own)
        return np.asarray(first + 2 * second.astype(np.int64))

    def text(self, state: Array) -> str:
        """Return the board of a state [S] as lines of text with the names of rows and columns."""
        width = len(str(self.rows))
        shown = [
            f"{self.rows - row:>{width}} " + " ".join(".XO"[cell] for cell in cells)
            for row, cells in enumerate(self.board(state).tolist())
        ]
        return "\n".join([*shown, " " * (width + 1) + " ".join(chr(97 + c) for c in range(self.columns))]) + "\n"

    def frame(self, state: Array, last: int | None = None) -> Image.Image:
        """Return the board of a state [S] as a frame; a dot marks the cell that the move `last` changed."""
        board = Board(self.rows, self.columns)
        board.grid()
        stones = self.board(state)
        for row, column in np.argwhere(stones).tolist():
            board.disc((row, column), COLORS[stones[row, column] - 1], share=0.76)
        if last is not None:
            board.disc(self.cell(state, last), GOAL, share=0.2)
        return board.image()

    def action_at(self, row: float, column: float) -> int:
        """Return the move at a point of the frame; `row` and `column` are from 0 to 1."""
        return int(row * self.rows) * self.columns + int(column * self.columns)

    def cell(self, state: Array, action: int) -> tuple[int, int]:
        """Return the cell that a move, which led to `state` [S], put a stone on."""
        row, column = divmod(action, self.columns)
        return row, column

    def values(self, states: Array) -> Array:
        """Return the values [B] float64 of states [B, S] for whoever is to move, from -1 to 1, by an exact solver.

        Raises:
            UsageError: there is no exact solver of this game.
        """
        raise UsageError(f"there is no exact solver of {self.name}; play against opponent=mcts or random")

    def optimal_moves(self, states: Array) -> Array:
        """Return which moves keep the value of the game, [B, A] bool.

        Raises:
            UsageError: there is no exact solver of this game.
        """
        values = action_values(self, states, self.values)
        return np.asarray(values == values.max(axis=1, keepdims=True))
