"""What is made of the values of several agents' actions: the value of all of them together (torch).

Shapes: B games, P agents, S the length of the joint observation.
"""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.joint import joint_space
from rlkit.core.ranges import PositiveInt
from rlkit.core.types import FromRun, UsageError


class SumMixer(nn.Module):
    """The sum of the values (Sunehag et al., 2018)."""

    def forward(self, values: Tensor, state: Any) -> Tensor:
        """Return [B] of values [B, P], whatever the `state`."""
        return values.sum(1)


class MonotonicMixer(nn.Module):
    """A network of one hidden layer that rises in each value; the state makes its weights (Rashid et al., 2018).

    Whatever is best for an agent alone is so best for all: the weights are absolute values.
    """

    def __init__(self, observation_space: FromRun[Any], players: FromRun[int], *, hidden: PositiveInt):
        """Make the networks that make the weights.

        Args:
            observation_space: of one agent: vectors.
            players: P.
            hidden: width E of the hidden layer.

        Raises:
            UsageError: observations are no vectors.
        """
        super().__init__()
        space = joint_space(observation_space, players)
        if not isinstance(space, spaces.Box):
            raise UsageError(f"agent.mixer reads what all agents observe as a vector, not {space}; take agent=vdn")
        size, self._shape = space.shape[0], (players, hidden)
        self.first = nn.Linear(size, players * hidden)
        self.first_bias = nn.Linear(size, hidden)
        self.second = nn.Linear(size, hidden)
        self.second_bias = nn.Sequential(nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, values: Tensor, state: Tensor) -> Tensor:
        """Return [B] of values [B, P] in joint observations `state` [B, S]."""
        weights = self.first(state).abs().view(-1, *self._shape)
        hidden = nn.functional.elu(torch.bmm(values[:, None], weights)[:, 0] + self.first_bias(state))
        total: Tensor = (hidden * self.second(state).abs()).sum(1) + self.second_bias(state)[:, 0]
        return total
