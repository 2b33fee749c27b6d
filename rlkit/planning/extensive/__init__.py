"""Games with hidden information: their trees as arrays, best responses, and counterfactual regret minimization.

Importing this does not load numba; what is compiled is imported when it is called.
"""

from rlkit.planning.extensive.game import CHANCE, OVER, ExtensiveGame
from rlkit.planning.extensive.matrix import MatrixGame
from rlkit.planning.extensive.solution import (
    best_response_values,
    expected_values,
    exploitability,
    uniform_policy,
)
from rlkit.planning.extensive.sources import tree_of
from rlkit.planning.extensive.tree import GameTree, build_tree

__all__ = [
    "CHANCE",
    "OVER",
    "ExtensiveGame",
    "GameTree",
    "MatrixGame",
    "best_response_values",
    "build_tree",
    "expected_values",
    "exploitability",
    "tree_of",
    "uniform_policy",
]
