"""What is known of a tree's nodes, and how news is carried up the way: returns, best actions, and what is proved.

Sources: Winands, Bjornsson & Saito (2008) and Cazenave & Saffidine (2010) for what is proved; Sutton & Barto, 2nd ed.,
section 8.8 for backups of the best action.
"""

from __future__ import annotations

import math

import numpy as np

from rlkit.planning.search.path import Path, SelectionRule, compiled
from rlkit.planning.search.tree import SearchTree

OTHERS = 32
"""Nodes that are renewed beside those on the way."""


@compiled
def begin(tree: SearchTree, b: int, node: int, rule: SelectionRule, over: bool) -> None:
    """Set up a new node, whose legal actions and priors are written, with what is known of it before any search."""
    tree.passed[b, node] = 1
    for a in range(tree.visits.shape[2]):
        tree.visits[b, node, a], tree.total[b, node, a] = 0, 0.0
        legal = tree.legal[b, node, a] and not over
        tree.low[b, node, a] = -rule.bound if legal else -np.inf
        tree.high[b, node, a] = rule.bound if legal else -np.inf
        for k in range(tree.child.shape[3]):
            tree.child[b, node, a, k] = -1
    tree.lower[b, node] = 0.0 if over else -rule.bound
    tree.upper[b, node] = 0.0 if over else rule.bound


@compiled
def foresee(tree: SearchTree, b: int, node: int, action: int, reward: float) -> None:
    """Note that an action ends the game at once, before it is ever tried."""
    tree.low[b, node, action] = tree.high[b, node, action] = reward


@compiled
def settle(tree: SearchTree, b: int, node: int) -> None:
    """Write between what a node's value lies, by what is known of its actions."""
    lower = upper = -np.inf
    for a in range(tree.low.shape[2]):
        lower, upper = max(lower, tree.low[b, node, a]), max(upper, tree.high[b, node, a])
    tree.lower[b, node], tree.upper[b, node] = lower, upper


@compiled
def _step_of(tree: SearchTree, b: int, node: int, action: int, outcome: int) -> tuple[float, float]:
    """Return reward and discount of an outcome in the tree; where nodes are merged, several ways lead into one."""
    if tree.step.shape[1] > 0:
        step = tree.step[b, node, action, outcome]
        return step[0], step[1]
    child = tree.child[b, node, action, outcome]
    return tree.reward[b, child], tree.discount[b, child]


@compiled
def _sum_of_bounds(tree: SearchTree, b: int, node: int, action: int, rule: SelectionRule) -> tuple[float, float]:
    """Return the bounds of an action's value that follow from the proved bounds of its outcomes."""
    low = high = 0.0
    outcomes = tree.child.shape[3]
    for k in range(outcomes):
        chance = 1.0 if outcomes == 1 else tree.chance[b, node, action, k]
        if chance > 0:
            child = tree.child[b, node, action, k]
            if child < 0:
                return -rule.bound, rule.bound
            reward, discount = _step_of(tree, b, node, action, k)
            least, greatest = tree.lower[b, child], tree.upper[b, child]
            if discount < 0:
                least, greatest = greatest, least
            low += chance * (reward + (discount * least if discount != 0 else 0.0))
            high += chance * (reward + (discount * greatest if discount != 0 else 0.0))
    return low, high


@compiled
def prove(tree: SearchTree, path: Path, b: int, rule: SelectionRule) -> None:
    """Carry what is known of the last node on the way up, as far as that changes anything."""
    for level in range(path.depth[b] - 1, -1, -1):
        node, action = path.node[b, level], path.action[b, level]
        low, high = _sum_of_bounds(tree, b, node, action, rule)
        if low <= tree.low[b, node, action] and high >= tree.high[b, node, action]:
            return
        tree.low[b, node, action] = max(low, tree.low[b, node, action])
        tree.high[b, node, action] = min(high, tree.high[b, node, action])
        lower, upper = tree.lower[b, node], tree.upper[b, node]
        settle(tree, b, node)
        if lower == tree.lower[b, node] and upper == tree.upper[b, node]:
            return


@compiled
def _expected(tree: SearchTree, b: int, node: int, action: int) -> float:
    """Return an action's value by those of its outcomes that are in the tree; NaN where none is."""
    mass, total, outcomes = 0.0, 0.0, tree.child.shape[3]
    for k in range(outcomes):
        child = tree.child[b, node, action, k]
        chance = 1.0 if outcomes == 1 else tree.chance[b, node, action, k]
        if child >= 0 and chance > 0:
            reward, discount = _step_of(tree, b, node, action, k)
            mass += chance
            total += chance * (reward + discount * tree.value[b, child])
    return total / mass if mass > 0 else np.nan


