"""Trees in which equal states are one node: how they are looked up, and how a way goes on to what is new."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array
from rlkit.planning.search.backup import prove, renew
from rlkit.planning.search.draws import FIRST, S31
from rlkit.planning.search.path import Path, SelectionRule, compiled
from rlkit.planning.search.tree import SearchTree


@compiled
def worthwhile(low: float, high: float, bar: float, rule: SelectionRule) -> bool:
    """Return whether an action may be better than `bar`, or is proved to be as good, and no loss."""
    return high > bar or (low == bar and bar > -rule.bound)


@compiled
def leads_on(tree: SearchTree, path: Path, b: int, node: int, action: int) -> bool:
    """Return whether an action may lead to something new, or was never tried."""
    if tree.visits[b, node, action] == 0:
        return True
    for k in range(tree.child.shape[3]):  # noqa: SIM110
        if is_news(tree, path, b, node, action, k):
            return True
    return False


@compiled
def is_news(tree: SearchTree, path: Path, b: int, node: int, action: int, outcome: int) -> bool:
    """Return whether an outcome is possible, and is neither on the way nor known, nor leads but to what is."""
    if not _is_possible(tree, b, node, action, outcome):
        return False
    child = tree.child[b, node, action, outcome]
    return bool(child < 0 or (path.mark[b, child] != path.number[b] and is_open(tree, b, child)))


@compiled
def _is_possible(tree: SearchTree, b: int, node: int, action: int, outcome: int) -> bool:
    return bool(tree.child.shape[3] == 1 or tree.chance[b, node, action, outcome] > 0)


@compiled
def is_open(tree: SearchTree, b: int, node: int) -> bool:
    """Return whether something may still be learned at a node; a mean needs more visits, a maximum does not."""
    return bool(tree.lower[b, node] < tree.upper[b, node] and not (tree.best[b] and tree.closed[b, node]))


@compiled
def _is_missing(tree: SearchTree, b: int, node: int, action: int, outcome: int) -> bool:
    """Return whether an outcome is possible and was not met yet."""
    return bool(tree.child[b, node, action, outcome] < 0 and _is_possible(tree, b, node, action, outcome))


@compiled
def _nearest(tree: SearchTree, path: Path, b: int, start: int, rule: SelectionRule) -> tuple[int, int, int]:
    """Return the place in the queue, the action and the outcome of what is new and the fewest steps from a node.

    (-1, -1, -1): there is nothing, and so nothing from all nodes that were looked through.
    """
    head, tail = 0, 1
    path.queue[0], path.origin[0, 0] = start, -1
    path.number[b] += 1
    path.mark[b, start] = path.number[b]
    while head < tail:
        node = path.queue[head]
        bar = tree.lower[b, node]
        for a in range(tree.visits.shape[2]):
            if not worthwhile(tree.low[b, node, a], tree.high[b, node, a], bar, rule):
                continue
            for k in range(tree.child.shape[3]):
                if _is_missing(tree, b, node, a, k):
                    return head, a, k
                if is_news(tree, path, b, node, a, k):
                    child = tree.child[b, node, a, k]
                    path.mark[b, child] = path.number[b]
                    path.queue[tail] = child
                    path.origin[tail, 0], path.origin[tail, 1], path.origin[tail, 2] = head, a, k
                    tail += 1
        head += 1
    for i in range(tail):
        tree.closed[b, path.queue[i]] = True
    return -1, -1, -1


@compiled
def lead_on(tree: SearchTree, path: Path, b: int, rule: SelectionRule) -> bool:
    """Lengthen a way that can but turn back, to what is new and nearest; False: nothing is.

    It may pass again what it passed before. What is one node of a graph would else be gone round in for long, as every
    new state lies behind all of those that are known.
    """
    depth = path.depth[b]
    place, action, outcome = _nearest(tree, path, b, path.node[b, depth], rule)
    if place < 0:
        return False
    steps, at = 0, place
    while at > 0:
        steps, at = steps + 1, path.origin[at, 0]
    path.depth[b] = depth + steps + 1
    path.node[b, depth + steps + 1] = -1
    at = place
    for level in range(depth + steps, depth - 1, -1):
        path.node[b, level], path.action[b, level], path.outcome[b, level] = path.queue[at], action, outcome
        action, outcome, at = path.origin[at, 1], path.origin[at, 2], path.origin[at, 0]
    return True


@compiled
def _place(tree: SearchTree, states: Array, b: int, state: Array, over: bool) -> int:
    """Return where the table has a node with such a state, or where there is room for one."""
    key = np.uint64(0)
    for i in range(state.size):
        key = (key ^ np.uint64(state[i])) * FIRST
        key ^= key >> S31
    last = np.uint64(tree.table.shape[1] - 1)
    while True:
        node = tree.table[b, np.int64(key & last)] - 1
        if node < 0:
            return np.int64(key & last)  # type: ignore[return-value]
        same = tree_is_over(tree, b, node) == over
        for i in range(state.size):
            same = same and states[b, node, i] == state[i]
        if same:
            return np.int64(key & last)  # type: ignore[return-value]
        key += np.uint64(1)


@compiled
def link(tree: SearchTree, path: Path, b: int, node: int, rule: SelectionRule, reward: float, discount: float) -> None:
    """Let the way end in a node, and back up what that proves."""
    depth = path.depth[b]
    path.node[b, depth] = node
    before, action, outcome = path.node[b, depth - 1], path.action[b, depth - 1], path.outcome[b, depth - 1]
    tree.child[b, before, action, outcome] = node
    if tree.step.shape[1] > 0:
        tree.step[b, before, action, outcome, 0], tree.step[b, before, action, outcome, 1] = reward, discount
    if tree.lower[b, node] > -rule.bound or tree.upper[b, node] < rule.bound:
        prove(tree, path, b, rule)


@compiled
def merge_way(
    tree: SearchTree,
    path: Path,
    states: Array,
    b: int,
    rule: SelectionRule,
    state: Array,
    reward: float,
    discount: float,
    over: bool,
) -> bool:
    """Let the way end in the node of `states` [B, N, S] that has `state` [S] int64; return whether there is one."""
    if tree.table.shape[1] == 0:
        return False
    node = tree.table[b, _place(tree, states, b, state, over)] - 1
    if node < 0:
        return False
    link(tree, path, b, node, rule, reward, discount)
    before, action = path.node[b, path.depth[b] - 1], path.action[b, path.depth[b] - 1]
    if tree.best[b] and tree.visits[b, before, action] == 0:
        # What it leads to is valued already, so the way, which goes on, need not come by again.
        tree.visits[b, before, action] = 1
        tree.passed[b, before] += 1
        renew(tree, b, before)
    return True


@compiled
def enter_node(tree: SearchTree, states: Array, b: int, node: int) -> None:
    """Write a node, one of the `states` [B, N, S] int64, to the table, where there is one."""
    if tree.table.shape[1] > 0:
        place = _place(tree, states, b, states[b, node], tree_is_over(tree, b, node))
        tree.table[b, place] = node + 1


@compiled
def tree_is_over(tree: SearchTree, b: int, node: int) -> bool:
    """Return whether the game has ended at a node."""
    return tree.upper[b, node] == 0 and not tree.legal[b, node].any()
