"""The base of agents whose actor is a distribution over actions (torch)."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from rlkit.algorithms.off_policy.agent import OffPolicyAgent
from rlkit.core.types import Array
from rlkit.networks import StochasticActor


class StochasticAgent(OffPolicyAgent):
    """Explores by drawing actions from its policy.

    Attributes:
        has_policy: actions can be drawn from it.
    """

    has_policy = True
    actor: StochasticActor

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw the actor's noise [n, ...] float32."""
        return self.actor.noise(n, rng)

    def _choose(self, features: Tensor, legal_actions: Array | None, noise: Array | None) -> Array:
        drawn, legal = (None if array is None else self._tensor(array) for array in (noise, legal_actions))
        return self.actor.act(features, drawn, legal).cpu().numpy()
