"""Which action is tried on the way down, and which outcome is drawn for it.

Sources: Kocsis & Szepesvari (2006) for UCT; Silver et al. (2018) for PUCT; Danihelka et al. (2022) for GUMBEL.
"""

from __future__ import annotations

import math

import numpy as np

from rlkit.planning.search.completed import improved
from rlkit.planning.search.draws import below, uniform
from rlkit.planning.search.graph import is_news, is_open, lead_on, leads_on, worthwhile
from rlkit.planning.search.path import GUMBEL, UCT, Path, SelectionRule, compiled
from rlkit.planning.search.tree import SearchTree


@compiled
def _scaled(tree: SearchTree, b: int, q: float, rule: SelectionRule) -> float:
    if not rule.scaled:
        return q
    least, greatest = tree.span[b, 0], tree.span[b, 1]
    return (q - least) / (greatest - least) if greatest > least else 0.5


@compiled
def _untried(tree: SearchTree, b: int, node: int, rule: SelectionRule, bar: float) -> int:
    """Return one of the actions that were never tried, drawn uniformly, or -1."""
    visits, high, low = tree.visits[b, node], tree.high[b, node], tree.low[b, node]
    n = 0
    for a in range(visits.size):
        n += visits[a] == 0 and worthwhile(low[a], high[a], bar, rule)
    if n == 0:
        return -1
    k = below(tree.rng, b, n) if n > 1 else 0
    for a in range(visits.size):
        if visits[a] == 0 and worthwhile(low[a], high[a], bar, rule):
            if k == 0:
                return a
            k -= 1
    return -1


@compiled
def _uct(tree: SearchTree, path: Path, b: int, node: int, rule: SelectionRule, bar: float) -> int:
    fresh = _untried(tree, b, node, rule, bar)
    if fresh >= 0:
        return fresh
    visits, total, high, low = tree.visits[b, node], tree.total[b, node], tree.high[b, node], tree.low[b, node]
    width = rule.exploration * math.sqrt(math.log(tree.passed[b, node]))
    best, found, marks = -np.inf, -1, path.mark.shape[1] > 0
    for a in range(visits.size):
        if worthwhile(low[a], high[a], bar, rule) and (not marks or leads_on(tree, path, b, node, a)):
            q = min(max(total[a] / visits[a], low[a]), high[a])
            score = _scaled(tree, b, q, rule) + width / math.sqrt(visits[a])
            if score > best:
                best, found = score, a
    return found


@compiled
def _puct(tree: SearchTree, path: Path, b: int, node: int, rule: SelectionRule, bar: float) -> int:
    visits, total, high, low = tree.visits[b, node], tree.total[b, node], tree.high[b, node], tree.low[b, node]
    prior = tree.prior[b, node]
    width = rule.exploration * math.sqrt(tree.passed[b, node])
    tried, mass = 0.0, 0.0
    for a in range(visits.size):
        if visits[a] > 0:
            mass += total[a]
            tried += visits[a]
    # An action that was never tried is assumed to have the node's value.
    parent = (tree.value[b, node] + mass) / (1.0 + tried)
    best, found, marks = -np.inf, -1, path.mark.shape[1] > 0
    for a in range(visits.size):
        if worthwhile(low[a], high[a], bar, rule) and (not marks or leads_on(tree, path, b, node, a)):
            q = total[a] / visits[a] if visits[a] > 0 else parent
            q = min(max(q, low[a]), high[a])
            score = _scaled(tree, b, q, rule) + width * prior[a] / (1.0 + visits[a])
            if score > best:
                best, found = score, a
    return found


@compiled
def _choose(tree: SearchTree, path: Path, b: int, node: int, rule: SelectionRule) -> int:
    """Return the action to try; never one that is proved to be worse than another, or lost; -1: none leads on."""
    bar = tree.lower[b, node]
    if rule.kind == UCT:
        return _uct(tree, path, b, node, rule, bar)
    if rule.kind == GUMBEL:
        return improved(tree, b, node, rule)
    return _puct(tree, path, b, node, rule, bar)


@compiled
def _draw(tree: SearchTree, path: Path, b: int, node: int, action: int) -> int:
    """Return an outcome of an action; where nodes are merged, of those that may bring news if there is any."""
    outcomes = tree.child.shape[3]
    if outcomes == 1:
        return 0
    chance = tree.chance[b, node, action]
    news = 0.0
    if path.mark.shape[1] > 0:
        for k in range(outcomes):
            if is_news(tree, path, b, node, action, k):
                news += chance[k]
    left = uniform(tree.rng, b) * (news if news > 0 else 1.0)
    likely = 0
    for k in range(outcomes):
        if chance[k] > 0 and (news == 0 or is_news(tree, path, b, node, action, k)):
            likely = k
            left -= chance[k]
            if left < 0:
                break
    return likely


@compiled
def descend_one(tree: SearchTree, path: Path, b: int, rule: SelectionRule, first: int) -> bool:
    """Go down to an action whose outcome is not in the tree (True), or to a node whose value is known (False).

    That is where its value is known, or nothing new can be met from there on. `first` is the root's action; -1: it is
    chosen as any other.
    """
    node, depth, marks, chance = 0, 0, path.mark.shape[1] > 0, tree.child.shape[3] > 1
    path.number[b] += 1
    while True:
        if marks:
            path.mark[b, node] = path.number[b]
        action = first if depth == 0 and first >= 0 else _choose(tree, path, b, node, rule)
        if action < 0:
            break
        outcome = _draw(tree, path, b, node, action)
        path.node[b, depth], path.action[b, depth] = node, action
        if chance:
            path.outcome[b, depth] = outcome
        depth += 1
        node = tree.child[b, node, action, outcome]
        if node < 0 or tree.lower[b, node] >= tree.upper[b, node]:
            break
        if marks and path.mark[b, node] == path.number[b]:
            break
    path.depth[b], path.node[b, depth] = depth, node
    if node >= 0 and marks and tree.best[b] and is_open(tree, b, node):
        return lead_on(tree, path, b, rule)
    return bool(node < 0)
