"""Games with turns: models with a beginning, and names of moves for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from rlkit.core.types import Array, StepInfo, TimeStep, UsageError
from rlkit.planning.search.model import Model


class Game(Model, Protocol):
    """A `Model` of a game for two whose moves have names."""

    @property
    def name(self) -> str:
        """Of the game."""

    @property
    def solved(self) -> bool:
        """Whether an exact solver knows the best moves."""

    @property
    def draws(self) -> bool:
        """Whether moves lie on its frame (`action_at`), so that it can be played in a window."""

    def initial_state(self) -> Array:
        """Return the state in which a game begins, [...]."""

    def first_to_move(self, states: Array) -> Array:
        """Return where whoever began is to move, [B] bool."""

    def move_name(self, state: Array, action: int) -> str:
        """Return what a move is called in a state [...]."""

    def text(self, state: Array) -> str:
        """Return the board of a state [...] as lines of text."""

    def optimal_moves(self, states: Array) -> Array:
        """Return which moves a perfect player would make, [B, A] bool."""

    def frame(self, state: Array, last: int | None = None) -> Any:
        """Return the board of a state [...] as a frame, a PIL image; `last` is the move that led to it."""

    def action_at(self, row: float, column: float) -> int:
        """Return the move at a point of the frame; `row` and `column` are from 0 to 1."""


def move_named(game: Game, state: Array, name: str) -> int:
    """Return the legal move of that name in a state [...].

    Raises:
        UsageError: there is none; the moves that there are are named.
    """
    names = {game.move_name(state, action): action for action in legal_moves(game, state)}
    if name not in names:
        raise UsageError(f"{name!r} is no legal move of {game.name} here; there is: {' '.join(names)}")
    return names[name]


def legal_moves(game: Game, state: Array) -> list[int]:
    """Return the legal moves in a state [...]."""
    return [int(action) for action in np.flatnonzero(game.legal_actions(state[None])[0])]


def after(game: Game, states: Array, action: Array) -> tuple[Array, Array, Array]:
    """Return states [B, ...], rewards of whoever moved [B] and discounts [B] after the moves `action` [B]."""
    step = game.step(states, action, np.zeros(len(states), np.int64))
    return step.state, step.reward, step.discount


def position(game: Game, moves: list[str]) -> tuple[Array, int | None]:
    """Return the state [...] after moves from the beginning, and the last of them.

    Raises:
        UsageError: a move is not legal, or the game is over before the last.
    """
    state, last = game.initial_state(), None
    for i, name in enumerate(moves):
        last = move_named(game, state, name)
        reached, _, discount = after(game, state[None], np.array([last]))
        if discount[0] == 0:
            raise UsageError(f"the game is over after {' '.join(moves[: i + 1])}; no move can be analyzed there")
        state = reached[0]
    return state, last


def move_names(game: Game, moves: list[int]) -> list[str]:
    """Return what legal moves from the beginning are called."""
    state, names = game.initial_state(), []
    for move in moves:
        names.append(game.move_name(state, move))
        state = after(game, state[None], np.array([move]))[0][0]
    return names


def timestep_for_mover(game: Game, states: Array) -> TimeStep:
    """Return the time step of `states` [B, ...] for whoever is to move, an `rlkit.core.types.Actor`."""
    n, legal, observation = len(states), game.legal_actions(states), game.observation(states)
    zeros, never = np.zeros(n, np.float32), np.zeros(n, bool)
    info = StepInfo(np.zeros(n), never, never)
    state: Callable[[Any], Array] = lambda model: states  # noqa: E731 - what a search reads
    ones = np.ones(n, np.float32)
    return TimeStep(observation, zeros, ones, never, observation, ~never, legal, legal, state, info)
