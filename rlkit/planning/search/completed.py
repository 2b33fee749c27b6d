"""The improved policy of a node: by its priors and its actions' values, completed where they were not tried.

Source: Danihelka et al. (2022), section 4 and appendix D.
"""

from __future__ import annotations

import math

import numpy as np

from rlkit.core.types import Array
from rlkit.planning.search.path import SelectionRule, compiled, kept
from rlkit.planning.search.tree import SearchTree

LEAST = 1e-30
"""The smallest prior of a legal action, whose logarithm is taken."""


@compiled
def _mixed(tree: SearchTree, b: int, node: int) -> float:
    """Return the value that stands for actions never tried: the evaluator's, and the others' by their priors."""
    tried, mass, weighted = 0.0, 0.0, 0.0
    for a in range(tree.visits.shape[2]):
        n = tree.visits[b, node, a]
        if n > 0:
            p = max(tree.prior[b, node, a], LEAST)
            tried += n
            mass += p
            weighted += p * tree.total[b, node, a] / n
    if tried == 0:
        return float(tree.value[b, node])
    return float((tree.value[b, node] + tried * weighted / mass) / (1.0 + tried))


@compiled
def _completed(tree: SearchTree, b: int, node: int, a: int, mixed: float) -> float:
    n = tree.visits[b, node, a]
    return tree.total[b, node, a] / n if n > 0 else mixed


@compiled
def _scale(tree: SearchTree, b: int, node: int, mixed: float, rule: SelectionRule) -> tuple[float, float]:
    """Return the least completed value of a node's legal actions, and what the distance from it is multiplied by."""
    least, greatest, most = np.inf, -np.inf, 0
    for a in range(tree.visits.shape[2]):
        if tree.legal[b, node, a]:
            q = _completed(tree, b, node, a, mixed)
            least, greatest = min(least, q), max(greatest, q)
            most = max(most, tree.visits[b, node, a])
    span = greatest - least
    return least, (rule.offset + most) * rule.exploration / span if span > 1e-8 else 0.0


@compiled
def _score(tree: SearchTree, b: int, node: int, a: int, mixed: float, least: float, scale: float) -> float:
    q = _completed(tree, b, node, a, mixed)
    return math.log(max(tree.prior[b, node, a], LEAST)) + scale * (q - least)


@compiled
def improved(tree: SearchTree, b: int, node: int, rule: SelectionRule) -> int:
    """Return the action whose share of the visits is furthest below its probability by the improved policy."""
    mixed = _mixed(tree, b, node)
    least, scale = _scale(tree, b, node, mixed, rule)
    most, mass, tried = -np.inf, 0.0, 0.0
    for a in range(tree.visits.shape[2]):
        if tree.legal[b, node, a]:
            most = max(most, _score(tree, b, node, a, mixed, least, scale))
            tried += tree.visits[b, node, a]
    for a in range(tree.visits.shape[2]):
        if tree.legal[b, node, a]:
            mass += math.exp(_score(tree, b, node, a, mixed, least, scale) - most)
    best, found = -np.inf, -1
    for a in range(tree.visits.shape[2]):
        if tree.legal[b, node, a]:
            probability = math.exp(_score(tree, b, node, a, mixed, least, scale) - most) / mass
            lacking = probability - tree.visits[b, node, a] / (1.0 + tried)
            if lacking > best:
                best, found = lacking, a
    return found


@kept
def improved_logits(tree: SearchTree, rule: SelectionRule, logits: Array) -> None:
    """Write to `logits` [B, A] float64 those of the roots' improved policies; -inf where an action is not legal."""
    for b in range(tree.size.size):
        mixed = _mixed(tree, b, 0)
        least, scale = _scale(tree, b, 0, mixed, rule)
        for a in range(tree.visits.shape[2]):
            logits[b, a] = _score(tree, b, 0, a, mixed, least, scale) if tree.legal[b, 0, a] else -np.inf
