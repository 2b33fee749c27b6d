"""A policy whose density is finite at the bounds of actions, as where actions of others are imitated (torch).

Shapes: B rows, D numbers in an action.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rlkit.networks.actors import Decision, GaussianPolicy, StochasticActor
from rlkit.networks.squashed_gaussian import log_normal


class ClippedGaussianPolicy(GaussianPolicy):
    """Normal numbers around a mean squashed by tanh, cut off at -1 and 1; parameters as in `GaussianPolicy`."""

    def decide(self, parameters: Tensor, generator: torch.Generator | None, legal_actions: Tensor | None) -> Decision:
        """Draw an action for each row of parameters [B, 2 D]; its density is that of the number before the cut."""
        mean, log_std = parameters.chunk(2, 1)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device).to(mean.dtype)
        number = torch.addcmul(mean.tanh(), log_std.clamp(*self._limits).exp(), noise)
        log_prob = self.log_prob(parameters, number)[:, None]
        return Decision(number.clamp(-1, 1), torch.ones_like(log_prob), log_prob)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return the logarithm [B] of the normal density of actions [B, D]."""
        mean, log_std = parameters.chunk(2, 1)
        return log_normal(action, mean.tanh(), log_std.clamp(*self._limits)).sum(1)

    def act(self, parameters: Tensor, noise: Tensor | None, legal_actions: Tensor | None) -> Tensor:
        """Return [B, D]."""
        mean, log_std = parameters.chunk(2, 1)
        middle = mean.tanh()
        if noise is None:
            return middle
        return torch.addcmul(middle, log_std.clamp(*self._limits).exp(), noise).clamp(-1, 1)


class ClippedActor(StochasticActor):
    """A `StochasticActor` whose continuous actions are normal numbers around a squashed mean, cut off at the bounds."""

    gaussian = ClippedGaussianPolicy
