"""Taking over what a tree knows of the state that was reached."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array
from rlkit.planning.search.graph import tree_is_over
from rlkit.planning.search.path import allocating, compiled
from rlkit.planning.search.tree import SearchTree


@allocating
def find(tree: SearchTree, states: Array, action: Array, wanted: Array) -> Array:
    """Return the nodes [B] with the states `wanted` [B, S], one or two steps after the root's `action` [B]; else -1."""
    found = np.full(action.size, -1)
    for b in range(action.size):
        if action[b] < 0 or tree.size[b] == 0:
            continue
        for k in range(tree.child.shape[3]):
            child = tree.child[b, 0, action[b], k]
            if child < 0 or found[b] >= 0:
                continue
            if np.array_equal(states[b, child], wanted[b]):
                found[b] = child
                continue
            for grand in tree.child[b, child].ravel():
                if grand >= 0 and np.array_equal(states[b, grand], wanted[b]):
                    found[b] = grand
                    break
    return found


@allocating
def transplant(old: SearchTree, new: SearchTree, roots: Array) -> Array:
    """Copy what is below the nodes `roots` [B], where they are not -1, to other trees.

    Returns which nodes those were, [B, N]; -1 in the rest.
    """
    batch, nodes = new.passed.shape
    source, place = np.full((batch, nodes), -1), np.full(old.passed.shape[1], -1)
    for b in range(batch):
        if roots[b] < 0 or tree_is_over(old, b, roots[b]):
            continue
        new.best[b] = old.best[b]
        new.span[b], source[b, 0], size, done = old.span[b], roots[b], 1, 0
        place[:], place[roots[b]] = -1, 0
        while done < size:
            node = source[b, done]
            _copy(old, new, b, node, done)
            for a in range(old.visits.shape[2]):
                for k in range(old.child.shape[3]):
                    child = old.child[b, node, a, k]
                    if child < 0:
                        continue
                    # Several ways may lead to a node, and back to one that was before.
                    if place[child] < 0 and size < nodes:
                        source[b, size], place[child] = child, size
                        size += 1
                    new.child[b, done, a, k] = place[child]
            done += 1
        new.size[b] = size
    return source


@compiled
def _copy(old: SearchTree, new: SearchTree, b: int, node: int, place: int) -> None:
    for a in range(old.visits.shape[2]):
        new.legal[b, place, a], new.prior[b, place, a] = old.legal[b, node, a], old.prior[b, node, a]
        new.visits[b, place, a], new.total[b, place, a] = old.visits[b, node, a], old.total[b, node, a]
        new.low[b, place, a], new.high[b, place, a] = old.low[b, node, a], old.high[b, node, a]
        for k in range(old.child.shape[3]):
            new.child[b, place, a, k] = -1
            if old.step.shape[1] > 0:
                new.step[b, place, a, k, 0], new.step[b, place, a, k, 1] = (
                    old.step[b, node, a, k, 0],
                    old.step[b, node, a, k, 1],
                )
            if old.chance.shape[1] > 0:
                new.chance[b, place, a, k] = old.chance[b, node, a, k]
    new.passed[b, place], new.value[b, place] = old.passed[b, node], old.value[b, node]
    new.reward[b, place], new.discount[b, place] = old.reward[b, node], old.discount[b, node]
    new.lower[b, place], new.upper[b, place] = old.lower[b, node], old.upper[b, node]
