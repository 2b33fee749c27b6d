"""The steps of a search, compiled: descend, attach, back up, and all of them at once for compiled rules.

A tree has few pages that are touched at random, so what is read together lies together; the arrays
are those of `rlkit.planning.search.tree`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rlkit.core.types import Array
from rlkit.planning.search.backup import back_up, back_up_known, begin, foresee, settle
from rlkit.planning.search.graph import enter_node, link, merge_way
from rlkit.planning.search.path import Path, SelectionRule, compiled, kept
from rlkit.planning.search.selection import descend_one
from rlkit.planning.search.tree import SearchTree


@compiled
def _attach(
    tree: SearchTree, path: Path, states: Array, b: int, node: int, rule: SelectionRule, reward: float, discount: float
) -> None:
    """Append a new node, whose fields are written, to the way."""
    tree.size[b] = node + 1
    enter_node(tree, states, b, node)
    link(tree, path, b, node, rule, reward, discount)


@compiled
def _write(tree: SearchTree, b: int, node: int, legal: Array, chance: Array, prior: Array, i: int) -> None:
    """Write row `i` of legal actions, priors and chances to a node."""
    for a in range(tree.visits.shape[2]):
        tree.legal[b, node, a], tree.prior[b, node, a] = legal[i, a], prior[i, a]
        if tree.chance.shape[1] > 0:
            for k in range(tree.child.shape[3]):
                tree.chance[b, node, a, k] = chance[i, a, k]


@compiled
def _spread(tree: SearchTree, b: int, node: int) -> None:
    """Write the same prior for each legal action."""
    n = 0
    for a in range(tree.prior.shape[2]):
        n += tree.legal[b, node, a]
    for a in range(tree.prior.shape[2]):
        tree.prior[b, node, a] = tree.legal[b, node, a] / max(n, 1)


@compiled
def _look(tree: SearchTree, b: int, node: int, ahead: Array) -> None:
    """Write to a new node what is foreseen of its actions, [A]: the reward where one ends the game, else NaN."""
    for a in range(ahead.size):
        if not math.isnan(ahead[a]):
            foresee(tree, b, node, a, ahead[a])
    settle(tree, b, node)


@kept
def descend(tree: SearchTree, path: Path, rule: SelectionRule, active: Array, first: Array) -> None:
    """Go down in each of the `active` [B] trees, by the roots' actions `first` [B]; where nothing new is met, back up.

    A first action of -1 is chosen by the rule, as all others are.

    ``path.waits`` says which trees wait for `attach`. What is proved through and through is left alone.
    """
    for b in range(tree.size.size):
        path.waits[b] = False
        if active[b] and tree.lower[b, 0] < tree.upper[b, 0]:
            if descend_one(tree, path, b, rule, first[b]):
                path.waits[b] = True
            else:
                back_up_known(tree, path, b)


@kept
def plant(
    tree: SearchTree,
    rule: SelectionRule,
    rows: Array,
    legal: Array,
    ahead: Array,
    chance: Array,
    prior: Array,
    value: Array,
) -> None:
    """Begin trees: a root in each of `rows` [R].

    Args:
        tree: to write to.
        rule: how to choose.
        rows: [R] int64.
        legal: [R, A] bool, which actions are legal.
        ahead: [R, A] float64, the reward where an action ends the game at once; else NaN.
        chance: [R, A, K] float64.
        prior: [R, A] float64.
        value: [R] float64.
    """
    for i in range(rows.size):
        b = rows[i]
        _write(tree, b, 0, legal, chance, prior, i)
        tree.value[b, 0] = value[i]
        begin(tree, b, 0, rule, False)
        _look(tree, b, 0, ahead[i])
        tree.size[b], tree.reward[b, 0], tree.discount[b, 0] = 1, 0.0, 0.0
        tree.span[b, 0], tree.span[b, 1] = np.inf, -np.inf
        tree.best[b] = rule.best


@kept
def merge(
    tree: SearchTree,
    path: Path,
    states: Array,
    rule: SelectionRule,
    rows: Array,
    reached: Array,
    reward: Array,
    discount: Array,
    merged: Array,
) -> None:
    """Write to `merged` [R] which of the states `reached` [R, S] are in the trees of `rows` [R]; the ways end there."""
    for i in range(rows.size):
        over = discount[i] == 0
        merged[i] = merge_way(tree, path, states, rows[i], rule, reached[i], reward[i], rule.gamma * discount[i], over)


@kept
def enter(tree: SearchTree, states: Array) -> None:
    """Write all nodes, whose states are [B, N, S] int64, to the tables."""
    for b in range(tree.size.size):
        for node in range(tree.size[b]):
            enter_node(tree, states, b, node)


@kept
def attach(
    tree: SearchTree,
    path: Path,
    states: Array,
    rule: SelectionRule,
    rows: Array,
    reward: Array,
    discount: Array,
    legal: Array,
    ahead: Array,
    chance: Array,
    prior: Array,
    value: Array,
) -> None:
    """Add the states that the trees of `rows` [R] waited for, and back up; a full tree only backs up."""
    for i in range(rows.size):
        b = rows[i]
        node, over = tree.size[b], discount[i] == 0
        leaf_value = 0.0 if over else value[i]
        if node < tree.passed.shape[1]:
            _write(tree, b, node, legal, chance, prior, i)
            tree.reward[b, node], tree.discount[b, node] = reward[i], rule.gamma * discount[i]
            begin(tree, b, node, rule, over)
            if not over:
                _look(tree, b, node, ahead[i])
            leaf_value = min(max(leaf_value, tree.lower[b, node]), tree.upper[b, node])
            tree.value[b, node] = leaf_value
            _attach(tree, path, states, b, node, rule, reward[i], rule.gamma * discount[i])
        back_up(tree, path, b, reward[i], rule.gamma * discount[i], leaf_value)


@compiled
def _expand(
    tree: SearchTree,
    path: Path,
    b: int,
    rule: SelectionRule,
    reached: Array,
    reward: float,
    discount: float,
    over: bool,
    step: Any,
    legal: Any,
    chances: Any,
    data: Array,
    look_ahead: bool,
) -> None:
    """Write to the next node what the rules say of the state `reached`, and what is known of it before any search."""
    node, result = tree.size[b], path.result
    if not over:
        legal(reached, data, tree.legal[b, node])
        if tree.chance.shape[1] > 0:
            for a in range(tree.visits.shape[2]):
                chances(reached, a, data, tree.chance[b, node, a])
    tree.reward[b, node], tree.discount[b, node] = reward, discount
    begin(tree, b, node, rule, over)
    if look_ahead and not over:
        for a in range(tree.visits.shape[2]):
            if tree.legal[b, node, a]:
                step(reached, a, 0, data, path.beyond, result)
                if result[1] == 0:
                    foresee(tree, b, node, a, result[0])
        settle(tree, b, node)


@kept
def simulate(
    tree: SearchTree,
    path: Path,
    states: Array,
    rule: SelectionRule,
    step: Any,
    legal: Any,
    chances: Any,
    rollout: Any,
    data: Array,
    active: Array,
    simulations: int,
    max_steps: int,
    look_ahead: bool,
) -> None:
    """Run whole simulations in each of the `active` [B] trees, by compiled rules and random play.

    Args:
        tree: planted.
        path: to write to.
        states: [B, N, S] int64, of the nodes.
        rule: how to choose.
        step: see `rlkit.planning.search.model.Rules`, as are `legal`, `chances`, `rollout` and `data`.
        legal: likewise.
        chances: likewise.
        rollout: likewise.
        data: likewise.
        active: which trees.
        simulations: of each tree, or fewer where its root is proved.
        max_steps: of random play.
        look_ahead: what ends the game at once is known before it is tried.
    """
    nodes, result = tree.passed.shape[1], path.result
    for b in range(tree.size.size):
        done = 0 if active[b] else simulations
        while done < simulations and tree.lower[b, 0] < tree.upper[b, 0]:
            if not descend_one(tree, path, b, rule, -1):
                back_up_known(tree, path, b)
                done += 1
                continue
            depth, node = path.depth[b], tree.size[b]
            fits = node < nodes
            reached = states[b, node] if fits else path.beyond
            last = path.node[b, depth - 1]
            step(states[b, last], path.action[b, depth - 1], path.outcome[b, depth - 1], data, reached, result)
            reward, discount, over = result[0], rule.gamma * result[1], result[1] == 0
            if merge_way(tree, path, states, b, rule, reached, reward, discount, over):
                continue
            done += 1
            settled = over
            if fits:
                _expand(tree, path, b, rule, reached, reward, discount, over, step, legal, chances, data, look_ahead)
                settled = tree.lower[b, node] >= tree.upper[b, node]
            leaf_value = 0.0
            if not settled:
                leaf_value = rollout(reached, tree.rng[b : b + 1], data, rule.gamma, max_steps)
            if fits:
                if not settled:
                    _spread(tree, b, node)
                leaf_value = min(max(leaf_value, tree.lower[b, node]), tree.upper[b, node])
                tree.value[b, node] = leaf_value
                _attach(tree, path, states, b, node, rule, reward, discount)
            back_up(tree, path, b, reward, discount, leaf_value)
