"""Search trees as arrays: B trees of at most N nodes, A actions each, K outcomes of an action; node 0 is the root."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlkit.core import Array


class Tree(NamedTuple):
    """B trees. Values are those of whoever is to move at the node, discounted from there on.

    `low` and `high` are what a value is proved to lie between; where they meet, it is known exactly.
    """

    size: Array  # [B] int64, nodes in use
    rng: Array  # [B] uint64, see rlkit.search.draws
    span: Array  # [B, 2] float64, least and greatest value of an action seen so far
    legal: Array  # [B, N, A] bool
    prior: Array  # [B, N, A] float64
    visits: Array  # [B, N, A] int64, how often the action was tried
    total: Array  # [B, N, A] float64, the sum of the returns that followed
    child: Array  # [B, N, A, K] int64, the node reached; -1: not tried yet
    chance: Array  # [B, N, A, K] float64, how likely the outcome is; [B, 0, A, K] where nothing is left to chance
    low: Array  # [B, N, A] float64
    high: Array  # [B, N, A] float64; -inf where the action is not legal
    passed: Array  # [B, N] int64, how often the node was passed
    reward: Array  # [B, N] float64, on the way into the node
    discount: Array  # [B, N] float64, on the way into the node, gamma included
    value: Array  # [B, N] float64, what the evaluator said
    lower: Array  # [B, N] float64, the greatest `low`
    upper: Array  # [B, N] float64, the greatest `high`


def empty(batch: int, nodes: int, actions: int, outcomes: int) -> Tree:
    """Return B trees without a node. What belongs to a node is written when it is added, so nothing is filled here."""
    edges = (batch, nodes, actions)
    return Tree(
        size=np.zeros(batch, np.int64),
        rng=np.zeros(batch, np.uint64),
        span=np.tile([np.inf, -np.inf], (batch, 1)),
        legal=np.zeros(edges, bool),
        prior=np.zeros(edges),
        visits=np.zeros(edges, np.int64),
        total=np.zeros(edges),
        child=np.zeros((*edges, outcomes), np.int64),
        chance=np.zeros((batch, nodes if outcomes > 1 else 0, actions, outcomes)),
        low=np.zeros(edges),
        high=np.zeros(edges),
        passed=np.zeros(edges[:2], np.int64),
        reward=np.zeros(edges[:2]),
        discount=np.zeros(edges[:2]),
        value=np.zeros(edges[:2]),
        lower=np.zeros(edges[:2]),
        upper=np.zeros(edges[:2]),
    )