@compiled
def renew(tree: SearchTree, b: int, node: int) -> None:
    """Value all actions of a node by the present values of their outcomes (Bellman), and the node by the best of them.

    Where nothing is left to chance, a return once reached can be reached again: a node's value never falls.
    """
    best = tree.value[b, node] if tree.chance.shape[1] == 0 else -np.inf
    for a in range(tree.visits.shape[2]):
        if tree.visits[b, node, a] > 0:
            q = _expected(tree, b, node, a)
            if math.isnan(q):
                q = tree.total[b, node, a] / tree.visits[b, node, a]
            else:
                tree.total[b, node, a] = q * tree.visits[b, node, a]
            tree.span[b, 0], tree.span[b, 1] = min(tree.span[b, 0], q), max(tree.span[b, 1], q)
            best = max(best, q)
    tree.value[b, node] = min(max(best, tree.lower[b, node]), tree.upper[b, node])


@compiled
def back_up(tree: SearchTree, path: Path, b: int, reward: float, discount: float, value: float) -> None:
    """Add a return to every action on the way, from the last: its `reward`, and its successor's `value`."""
    if discount < 0:
        tree.best[b] = False
    if tree.best[b]:
        _back_up_best(tree, path, b, reward + discount * value)
        return
    for level in range(path.depth[b] - 1, -1, -1):
        node, action = path.node[b, level], path.action[b, level]
        returned = reward + discount * value
        tree.visits[b, node, action] += 1
        tree.total[b, node, action] += returned
        tree.passed[b, node] += 1
        q = tree.total[b, node, action] / tree.visits[b, node, action]
        tree.span[b, 0], tree.span[b, 1] = min(tree.span[b, 0], q), max(tree.span[b, 1], q)
        value = min(max(returned, tree.lower[b, node]), tree.upper[b, node])
        if level > 0:
            reward, discount = _way_into(tree, path, b, level)


@compiled
def _way_into(tree: SearchTree, path: Path, b: int, level: int) -> tuple[float, float]:
    """Return reward and discount of the action before a level."""
    if tree.step.shape[1] > 0:
        return _step_of(tree, b, path.node[b, level - 1], path.action[b, level - 1], path.outcome[b, level - 1])
    # The way knows the node: looking it up in the tree again would cost a twentieth of a simulation.
    node = path.node[b, level]
    return tree.reward[b, node], tree.discount[b, node]


@compiled
def _back_up_best(tree: SearchTree, path: Path, b: int, returned: float) -> None:
    """Renew the nodes on the way, from the last.

    `returned` is what the last action brought; it counts where there is no room in the tree for what that led to.
    """
    for level in range(path.depth[b] - 1, -1, -1):
        node, action = path.node[b, level], path.action[b, level]
        tree.visits[b, node, action] += 1
        tree.total[b, node, action] += returned
        tree.passed[b, node] += 1
        renew(tree, b, node)
    if tree.table.shape[1] > 0:
        _renew_others(tree, path, b)


@compiled
def _renew_others(tree: SearchTree, path: Path, b: int) -> None:
    """Renew some nodes more, in turn and the newest first: several ways lead into a node, and news takes but one."""
    for _ in range(min(OTHERS, tree.size[b])):
        path.turn[b] -= 1
        if path.turn[b] < 0:
            path.turn[b] = tree.size[b] - 1
        node = path.turn[b]
        if tree.lower[b, node] < tree.upper[b, node] and tree.passed[b, node] > 1:
            renew(tree, b, node)


@compiled
def back_up_known(tree: SearchTree, path: Path, b: int) -> None:
    """Add the return of a way that ended in a node whose value is taken as it is."""
    depth = path.depth[b]
    if depth == 0:  # whatever can be done leads but to what is known
        tree.passed[b, 0] += 1
        renew(tree, b, 0)
        _renew_others(tree, path, b)
        return
    node = path.node[b, depth]
    known = tree.lower[b, node] >= tree.upper[b, node]
    value = tree.lower[b, node] if known else tree.value[b, node]
    reward, discount = _way_into(tree, path, b, depth)
    back_up(tree, path, b, reward, discount, value)
