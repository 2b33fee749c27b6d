"""Contextual bandits: what an arm is believed to earn in a context, and how to explore by it."""

from rlkit.bandits.contexts import Contexts
from rlkit.bandits.estimators import EstimatorArms
from rlkit.bandits.explorers import EpsilonGreedy, Explorer, ThompsonSampling, UpperBound
from rlkit.bandits.model import RewardModel, Steps
from rlkit.bandits.recommenders import RecommenderArms
from rlkit.bandits.ridge import RidgeArms

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
