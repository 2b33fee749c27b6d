"""TD3 + BC (Fujimoto & Gu, 2021): offline, TD3 whose actor imitates what was done, too."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rlkit.agents.td3 import TD3, TD3Settings
from rlkit.core.ranges import NonNegativeFloat


@dataclass(frozen=True, kw_only=True)
class TD3BCSettings(TD3Settings):
    """The settings of `TD3BC`, beside those of `TD3`; values are in conf/agent/td3_bc.yaml.

    Attributes:
        alpha: how much values count beside imitation, once both are of one size; 0: cloning.
    """

    alpha: NonNegativeFloat


class TD3BC(TD3):
    """TD3, but for the loss of its actor."""

    settings: TD3BCSettings
    needs_data = True

    def actor_loss(self, value: Tensor, action: Tensor, taken: Tensor) -> Tensor:
        """Return ``-lambda Q + (pi - a)^2`` [], where ``lambda = alpha / mean |Q|`` is a constant.

        Args:
            value: [B, 1] of the actor's actions.
            action: [B, D] those.
            taken: [B, D] actions that were taken.
        """
        scale = self.settings.alpha / value.detach().abs().mean()
        return -scale * value.mean() + (action - taken).square().mean()
