"""Value decomposition networks: the value of all agents' actions is the sum of theirs (Sunehag et al., 2018)."""

from __future__ import annotations

from rlkit.algorithms.off_policy.value_decomposition import ValueDecomposition


class VDN(ValueDecomposition):
    """Q-learning of the sum of the agents' values."""

    name = "vdn"
