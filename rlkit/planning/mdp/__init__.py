"""Finite Markov decision processes as arrays, and dynamic programming on them (Sutton & Barto, 2nd ed., chapter 4).

Importing this loads neither scipy nor numba; what needs them imports them when it is called.
"""

from rlkit.planning.mdp.evaluation import (
    Evaluation,
    action_values,
    evaluation_sweeps,
    exact_values,
    policy_evaluation,
    uniform_policy,
)
from rlkit.planning.mdp.iteration import (
    Plan,
    action_value_iteration,
    greedy_policy,
    policy_improvement,
    policy_iteration,
    value_iteration,
)
from rlkit.planning.mdp.model import FiniteMDP, Outcome, from_table, require_room
from rlkit.planning.mdp.sources import from_environment, from_gymnasium, has_table, model_of
from rlkit.planning.mdp.sweeping import ordered_value_iteration, prioritized_sweeping

__all__ = [
    "Evaluation",
    "FiniteMDP",
    "Outcome",
    "Plan",
    "action_value_iteration",
    "action_values",
    "evaluation_sweeps",
    "exact_values",
    "from_environment",
    "from_gymnasium",
    "from_table",
    "greedy_policy",
    "has_table",
    "model_of",
    "ordered_value_iteration",
    "policy_evaluation",
    "policy_improvement",
    "policy_iteration",
    "prioritized_sweeping",
    "require_room",
    "uniform_policy",
    "value_iteration",
]
