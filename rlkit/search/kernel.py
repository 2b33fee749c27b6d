"""The steps of a search, compiled: choose, descend, attach, back up, and all of them at once for compiled rules.

A tree has few pages that are touched at random, so what is read together lies together; see `rlkit.search.tree` for the
arrays.

Sources: Kocsis & Szepesvari (2006) for UCT; Silver et al. (2018) for PUCT; Winands, Bjornsson & Saito (2008) and
Cazenave & Saffidine (2010) for what is proved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np

from rlkit.compiling import entry
from rlkit.core import Array
from rlkit.search.draws import FIRST, S31, below, uniform
from rlkit.search.tree import Tree

F = TypeVar("F", bound=Callable[..., Any])

UCT, PUCT = range(2)

OTHERS = 32
"""Nodes that are renewed beside those on the way."""

WITHIN: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
QUICK: dict[str, Any] = {**WITHIN, "forceinline": True, "_nrt": False}
ENTRY: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True}

compiled: Callable[[F], F] = numba.njit(**QUICK)
kept: Callable[[F], F] = entry(**ENTRY, _nrt=False)
allocating: Callable[[F], F] = entry(**ENTRY)


class Rule(NamedTuple):
    """How actions are chosen on the way down."""

    kind: int  # UCT or PUCT
    exploration: float  # c
    scaled: bool  # values are brought to 0 to 1 by those seen in the tree
    gamma: float
    bound: float  # no value is beyond ±bound; inf: nothing is known
    best: bool = False  # a node is worth what its best action is; else the mean of what followed


class Path(NamedTuple):
    """The way down of each tree."""

    node: Array  # [B, N + 1] int64
    action: Array  # [B, N + 1] int64
    outcome: Array  # [B, N + 1] int64
    depth: Array  # [B] int64, actions on the way
    waits: Array  # [B] bool, the last action leads to a state that is not in the tree
    mark: Array  # [B, N] int64, the way that the node was last on; [B, 0] where no way meets itself
    number: Array  # [B] int64, ways so far
    turn: Array  # [B] int64, the node that was renewed last
    queue: Array  # [N] int64, room for nodes that are looked through; [0] where no way meets itself
    origin: Array  # [N, 3] int64, room for where each of them was come upon: place in the queue, action, outcome
    beyond: Array  # [S] int64, room for a state that is in no tree
    result: Array  # [2] float64, room for a reward and a discount


@compiled
def _scaled(tree: Tree, b: int, q: float, rule: Rule) -> float:
    if not rule.scaled:
        return q
    least, greatest = tree.span[b, 0], tree.span[b, 1]
    return (q - least) / (greatest - least) if greatest > least else 0.5


@compiled
def _worthwhile(low: float, high: float, bar: float, rule: Rule) -> bool:
    """Tell whether an action may be better than `bar`, or is proved to be as good, and no loss."""
    return high > bar or (low == bar and bar > -rule.bound)


@compiled
def _untried(tree: Tree, b: int, node: int, rule: Rule, bar: float) -> int:
    """Return one of the actions that were never tried, drawn uniformly, or -1."""
    visits, high, low = tree.visits[b, node], tree.high[b, node], tree.low[b, node]
    n = 0
    for a in range(visits.size):
        n += visits[a] == 0 and _worthwhile(low[a], high[a], bar, rule)
    if n == 0:
        return -1
    k = below(tree.rng, b, n) if n > 1 else 0
    for a in range(visits.size):
        if visits[a] == 0 and _worthwhile(low[a], high[a], bar, rule):
            if k == 0:
                return a
            k -= 1
    return -1


@compiled
def _leads_on(tree: Tree, path: Path, b: int, node: int, action: int) -> bool:
    """Tell whether an action may lead to something new, or was never tried."""
    if tree.visits[b, node, action] == 0:
        return True
    for k in range(tree.child.shape[3]):  # noqa: SIM110
        if _is_news(tree, path, b, node, action, k):
            return True
    return False


@compiled
def _is_news(tree: Tree, path: Path, b: int, node: int, action: int, outcome: int) -> bool:
    """Tell whether an outcome is possible, and is neither on the way nor known, nor leads but to what is."""
    if tree.child.shape[3] > 1 and tree.chance[b, node, action, outcome] <= 0:
        return False
    child = tree.child[b, node, action, outcome]
    return bool(child < 0 or (path.mark[b, child] != path.number[b] and _is_open(tree, b, child)))


@compiled
def _is_open(tree: Tree, b: int, node: int) -> bool:
    """Tell whether something may still be learnt at a node; what is worth a mean needs visits, a best does not."""
    return bool(tree.lower[b, node] < tree.upper[b, node] and not (tree.best[b] and tree.closed[b, node]))


@compiled
def _is_missing(tree: Tree, b: int, node: int, action: int, outcome: int) -> bool:
    """Tell whether an outcome is possible and was not met yet."""
    possible = tree.child.shape[3] == 1 or tree.chance[b, node, action, outcome] > 0
    return bool(possible and tree.child[b, node, action, outcome] < 0)


@compiled
def _nearest(tree: Tree, path: Path, b: int, start: int, rule: Rule) -> tuple[int, int, int]:
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
            if not _worthwhile(tree.low[b, node, a], tree.high[b, node, a], bar, rule):
                continue
            for k in range(tree.child.shape[3]):
                if _is_missing(tree, b, node, a, k):
                    return head, a, k
                if _is_news(tree, path, b, node, a, k):
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
def _lead_on(tree: Tree, path: Path, b: int, rule: Rule) -> bool:
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
def _uct(tree: Tree, path: Path, b: int, node: int, rule: Rule, bar: float) -> int:
    fresh = _untried(tree, b, node, rule, bar)
    if fresh >= 0:
        return fresh
    visits, total, high, low = tree.visits[b, node], tree.total[b, node], tree.high[b, node], tree.low[b, node]
    width = rule.exploration * math.sqrt(math.log(tree.passed[b, node]))
    best, found, marks = -np.inf, -1, path.mark.shape[1] > 0
    for a in range(visits.size):
        if _worthwhile(low[a], high[a], bar, rule) and (not marks or _leads_on(tree, path, b, node, a)):
            q = min(max(total[a] / visits[a], low[a]), high[a])
            score = _scaled(tree, b, q, rule) + width / math.sqrt(visits[a])
            if score > best:
                best, found = score, a
    return found


@compiled
def _puct(tree: Tree, path: Path, b: int, node: int, rule: Rule, bar: float) -> int:
    visits, total, high, low = tree.visits[b, node], tree.total[b, node], tree.high[b, node], tree.low[b, node]
    prior = tree.prior[b, node]
    width = rule.exploration * math.sqrt(tree.passed[b, node])
    tried, mass = 0.0, 0.0
    for a in range(visits.size):
        if visits[a] > 0:
            mass += total[a]
            tried += visits[a]
    # An action that was never tried is taken to be worth what is known of the node.
    parent = (tree.value[b, node] + mass) / (1.0 + tried)
    best, found, marks = -np.inf, -1, path.mark.shape[1] > 0
    for a in range(visits.size):
        if _worthwhile(low[a], high[a], bar, rule) and (not marks or _leads_on(tree, path, b, node, a)):
            q = total[a] / visits[a] if visits[a] > 0 else parent
            q = min(max(q, low[a]), high[a])
            score = _scaled(tree, b, q, rule) + width * prior[a] / (1.0 + visits[a])
            if score > best:
                best, found = score, a
    return found


@compiled
def _choose(tree: Tree, path: Path, b: int, node: int, rule: Rule) -> int:
    """Return the action to try; never one that is proved to be worse than another, or lost; -1: none leads on."""
    bar = tree.lower[b, node]
    if rule.kind == UCT:
        return _uct(tree, path, b, node, rule, bar)
    return _puct(tree, path, b, node, rule, bar)


@compiled
def _draw(tree: Tree, path: Path, b: int, node: int, action: int) -> int:
    """Return an outcome of an action; where nodes are merged, of those that may bring news if there is any."""
    outcomes = tree.child.shape[3]
    if outcomes == 1:
        return 0
    chance = tree.chance[b, node, action]
    news = 0.0
    if path.mark.shape[1] > 0:
        for k in range(outcomes):
            if _is_news(tree, path, b, node, action, k):
                news += chance[k]
    left = uniform(tree.rng, b) * (news if news > 0 else 1.0)
    likely = 0
    for k in range(outcomes):
        if chance[k] > 0 and (news == 0 or _is_news(tree, path, b, node, action, k)):
            likely = k
            left -= chance[k]
            if left < 0:
                break
    return likely


@compiled
def _descend(tree: Tree, path: Path, b: int, rule: Rule) -> bool:
    """Go down to an action whose outcome is not in the tree (True), or to a node whose value is taken as it is (False).

    That is where its value is known, or nothing new can be met from there on.
    """
    node, depth, marks, chance = 0, 0, path.mark.shape[1] > 0, tree.child.shape[3] > 1
    path.number[b] += 1
    while True:
        if marks:
            path.mark[b, node] = path.number[b]
        action = _choose(tree, path, b, node, rule)
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
    if node >= 0 and marks and tree.best[b] and _is_open(tree, b, node):
        return _lead_on(tree, path, b, rule)
    return bool(node < 0)


@compiled
def _begin(tree: Tree, b: int, node: int, rule: Rule, over: bool) -> None:
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
def _foresee(tree: Tree, b: int, node: int, action: int, reward: float) -> None:
    """Note that an action ends the game at once, before it is ever tried."""
    tree.low[b, node, action] = tree.high[b, node, action] = reward


@compiled
def _settle(tree: Tree, b: int, node: int) -> None:
    """Write between what a node's value lies, by what is known of its actions."""
    lower = upper = -np.inf
    for a in range(tree.low.shape[2]):
        lower, upper = max(lower, tree.low[b, node, a]), max(upper, tree.high[b, node, a])
    tree.lower[b, node], tree.upper[b, node] = lower, upper


