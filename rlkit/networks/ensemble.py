"""Ensembles of Gaussian models of an environment's dynamics (torch).

Source: Chua et al. (2018), appendix A.1 for the bounded variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.ranges import PositiveInt
from rlkit.core.spaces import DEEP, FLATTEN
from rlkit.core.types import FromRun, UsageError
from rlkit.networks.critics import action_width
from rlkit.networks.stacked import ALL, Members, StackedHead, StackedMLP

LOG_VARIANCES = (-10.0, 0.5)
"""Bounds of the logarithms of variances at first, in units of the targets' own."""

LEAST_STD = 1e-6
"""Numbers that differ less are not scaled: they are constant but for rounding."""


class Forecast(NamedTuple):
    """What m members say of B rows, standardized: of the D changes of observations, and of the reward."""

    mean: Tensor  # [m, B, D + 1]
    log_variance: Tensor  # [m, B, D + 1]
    end: Tensor  # [m, B] logit of that the episode ends


class GaussianEnsemble(nn.Module):
    """n models, each a normal distribution of what an action changes and of its reward, and a chance that it ends.

    Attributes:
        members: n.
        elite: [e] int64, the best members, which predict; the first ones until they are compared.
    """

    elite: Tensor
    input_mean: Tensor
    input_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        members: PositiveInt,
        elites: PositiveInt,
        hidden: Sequence[PositiveInt],
        activation: str,
    ):
        """Make the members.

        Args:
            observation_space: of one environment, numbers in one row [D].
            action_space: of one environment, a `Box`.
            members: n.
            elites: e, how many of them predict.
            hidden: width of each layer.
            activation: one of `rlkit.networks.ACTIVATIONS`.

        Raises:
            UsageError: more elites than members, or other spaces.
        """
        super().__init__()
        if elites > members:
            raise UsageError(f"agent.ensemble.elites is {elites}, of {members} members; it must be at most that many")
        if not isinstance(observation_space, spaces.Box) or len(observation_space.shape) != 1:
            raise UsageError(
                f"agent=mbpo needs observations that are one row of numbers, not {observation_space}; {DEEP}, or "
                f"{FLATTEN}"
            )
        if not isinstance(action_space, spaces.Box):
            raise UsageError(
                f"agent=mbpo needs continuous actions, a Box, not {action_space}; for others: agent=muzero"
            )
        inputs, outputs = observation_space.shape[0] + action_width(action_space), observation_space.shape[0] + 1
        self.members = members
        self.body = StackedMLP(members, inputs, hidden, activation)
        self.head = StackedHead(members, self.body.features, 2 * outputs + 1)
        self.least, self.most = (nn.Parameter(torch.full((outputs,), bound)) for bound in LOG_VARIANCES)
        self.register_buffer("elite", torch.arange(elites))
        for name, width in (("input", inputs), ("target", outputs)):
            self.register_buffer(f"{name}_mean", torch.zeros(width))
            self.register_buffer(f"{name}_std", torch.ones(width))

    def standardize_by(self, inputs: Tensor, targets: Tensor) -> None:
        """Take means and standard deviations from rows [M, D + A] and [M, D + 1]."""
        for name, rows in (("input", inputs), ("target", targets)):
            std, mean = torch.std_mean(rows, 0, correction=0)
            getattr(self, f"{name}_mean").copy_(mean)
            getattr(self, f"{name}_std").copy_(std.where(std > LEAST_STD, 1.0))

    def forward(self, inputs: Tensor, members: Members = ALL) -> Forecast:
        """Return forecasts for observations and actions in a row, [B, D + A] or [m, B, D + A] not standardized."""
        said = self.head(self.body((inputs - self.input_mean) / self.input_std, members), members)
        mean, log_variance, end = said.split([len(self.most), len(self.most), 1], dim=2)
        log_variance = self.most - nn.functional.softplus(self.most - log_variance)
        log_variance = self.least + nn.functional.softplus(log_variance - self.least)
        return Forecast(mean, log_variance, end.squeeze(2))

    def loss(self, forecast: Forecast, targets: Tensor, ended: Tensor) -> Tensor:
        """Return each member's negative log-likelihood [m] of targets [m, B, D + 1], standardized, and ends [m, B]."""
        error = (forecast.mean - targets).square() * (-forecast.log_variance).exp() + forecast.log_variance
        ends = nn.functional.binary_cross_entropy_with_logits(forecast.end, ended, reduction="none")
        return error.mean((1, 2)) + ends.mean(1)

    def predict(self, observation: Tensor, action: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return successors [e, B, D], rewards [e, B] and chances of an end [e, B], each elite for rows of its own.

        Args:
            observation: [e, B, D].
            action: [e, B, A].
            noise: [e, B, D + 1], standard normal; zeros for the means.
        """
        forecast = self(torch.cat([observation, action], dim=2), self.elite)
        drawn = forecast.mean + noise * (forecast.log_variance / 2).exp()
        change = drawn * self.target_std + self.target_mean
        return observation + change[..., :-1], change[..., -1], forecast.end.sigmoid()
