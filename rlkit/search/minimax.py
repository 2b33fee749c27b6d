"""Exact values of small games by minimax with a table of what was seen (negamax; Knuth & Moore, 1975)."""

from __future__ import annotations

import numpy as np

from rlkit.core import Array
from rlkit.search.model import Model


class Minimax:
    """Solves any small `Model` without chance, in which no state comes twice in an episode.

    Attributes:
        values: what each state seen is worth to whoever is to move, by its bytes.
    """

    def __init__(self, model: Model):
        """Take the rules."""
        self._model = model
        self.values: dict[bytes, float] = {}

    def value(self, state: Array) -> float:
        """Return what a state [S] is worth to whoever is to move, the best play of all supposed."""
        key = state.tobytes()
        if key not in self.values:
            self.values[key] = float(self.action_values(state).max())
        return self.values[key]

    def action_values(self, state: Array) -> Array:
        """Return what each action is worth in a state [S], [A] float64; -inf where it is not legal."""
        legal = np.flatnonzero(self._model.legal_actions(state[None])[0])
        step = self._model.step(np.repeat(state[None], len(legal), 0), legal, np.zeros(len(legal), np.int64))
        found = np.full(self._model.num_actions, -np.inf)
        for i, action in enumerate(legal):
            discount = step.discount[i]
            found[action] = step.reward[i] + (discount * self.value(step.state[i]) if discount else 0.0)
        return found

    def optimal(self, states: Array) -> Array:
        """Return which actions are best in `states` [B, S], [B, A] bool."""
        values = np.stack([self.action_values(state) for state in states])
        return np.asarray(values == values.max(axis=1, keepdims=True))
