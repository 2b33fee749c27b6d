"""Walking through a tree, compiled."""

from __future__ import annotations

from rlkit.core.types import Array
from rlkit.learners.estimators.compiling import kernel


@kernel
def preorder(left: Array, right: Array, order: Array, stack: Array) -> None:
    """Fill `order` with the nodes in the order node, left subtree, right subtree; all are [nodes] int64."""
    stack[0], size, count = 0, 1, 0
    while size:
        size -= 1
        node = stack[size]
        order[count] = node
        count += 1
        if left[node] >= 0:
            stack[size], stack[size + 1] = right[node], left[node]
            size += 2


@kernel
def find_leaves(
    X: Array,
    left: Array,
    right: Array,
    feature: Array,
    threshold: Array,
    missing_left: Array,
    found: Array,
) -> None:
    """Fill `found` [n] with the leaf that each row of X [n, d] ends in."""
    for i in range(len(found)):
        node = 0
        while left[node] >= 0:
            x = X[i, feature[node]]
            goes_left = missing_left[node] == 1 if x != x else x <= threshold[node]
            node = left[node] if goes_left else right[node]
        found[i] = node
