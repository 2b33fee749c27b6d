"""Exact values of small games by minimax with a table of the states met (negamax; Knuth & Moore, 1975)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlkit.core.types import Array
from rlkit.planning.search.model import Model


def action_values(model: Model, states: Array, values: Callable[[Array], Array]) -> Array:
    """Return the value of each action in `states` [B, S] of a model without chance, [B, A] float64.

    Args:
        model: the rules.
        states: in none of which the game is over.
        values: maps states [R, S] to their values for whoever is to move, [R] float64.

    Returns:
        Those of actions that are not legal are -inf.
    """
    rows, moves = np.nonzero(model.legal_actions(states))
    step = model.step(states[rows], moves, np.zeros(len(rows), np.int64))
    found, going = step.reward.astype(float), step.discount != 0
    found[going] += step.discount[going] * values(step.state[going])
    table = np.full((len(states), model.num_actions), -np.inf)
    table[rows, moves] = found
    return table


class Minimax:
    """Solves any small `Model` without chance, in which no state comes twice in an episode.

    Attributes:
        values: of the states met, for whoever is to move, by the state's bytes.
    """

    def __init__(self, model: Model):
        """Solve by the rules of `model`."""
        self._model = model
        self.values: dict[bytes, float] = {}

    def state_values(self, states: Array) -> Array:
        """Return the values [B] float64 of states [B, S] for whoever is to move, if both play best."""
        return np.array([self._value(state) for state in states])

    def action_values(self, states: Array) -> Array:
        """Return the value of each action in `states` [B, S], [B, A] float64; see `action_values`."""
        return action_values(self._model, states, self.state_values)

    def _value(self, state: Array) -> float:
        key = state.tobytes()
        if key not in self.values:
            self.values[key] = float(self.action_values(state[None]).max())
        return self.values[key]