@compiled
def _step_of(tree: Tree, b: int, node: int, action: int, outcome: int) -> tuple[float, float]:
    """Return reward and discount of an outcome in the tree; where nodes are merged, several ways lead into one."""
    if tree.step.shape[1] > 0:
        step = tree.step[b, node, action, outcome]
        return step[0], step[1]
    child = tree.child[b, node, action, outcome]
    return tree.reward[b, child], tree.discount[b, child]


@compiled
def _sum_of_bounds(tree: Tree, b: int, node: int, action: int, rule: Rule) -> tuple[float, float]:
    """Return between what an action's value lies, by what its outcomes are proved to be worth."""
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
def _prove(tree: Tree, path: Path, b: int, rule: Rule) -> None:
    """Carry what is known of the last node on the way up, as far as that changes anything."""
    for level in range(path.depth[b] - 1, -1, -1):
        node, action = path.node[b, level], path.action[b, level]
        low, high = _sum_of_bounds(tree, b, node, action, rule)
        if low <= tree.low[b, node, action] and high >= tree.high[b, node, action]:
            return
        tree.low[b, node, action] = max(low, tree.low[b, node, action])
        tree.high[b, node, action] = min(high, tree.high[b, node, action])
        lower, upper = tree.lower[b, node], tree.upper[b, node]
        _settle(tree, b, node)
        if lower == tree.lower[b, node] and upper == tree.upper[b, node]:
            return


