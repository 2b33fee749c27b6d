"""Counterfactual regret minimization (Zinkevich et al., 2007) on the tree of a game."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array, State
from rlkit.planning.extensive.solution import normalized_policy, uniform_policy
from rlkit.planning.extensive.tree import GameTree


class RegretMinimizer:
    """Plays a game against itself over its whole tree; the players learn in turn.

    Attributes:
        tree: of the game.
        policy: [Q] float64, the present one.
        regret: [Q] float64, sums of counterfactual regrets.
        cumulative: [Q] float64, what the average policy is made of.
        iterations: how many were run.
    """

    def __init__(self, tree: GameTree, *, averaging: float, floored: bool):
        """Begin with the uniform policy.

        Args:
            tree: of the game.
            averaging: iteration t counts ``t ** averaging`` in the average policy.
            floored: regrets never fall below 0 (CFR+; Tammelin, 2014).
        """
        self.tree, self._averaging, self._floored = tree, float(averaging), floored
        self.policy = uniform_policy(tree)
        self.regret, self.cumulative = np.zeros(len(self.policy)), np.zeros(len(self.policy))
        self.iterations = 0

    def run(self, iterations: int) -> None:
        """Run so many iterations."""
        from rlkit.planning.extensive.kernels import iterate

        tree = self.tree
        sets = tree.set_player, tree.offset, tree.parent_sequence
        ends = tree.chance[tree.ends], tree.end_sequence, tree.payoff
        tables = self.regret, self.cumulative, self.policy
        iterate(tree.num_players, iterations, self.iterations, self._averaging, self._floored, sets, ends, *tables)
        self.iterations += iterations

    @property
    def average_policy(self) -> Array:
        """[Q] float64, the mean of all policies so far, each weighted by how often its player comes there."""
        return normalized_policy(self.tree, self.cumulative)

    def state_dict(self) -> State:
        """Return the tables."""
        tables = {name: getattr(self, name).copy() for name in ("policy", "regret", "cumulative")}
        return {**tables, "iterations": self.iterations}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        for name in ("policy", "regret", "cumulative"):
            getattr(self, name)[...] = state[name]
        self.iterations = int(state["iterations"])
