"""Games in which each of two players chooses once, without knowing the other's choice, as tables of payoffs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from rlkit.core.types import Array, UsageError
from rlkit.planning.extensive.game import OVER

State = tuple[int, ...]


class MatrixGame:
    """Two players, a row and a column; in extensive form the second moves later, and does not know the first's move."""

    num_players = 2

    def __init__(self, name: str, rows: Array, columns: Array, action_names: Sequence[str]):
        """Set up a game.

        Args:
            name: of the game.
            rows: [A, B] payoffs of the player who chooses a row.
            columns: [A, B] of the one who chooses a column.
            action_names: [max(A, B)].

        Raises:
            UsageError: the tables are none, or of two shapes.
        """
        rows, columns = np.asarray(rows, float), np.asarray(columns, float)
        if rows.ndim != 2 or rows.shape != columns.shape or not rows.size:
            raise UsageError(
                f"the payoffs of {name} are tables of shapes {list(rows.shape)} and {list(columns.shape)}; both "
                "players need one, a row for each choice of the first and a column for each of the second"
            )
        self.name, self._payoffs, self._names = name, np.stack([rows, columns], -1), tuple(action_names)

    def initial_state(self) -> State:
        """Return that nobody has chosen."""
        return ()

    def to_move(self, state: State) -> int:
        """Return the player who has not chosen yet."""
        return len(state) if len(state) < 2 else OVER

    def actions(self, state: State) -> Sequence[int]:
        """Return the rows, or the columns."""
        return range(self._payoffs.shape[len(state)])

    def chances(self, state: State) -> Sequence[float]:
        """Return nothing: nothing is left to chance."""
        return ()

    def after(self, state: State, action: int) -> State:
        """Return the choices so far."""
        return (*state, action)

    def information(self, state: State) -> Hashable:
        """Return the player: nothing else is known."""
        return len(state)

    def returns(self, state: State) -> Sequence[float]:
        """Return the payoffs."""
        return self._payoffs[state].tolist()  # type: ignore[no-any-return]

    def action_name(self, action: int) -> str:
        """Return the name of a choice."""
        return self._names[action]
