"""Monte Carlo tree search over arrays: models, evaluators, and the search itself."""

from rlkit.planning.search.engine import (
    DirichletNoise,
    Search,
    SearchTrees,
    root_action_values,
    root_values,
    rule_for,
    visit_counts,
)
from rlkit.planning.search.evaluators import Evaluator, NetworkEvaluator, RandomPlay
from rlkit.planning.search.model import Model, ModelStep, Rules
from rlkit.planning.search.path import PUCT, UCT, SelectionRule
from rlkit.planning.search.rules import RuleModel
from rlkit.planning.search.sources import model_of

__all__ = [
    "PUCT",
    "UCT",
    "DirichletNoise",
    "Evaluator",
    "Model",
    "ModelStep",
    "NetworkEvaluator",
    "RandomPlay",
    "RuleModel",
    "Rules",
    "Search",
    "SearchTrees",
    "SelectionRule",
    "model_of",
    "root_action_values",
    "root_values",
    "rule_for",
    "visit_counts",
]
