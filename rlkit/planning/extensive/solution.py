"""What policies of a game are worth: to those who play them, and to whoever responds best."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array
from rlkit.planning.extensive.tree import GameTree


def uniform_policy(tree: GameTree) -> Array:
    """Return the policy [Q] that takes all legal actions alike."""
    counts = np.diff(tree.offset)
    return np.repeat(1 / counts, counts)


def normalized_policy(tree: GameTree, weight: Array) -> Array:
    """Return the policy [Q] in proportion to weights [Q], uniform where they are all 0."""
    counts = np.diff(tree.offset)
    total = np.repeat(np.add.reduceat(weight, tree.offset[:-1]), counts)
    return np.where(total > 0, weight / np.where(total > 0, total, 1.0), np.repeat(1 / counts, counts))


def expected_values(tree: GameTree, policy: Array) -> Array:
    """Return what each player wins on average where all play `policy` [Q]: [P] float64."""
    probability = _reach(tree, policy)
    played = np.where(tree.end_sequence >= 0, probability[tree.end_sequence], 1.0).prod(1)
    return np.asarray((played * tree.chance[tree.ends]) @ tree.payoff)


def best_response_values(tree: GameTree, policy: Array) -> Array:
    """Return what each player wins on average who responds best to the others' `policy` [Q]: [P] float64."""
    from rlkit.planning.extensive import kernels

    probability, chance = _reach(tree, policy), tree.chance[tree.ends]
    values = np.empty(tree.num_players)
    for player in range(tree.num_players):
        value = np.empty(len(policy))
        without = kernels.end_values(player, chance, tree.end_sequence, tree.payoff, probability, value)
        best = kernels.best_response(player, tree.set_player, tree.offset, tree.parent_sequence, value)
        values[player] = without + best
    return values


def exploitability(tree: GameTree, policy: Array) -> float:
    """Return what players gain on average by responding best to `policy` [Q]: 0 in an equilibrium.

    For two who play for the same this is half of NashConv, as OpenSpiel has it (Lanctot et al., 2019).
    """
    gains = best_response_values(tree, policy) - expected_values(tree, policy)
    return float(gains.mean())


def _reach(tree: GameTree, policy: Array) -> Array:
    """Return with which probability each sequence is played as far as its player decides, [Q]."""
    from rlkit.planning.extensive import kernels

    probability = np.empty(len(policy))
    kernels.reach(tree.set_player, tree.offset, tree.parent_sequence, policy, probability)
    return probability
