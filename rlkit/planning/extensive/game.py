"""The rules of a game in extensive form: players in turn, chance, and what each of them knows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

CHANCE = -1
"""It is chance's turn."""

OVER = -2
"""Nobody is to move: the game has ended."""


class ExtensiveGame(Protocol):
    """Rules for P players; a state is any value, and is not changed."""

    @property
    def name(self) -> str:
        """Of the game."""

    @property
    def num_players(self) -> int:
        """P."""

    def initial_state(self) -> Any:
        """Return the state in which a game begins."""

    def to_move(self, state: Any) -> int:
        """Return whose turn it is: 0 to P - 1, `CHANCE` or `OVER`."""

    def actions(self, state: Any) -> Sequence[int]:
        """Return the legal actions of whoever is to move, rising numbers from 0 on; chance's outcomes likewise."""

    def chances(self, state: Any) -> Sequence[float]:
        """Return the probabilities of chance's outcomes, in the order of `actions`."""

    def after(self, state: Any, action: int) -> Any:
        """Return the state that an action, or an outcome of chance, leads to."""

    def information(self, state: Any) -> Hashable:
        """Return what the player to move knows: states that are equal to them have equal ones. They recall all."""

    def returns(self, state: Any) -> Sequence[float]:
        """Return what each player has won, [P], where the game is over."""

    def action_name(self, action: int) -> str:
        """Return what an action of a player is called."""
