"""What is computed over the tree of a game, compiled.

Shapes are those of `rlkit.planning.extensive.tree`. Values of a player are added up over their sequences (von Stengel,
1996): an end counts by the product of the others' and chance's probabilities, once, at the last sequence of the player
before it; what a sequence is worth then follows from the sets that come after it.
"""

import numpy as np

from rlkit.core.compiling import entry

OPTIONS = {"error_model": "numpy"}


@entry(**OPTIONS)
def reach(set_player, offset, parent_sequence, policy, probability):  # type: ignore[no-untyped-def]
    """Write with which probability each sequence is played as far as its player decides, [Q]."""
    for i in range(len(set_player)):
        parent = parent_sequence[i]
        before = probability[parent] if parent >= 0 else 1.0
        for q in range(offset[i], offset[i + 1]):
            probability[q] = before * policy[q]


@entry(**OPTIONS)
def end_values(player, chance, end_sequence, payoff, probability, value):  # type: ignore[no-untyped-def]
    """Write what ends add to each sequence [Q] of a player; return what those add before which they do not move."""
    value[:] = 0.0
    without = 0.0
    for t in range(len(chance)):
        others = 1.0
        for other in range(end_sequence.shape[1]):
            q = end_sequence[t, other]
            if other != player and q >= 0:
                others *= probability[q]
        worth = others * chance[t] * payoff[t, player]
        if end_sequence[t, player] >= 0:
            value[end_sequence[t, player]] += worth
        else:
            without += worth
    return without


@entry(**OPTIONS)
def best_response(player, set_player, offset, parent_sequence, value):  # type: ignore[no-untyped-def]
    """Let a player choose the best action everywhere; `value` [Q] begins as `end_values` left it. Return its value."""
    total = 0.0
    for i in range(len(set_player) - 1, -1, -1):
        if set_player[i] == player:
            best = value[offset[i] : offset[i + 1]].max()
            parent = parent_sequence[i]
            if parent >= 0:
                value[parent] += best
            else:
                total += best
    return total


@entry(**OPTIONS)
def regrets(player, set_player, offset, parent_sequence, policy, value, regret):  # type: ignore[no-untyped-def]
    """Add the counterfactual regrets of a player's actions [Q]; `value` begins as `end_values` left it."""
    for i in range(len(set_player) - 1, -1, -1):
        if set_player[i] == player:
            mean = 0.0
            for q in range(offset[i], offset[i + 1]):
                mean += policy[q] * value[q]
            for q in range(offset[i], offset[i + 1]):
                regret[q] += value[q] - mean
            if parent_sequence[i] >= 0:
                value[parent_sequence[i]] += mean


@entry(**OPTIONS)
def match_regrets(player, set_player, offset, regret, floored, policy):  # type: ignore[no-untyped-def]
    """Let a player take actions in proportion to their regrets that are positive; uniformly where none is."""
    for i in range(len(set_player)):
        if set_player[i] == player:
            total = 0.0
            for q in range(offset[i], offset[i + 1]):
                if floored and regret[q] < 0.0:
                    regret[q] = 0.0
                total += max(regret[q], 0.0)
            count = offset[i + 1] - offset[i]
            for q in range(offset[i], offset[i + 1]):
                policy[q] = max(regret[q], 0.0) / total if total > 0.0 else 1.0 / count


@entry(**OPTIONS)
def iterate(  # type: ignore[no-untyped-def]
    players, count, done, averaging, floored, sets, ends, regret, cumulative, policy
):
    """Run `count` iterations after `done` of them, in which each player learns after the other.

    Args:
        players: P.
        count: iterations.
        done: those before.
        averaging: iteration t counts ``t ** averaging`` in the average policy.
        floored: regrets never fall below 0.
        sets: (set_player, offset, parent_sequence).
        ends: (chance, end_sequence, payoff).
        regret: [Q] changed.
        cumulative: [Q] changed: sums of the weighted probabilities with which each sequence is played.
        policy: [Q] changed.
    """
    set_player, offset, parent_sequence = sets
    chance, end_sequence, payoff = ends
    probability, value = np.empty(len(policy)), np.empty(len(policy))
    for t in range(done + 1, done + count + 1):
        weight = float(t) ** averaging
        for player in range(players):
            reach(set_player, offset, parent_sequence, policy, probability)
            end_values(player, chance, end_sequence, payoff, probability, value)
            regrets(player, set_player, offset, parent_sequence, policy, value, regret)
            for i in range(len(set_player)):
                if set_player[i] == player:
                    for q in range(offset[i], offset[i + 1]):
                        cumulative[q] += weight * probability[q]
            match_regrets(player, set_player, offset, regret, floored, policy)
