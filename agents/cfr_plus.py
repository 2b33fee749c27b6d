"""CFR+: counterfactual regret minimization whose regrets never fall below 0 (Tammelin, 2014)."""

from __future__ import annotations

from rlkit.algorithms.model_based.regret_planner import RegretPlanner


class CFRPlus(RegretPlanner):
    """Regret matching+ in every information set, with an average policy in which later iterations count more."""

    name = "cfr_plus"
    floored = True
