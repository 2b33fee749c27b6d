"""The network of AlphaZero: a policy and a value on one torso (torch)."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.spaces import num_actions, require_array
from rlkit.core.types import FromRun
from rlkit.networks.torsos import as_torso


class PolicyValue(nn.Module):
    """Logits of the actions and the value of a state, on one torso."""

    def __init__(
        self,
        torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
    ):
        """Put the heads on the torso (any module: `as_torso`).

        Raises:
            UsageError: the actions are not discrete, or the observations no arrays.
        """
        super().__init__()
        require_array(observation_space, agent="agent=alphazero")
        self.torso = as_torso(torso, observation_space)
        self.policy = nn.Linear(self.torso.features, num_actions(action_space, agent="agent=alphazero"))
        self.value = nn.Linear(self.torso.features, 1)
        for head in (self.policy, self.value):
            nn.init.zeros_(head.weight)
            assert head.bias is not None
            nn.init.zeros_(head.bias)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] of observations [B, ...]."""
        features = self.torso(observation)
        return self.policy(features), self.value(features).squeeze(1)


def masked(logits: Tensor, legal: Tensor) -> Tensor:
    """Return logits [B, A] with those of illegal actions, False in `legal` [B, A], at the dtype's least number."""
    return torch.where(legal, logits, torch.finfo(logits.dtype).min)
