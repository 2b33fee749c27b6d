"""Monte Carlo tree search over arrays: models, evaluators, and the search itself."""

from rlkit.planning.search.engine import Forest, Noise, Search, root_action_values, root_values, rule_for, weights
from rlkit.planning.search.evaluators import Evaluator, Judge, RandomPlay
from rlkit.planning.search.model import Model, Rules, Step
from rlkit.planning.search.path import PUCT, UCT, Rule
from rlkit.planning.search.rules import RuleModel
from rlkit.planning.search.sources import model_of

__all__ = [
    "PUCT",
    "UCT",
    "Evaluator",
    "Forest",
    "Judge",
    "Model",
    "Noise",
    "RandomPlay",
    "Rule",
    "RuleModel",
    "Rules",
    "Search",
    "Step",
    "model_of",
    "root_action_values",
    "root_values",
    "rule_for",
    "weights",
]
