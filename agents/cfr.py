"""Counterfactual regret minimization (Zinkevich et al., 2007)."""

from __future__ import annotations

from rlkit.algorithms.model_based.regret_planner import RegretPlanner


class CFR(RegretPlanner):
    """Regret matching in every information set; the average policy goes to an equilibrium where two play for the same.

    Regrets are sums, which may fall below 0.
    """

    name = "cfr"
    floored = False
