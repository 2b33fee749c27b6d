"""Search trees as arrays: B trees of at most N nodes, A actions each, K outcomes of an action; node 0 is the root.

Where equal states are one node, a tree is a graph, which may have cycles.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlkit.core.types import Array


class SearchTree(NamedTuple):
    """B trees. Values are those of whoever is to move at the node, discounted from there on.

    `low` and `high` are what a value is proved to lie between; where they meet, it is known exactly.
    """

    size: Array  # [B] int64, nodes in use
    rng: Array  # [B] uint64, see rlkit.planning.search.draws
    best: Array  # [B] bool, a node's value is that of its best action; else the mean of the returns
    table: Array  # [B, T] int64, nodes by their states, and one more; [B, 0] where equal states are not one node
    closed: Array  # [B, N] bool, nothing new can be met from the node on; [B, 0] where equal states are not one node
    span: Array  # [B, 2] float64, least and greatest value of an action so far
    legal: Array  # [B, N, A] bool
    prior: Array  # [B, N, A] float64
    visits: Array  # [B, N, A] int64, how often the action was tried
    total: Array  # [B, N, A] float64, the sum of the returns that followed
    child: Array  # [B, N, A, K] int64, the node reached; -1: not tried yet
    chance: Array  # [B, N, A, K] float64, how likely the outcome is; [B, 0, A, K] where nothing is left to chance
    step: Array  # [B, N, A, K, 2] float64, reward and discount of the outcome, gamma included; [B, 0, …] as is `table`
    low: Array  # [B, N, A] float64
    high: Array  # [B, N, A] float64; -inf where the action is not legal
    passed: Array  # [B, N] int64, how often the node was passed
    reward: Array  # [B, N] float64, on the way into the node
    discount: Array  # [B, N] float64, on the way into the node, gamma included
    value: Array  # [B, N] float64, by the evaluator; where `best`, by all that is known of the node
    lower: Array  # [B, N] float64, the greatest `low`
    upper: Array  # [B, N] float64, the greatest `high`


def empty(batch: int, nodes: int, actions: int, outcomes: int, *, merging: bool) -> SearchTree:
    """Return B trees without a node. What belongs to a node is written when it is added, so nothing is filled here.

    Where `merging`, there is a table in which equal states are found, at most half full.
    """
    edges = (batch, nodes, actions)
    return SearchTree(
        size=np.zeros(batch, np.int64),
        rng=np.zeros(batch, np.uint64),
        best=np.zeros(batch, bool),
        table=np.zeros((batch, 2 ** (2 * nodes - 1).bit_length() if merging else 0), np.int64),
        closed=np.zeros((batch, nodes if merging else 0), bool),
        span=np.tile([np.inf, -np.inf], (batch, 1)),
        legal=np.zeros(edges, bool),
        prior=np.zeros(edges),
        visits=np.zeros(edges, np.int64),
        total=np.zeros(edges),
        child=np.zeros((*edges, outcomes), np.int64),
        chance=np.zeros((batch, nodes if outcomes > 1 else 0, actions, outcomes)),
        step=np.zeros((batch, nodes if merging else 0, actions, outcomes, 2)),
        low=np.zeros(edges),
        high=np.zeros(edges),
        passed=np.zeros(edges[:2], np.int64),
        reward=np.zeros(edges[:2]),
        discount=np.zeros(edges[:2]),
        value=np.zeros(edges[:2]),
        lower=np.zeros(edges[:2]),
        upper=np.zeros(edges[:2]),
    )
