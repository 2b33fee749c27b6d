"""The choice of roots' actions by Gumbel noise and sequential halving (Danihelka et al., 2022)."""

from __future__ import annotations

import math

import numpy as np

from rlkit.core.types import Array
from rlkit.planning.search.completed import improved_logits
from rlkit.planning.search.path import SelectionRule
from rlkit.planning.search.tree import SearchTree


def halving(considered: int, simulations: int) -> list[int]:
    """Return how often the action of each simulation was tried before it, by sequential halving.

    Each of the halvings gets an equal part of the simulations; what is left over goes on among the last two.

    Args:
        considered: actions at first.
        simulations: S, of which each tries one of those left.
    """
    if considered <= 1:
        return list(range(simulations))
    rounds, visits, schedule = math.ceil(math.log2(considered)), [0] * considered, list[int]()
    while len(schedule) < simulations:
        for _ in range(max(1, simulations // (rounds * considered))):
            schedule += visits[:considered]
            visits[:considered] = [n + 1 for n in visits[:considered]]
        considered = max(2, considered // 2)
    return schedule[:simulations]


class SequentialHalving:
    """Which action each simulation takes at the roots: those of the highest noise, priors and values, ever fewer."""

    def __init__(self, actions: int, rule: SelectionRule, simulations: int):
        """Consider so many `actions` at first, or all legal ones where there are fewer."""
        self._actions, self._rule = actions, rule
        self._schedules = [halving(n, simulations) for n in range(actions + 1)]

    def noise(self, shape: tuple[int, ...], rng: np.random.Generator | None) -> Array:
        """Return Gumbel noise [B, A] float64; zeros without a generator, so that the best action is taken."""
        return np.zeros(shape) if rng is None else rng.gumbel(size=shape)

    def first(self, tree: SearchTree, noise: Array, simulation: int) -> Array:
        """Return the roots' actions [B] int64 of a simulation: the best of those tried as often as it is their turn.

        `noise` is [B, A].
        """
        legal = tree.legal[:, 0].sum(axis=1)
        turn = np.array([self._schedules[min(n, self._actions)][simulation] for n in legal])
        scores = noise + self.logits(tree)
        scores[tree.visits[:, 0] != turn[:, None]] = -np.inf
        return np.asarray(scores.argmax(axis=1), np.int64)

    def chosen(self, tree: SearchTree, noise: Array) -> Array:
        """Return the actions [B] int64 to take: of those tried most, the best with their `noise` [B, A]."""
        visits = np.where(tree.legal[:, 0], tree.visits[:, 0], -1)
        scores = noise + self.logits(tree)
        scores[visits < visits.max(axis=1, keepdims=True)] = -np.inf
        return np.asarray(scores.argmax(axis=1), np.int64)

    def logits(self, tree: SearchTree) -> Array:
        """Return the logits of the roots' improved policies, [B, A] float64; -inf where an action is not legal."""
        logits = np.zeros(tree.visits[:, 0].shape)
        improved_logits(tree, self._rule, logits)
        return logits

    def policy(self, tree: SearchTree) -> Array:
        """Return the roots' improved policies [B, A] float64, what a network is to learn."""
        logits = self.logits(tree)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
