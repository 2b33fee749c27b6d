"""Contextual bandits: what an arm is believed to earn in a context, and how to explore by it."""

from rlkit.algorithms.bandits.contexts import Contexts
from rlkit.algorithms.bandits.estimators import EstimatorArms
from rlkit.algorithms.bandits.explorers import EpsilonGreedy, Explorer, ThompsonSampling, UpperBound
from rlkit.algorithms.bandits.model import RewardModel, Steps
from rlkit.algorithms.bandits.recommenders import RecommenderArms
from rlkit.algorithms.bandits.ridge import RidgeArms

__all__ = [
    "Contexts",
    "EpsilonGreedy",
    "EstimatorArms",
    "Explorer",
    "RecommenderArms",
    "RewardModel",
    "RidgeArms",
    "Steps",
    "ThompsonSampling",
    "UpperBound",
]
