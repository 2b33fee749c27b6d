"""Who plays the other side of a board game."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from rlkit.core import Array, UsageError
from rlkit.explain import nearest
from rlkit.explore import uniform
from rlkit.search import UCT, RandomPlay, Search, rule_for, weights

NAMES = ("random", "mcts", "perfect")


class Opponent(Protocol):
    """A player without memory."""

    def __call__(self, model: Any, states: Array, rng: np.random.Generator) -> Array:
        """Return a move [B] int64 for each of `states` [B, S]."""


def random_moves(model: Any, states: Array, rng: np.random.Generator) -> Array:
    """Return legal moves drawn uniformly."""
    return uniform(model.num_actions, len(states), rng, model.legal_actions(states))


def perfect_moves(model: Any, states: Array, rng: np.random.Generator) -> Array:
    """Return moves drawn uniformly from the best ones, which an exact solver knows."""
    return uniform(model.num_actions, len(states), rng, model.optimal_moves(states))


class Searching:
    """Moves by a tree search with random play."""

    def __init__(self, simulations: int):
        """Take so many simulations for each move."""
        self._simulations = simulations

    def __call__(self, model: Any, states: Array, rng: np.random.Generator) -> Array:
        """Return the moves that were tried most."""
        rule = rule_for(model, UCT, exploration=1.0, gamma=1.0)
        play = RandomPlay(max_steps=model.num_actions * 4, gamma=1.0)
        nodes = self._simulations + 1
        search = Search(model, play, rule, simulations=self._simulations, seconds=None, nodes=nodes)
        return np.asarray(weights(search(states, rng).tree, model.bound).argmax(axis=1))


def opponent_named(name: str | None, simulations: int, model: Any) -> Opponent | None:
    """Return the opponent of that name in the game of a model; None for nobody.

    Raises:
        UsageError: there is no such opponent, or nobody has solved the game.
    """
    table: dict[str, Opponent] = {"random": random_moves, "perfect": perfect_moves, "mcts": Searching(simulations)}
    if name is not None and name not in table:
        raise UsageError(f"there is no env.opponent={name}{nearest(name, NAMES)}; there is: null, {', '.join(NAMES)}")
    if name == "perfect" and not model.solved:
        raise UsageError(f"nobody has solved {model.name}: env.opponent=perfect cannot play it; take mcts or random")
    return None if name is None else table[name]
