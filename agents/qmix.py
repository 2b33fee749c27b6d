"""QMIX: the value of all agents' actions rises in the value of each (Rashid et al., 2018)."""

from __future__ import annotations

from rlkit.algorithms.off_policy.value_decomposition import ValueDecomposition


class QMIX(ValueDecomposition):
    """Q-learning of a monotonic mixture of the agents' values, whose weights depend on what all of them observe."""

    name = "qmix"