@compiled
def _expected(tree: Tree, b: int, node: int, action: int) -> float:
    """Return what an action is worth by the values of those of its outcomes that are in the tree; NaN: none is."""
    mass, worth, outcomes = 0.0, 0.0, tree.child.shape[3]
    for k in range(outcomes):
        child = tree.child[b, node, action, k]
        chance = 1.0 if outcomes == 1 else tree.chance[b, node, action, k]
        if child >= 0 and chance > 0:
            reward, discount = _step_of(tree, b, node, action, k)
            mass += chance
            worth += chance * (reward + discount * tree.value[b, child])
    return worth / mass if mass > 0 else np.nan


@compiled
def _renew(tree: Tree, b: int, node: int) -> None:
    """Value all actions of a node by what their outcomes are worth now (Bellman), and the node by the best of them.

    Where nothing is left to chance, a return once seen can be had again: a node's value never falls.
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
def _back_up(tree: Tree, path: Path, b: int, reward: float, discount: float, value: float) -> None:
    """Add a return to every action on the way, from the last, which gave `reward` and led to what is worth `value`."""
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
def _way_into(tree: Tree, path: Path, b: int, level: int) -> tuple[float, float]:
    """Return reward and discount of the action before a level."""
    if tree.step.shape[1] > 0:
        step = tree.step[b, path.node[b, level - 1], path.action[b, level - 1], path.outcome[b, level - 1]]
        return step[0], step[1]
    node = path.node[b, level]
    return tree.reward[b, node], tree.discount[b, node]


@compiled
def _back_up_best(tree: Tree, path: Path, b: int, returned: float) -> None:
    """Renew the nodes on the way, from the last.

    `returned` is what the last action brought; it counts where there is no room in the tree for what that led to.
    """
    for level in range(path.depth[b] - 1, -1, -1):
        node, action = path.node[b, level], path.action[b, level]
        tree.visits[b, node, action] += 1
        tree.total[b, node, action] += returned
        tree.passed[b, node] += 1
        _renew(tree, b, node)
    if tree.table.shape[1] > 0:
        _renew_others(tree, path, b)


@compiled
def _renew_others(tree: Tree, path: Path, b: int) -> None:
    """Renew some nodes more, in turn and the newest first: several ways lead into a node, and news takes but one."""
    for _ in range(min(OTHERS, tree.size[b])):
        path.turn[b] -= 1
        if path.turn[b] < 0:
            path.turn[b] = tree.size[b] - 1
        node = path.turn[b]
        if tree.lower[b, node] < tree.upper[b, node] and tree.passed[b, node] > 1:
            _renew(tree, b, node)


@compiled
def _back_up_known(tree: Tree, path: Path, b: int) -> None:
    """Add the return of a way that ended in a node whose value is taken as it is."""
    depth = path.depth[b]
    if depth == 0:  # whatever can be done leads but to what is known
        tree.passed[b, 0] += 1
        _renew(tree, b, 0)
        _renew_others(tree, path, b)
        return
    node = path.node[b, depth]
    known = tree.lower[b, node] >= tree.upper[b, node]
    worth = tree.lower[b, node] if known else tree.value[b, node]
    reward, discount = _way_into(tree, path, b, depth)
    _back_up(tree, path, b, reward, discount, worth)


@compiled
def _place(tree: Tree, states: Array, b: int, state: Array, over: bool) -> int:
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
def _link(tree: Tree, path: Path, b: int, node: int, rule: Rule, reward: float, discount: float) -> None:
    """Let the way end in a node, and say what that proves."""
    depth = path.depth[b]
    path.node[b, depth] = node
    before, action, outcome = path.node[b, depth - 1], path.action[b, depth - 1], path.outcome[b, depth - 1]
    tree.child[b, before, action, outcome] = node
    if tree.step.shape[1] > 0:
        tree.step[b, before, action, outcome, 0], tree.step[b, before, action, outcome, 1] = reward, discount
    if tree.lower[b, node] > -rule.bound or tree.upper[b, node] < rule.bound:
        _prove(tree, path, b, rule)


@compiled
def _merge(
    tree: Tree, path: Path, states: Array, b: int, rule: Rule, state: Array, reward: float, discount: float, over: bool
) -> bool:
    """Let the way end in the node that has the state already, and tell whether there is one."""
    if tree.table.shape[1] == 0:
        return False
    node = tree.table[b, _place(tree, states, b, state, over)] - 1
    if node < 0:
        return False
    _link(tree, path, b, node, rule, reward, discount)
    before, action = path.node[b, path.depth[b] - 1], path.action[b, path.depth[b] - 1]
    if tree.best[b] and tree.visits[b, before, action] == 0:
        # What it leads to is valued already, so the way, which goes on, need not come by again.
        tree.visits[b, before, action] = 1
        tree.passed[b, before] += 1
        _renew(tree, b, before)
    return True


@compiled
def _enter(tree: Tree, states: Array, b: int, node: int) -> None:
    """Write a node to the table, where there is one."""
    if tree.table.shape[1] > 0:
        place = _place(tree, states, b, states[b, node], tree_is_over(tree, b, node))
        tree.table[b, place] = node + 1


@compiled
def _attach(
    tree: Tree, path: Path, states: Array, b: int, node: int, rule: Rule, reward: float, discount: float
) -> None:
    """Hang a new node, whose fields are written, to the end of the way."""
    tree.size[b] = node + 1
    _enter(tree, states, b, node)
    _link(tree, path, b, node, rule, reward, discount)


@compiled
def _write(tree: Tree, b: int, node: int, legal: Array, chance: Array, prior: Array, i: int) -> None:
    """Write row `i` of legal actions, priors and chances to a node."""
    for a in range(tree.visits.shape[2]):
        tree.legal[b, node, a], tree.prior[b, node, a] = legal[i, a], prior[i, a]
        if tree.chance.shape[1] > 0:
            for k in range(tree.child.shape[3]):
                tree.chance[b, node, a, k] = chance[i, a, k]


@compiled
def _spread(tree: Tree, b: int, node: int) -> None:
    """Write the same prior for each legal action."""
    n = 0
    for a in range(tree.prior.shape[2]):
        n += tree.legal[b, node, a]
    for a in range(tree.prior.shape[2]):
        tree.prior[b, node, a] = tree.legal[b, node, a] / max(n, 1)


@compiled
def _look(tree: Tree, b: int, node: int, ahead: Array) -> None:
    """Write to a new node what is foreseen of its actions, [A]: the reward where one ends the game, else NaN."""
    for a in range(ahead.size):
        if not math.isnan(ahead[a]):
            _foresee(tree, b, node, a, ahead[a])
    _settle(tree, b, node)


@kept
def descend(tree: Tree, path: Path, rule: Rule, active: Array) -> None:
    """Go down in each of the `active` [B] trees; where nothing new is met, back up at once.

    ``path.waits`` says which trees wait for `attach`. What is proved through and through is left alone.
    """
    for b in range(tree.size.size):
        path.waits[b] = False
        if active[b] and tree.lower[b, 0] < tree.upper[b, 0]:
            if _descend(tree, path, b, rule):
                path.waits[b] = True
            else:
                _back_up_known(tree, path, b)


@kept
def plant(
    tree: Tree, rule: Rule, rows: Array, legal: Array, ahead: Array, chance: Array, prior: Array, value: Array
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
        _begin(tree, b, 0, rule, False)
        _look(tree, b, 0, ahead[i])
        tree.size[b], tree.reward[b, 0], tree.discount[b, 0] = 1, 0.0, 0.0
        tree.span[b, 0], tree.span[b, 1] = np.inf, -np.inf
        tree.best[b] = rule.best


@kept
def merge(
    tree: Tree,
    path: Path,
    states: Array,
    rule: Rule,
    rows: Array,
    reached: Array,
    reward: Array,
    discount: Array,
    merged: Array,
) -> None:
    """Write to `merged` [R] which of the states `reached` [R, S] are in the trees of `rows` [R]; the ways end there."""
    for i in range(rows.size):
        over = discount[i] == 0
        merged[i] = _merge(tree, path, states, rows[i], rule, reached[i], reward[i], rule.gamma * discount[i], over)


@kept
def enter(tree: Tree, states: Array) -> None:
    """Write all nodes to the tables."""
    for b in range(tree.size.size):
        for node in range(tree.size[b]):
            _enter(tree, states, b, node)


@kept
def attach(
    tree: Tree,
    path: Path,
    states: Array,
    rule: Rule,
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
        worth = 0.0 if over else value[i]
        if node < tree.passed.shape[1]:
            _write(tree, b, node, legal, chance, prior, i)
            tree.reward[b, node], tree.discount[b, node] = reward[i], rule.gamma * discount[i]
            _begin(tree, b, node, rule, over)
            if not over:
                _look(tree, b, node, ahead[i])
            worth = min(max(worth, tree.lower[b, node]), tree.upper[b, node])
            tree.value[b, node] = worth
            _attach(tree, path, states, b, node, rule, reward[i], rule.gamma * discount[i])
        _back_up(tree, path, b, reward[i], rule.gamma * discount[i], worth)


@kept
def simulate(
    tree: Tree,
    path: Path,
    states: Array,
    rule: Rule,
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
    """Take whole simulations in each of the `active` [B] trees, by compiled rules and random play.

    Args:
        tree: planted.
        path: to write to.
        states: [B, N, S] int64, of the nodes.
        rule: how to choose.
        step: see `rlkit.search.model.Rules`, as are `legal`, `chances`, `rollout` and `data`.
        legal: likewise.
        chances: likewise.
        rollout: likewise.
        data: likewise.
        active: which trees.
        simulations: of each tree, or fewer where its root is proved.
        max_steps: of random play.
        look_ahead: what ends the game at once is known before it is tried.
    """
    nodes, actions, result = tree.passed.shape[1], tree.visits.shape[2], path.result
    for b in range(tree.size.size):
        done = 0 if active[b] else simulations
        while done < simulations and tree.lower[b, 0] < tree.upper[b, 0]:
            if not _descend(tree, path, b, rule):
                _back_up_known(tree, path, b)
                done += 1
                continue
            depth, node = path.depth[b], tree.size[b]
            fits = node < nodes
            reached = states[b, node] if fits else path.beyond
            last = path.node[b, depth - 1]
            step(states[b, last], path.action[b, depth - 1], path.outcome[b, depth - 1], data, reached, result)
            reward, discount, over = result[0], rule.gamma * result[1], result[1] == 0
            if _merge(tree, path, states, b, rule, reached, reward, discount, over):
                continue
            done += 1
            settled = over
            if fits:
                if not over:
                    legal(reached, data, tree.legal[b, node])
                    if tree.chance.shape[1] > 0:
                        for a in range(actions):
                            chances(reached, a, data, tree.chance[b, node, a])
                tree.reward[b, node], tree.discount[b, node] = reward, discount
                _begin(tree, b, node, rule, over)
                if look_ahead and not over:
                    for a in range(actions):
                        if tree.legal[b, node, a]:
                            step(reached, a, 0, data, path.beyond, result)
                            if result[1] == 0:
                                _foresee(tree, b, node, a, result[0])
                    _settle(tree, b, node)
                settled = tree.lower[b, node] >= tree.upper[b, node]
            worth = 0.0
            if not settled:
                worth = rollout(reached, tree.rng[b : b + 1], data, rule.gamma, max_steps)
            if fits:
                if not settled:
                    _spread(tree, b, node)
                worth = min(max(worth, tree.lower[b, node]), tree.upper[b, node])
                tree.value[b, node] = worth
                _attach(tree, path, states, b, node, rule, reward, discount)
            _back_up(tree, path, b, reward, discount, worth)


@allocating
def find(tree: Tree, states: Array, action: Array, wanted: Array) -> Array:
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
def transplant(old: Tree, new: Tree, roots: Array) -> Array:
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
def tree_is_over(tree: Tree, b: int, node: int) -> bool:
    """Tell whether the game has ended at a node."""
    return tree.upper[b, node] == 0 and not tree.legal[b, node].any()


@compiled
def _copy(old: Tree, new: Tree, b: int, node: int, place: int) -> None:
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
