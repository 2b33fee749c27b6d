"""Conservative Q-learning (Kumar et al., 2020): offline, SAC whose critics expect less of what nobody did."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from rlkit.agents.sac import SAC
from rlkit.algorithms.off_policy.settings import OffPolicySettings
from rlkit.core.ranges import NonNegativeFloat, PositiveInt
from rlkit.networks import Minibatch


@dataclass(frozen=True, kw_only=True)
class CQLSettings(OffPolicySettings):
    """The settings of `CQL`, beside those of every `OffPolicyAgent`; values are in conf/agent/cql.yaml.

    Attributes:
        conservatism: weight of what pushes values down where nobody acted; 0: SAC.
        samples: actions of each kind in a state that stand for all; discrete ones are all counted.
        entropy_in_targets: the entropy of what is done next counts, too, as in SAC.
    """

    conservatism: NonNegativeFloat
    samples: PositiveInt
    entropy_in_targets: bool


class CQL(SAC):
    """SAC, but for ``log integral exp Q(s, .) - Q(s, a)`` in the loss of its critics: CQL(H) of the paper."""

    settings: CQLSettings
    needs_data = True

    @property
    def entropy_in_targets(self) -> bool:  # type: ignore[override]
        """As the settings say."""
        return self.settings.entropy_in_targets

    def loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return SAC's loss [] of a minibatch and the gap between all actions and those that were taken, and metrics.

        The metrics are [] by name, and ``priorities`` [B]; gradients may flow through them, too.
        """
        loss, metrics = super().loss(batch)
        x = self.critics.encode(batch.s_tm1)
        taken = self.critics.of_taken(x, batch.a_tm1).mean(2)
        gap = (self.soft_maximum(batch, x) - taken).sum(0)
        conservative = self.settings.conservatism * (batch.weight * gap).mean()
        of_critics = metrics["loss/critics"] + conservative
        more = {"loss/critics": of_critics, "loss/conservative": conservative, "gap": gap.mean()}
        return loss + conservative, {**metrics, **more}

    def soft_maximum(self, batch: Minibatch, x: Tensor) -> Tensor:
        """Return ``log sum_a exp Q(s, a)`` [n, B] of each critic, for features x [B, F]; of Box actions the integral.

        It is estimated by actions drawn uniformly, by the policy in the state, and by the policy in the successor, each
        divided by the density that it was drawn with.
        """
        if self._scaling is None:
            values: Tensor = self.critics(x, None).mean(3).logsumexp(2)
            return values
        action, log_density = self.drawn(batch, x)
        count = len(log_density) // len(x)
        q = self.critics(x.repeat(count, 1), action).mean((2, 3))
        terms: Tensor = (q - log_density).view(len(q), count, len(x))
        return terms.logsumexp(1) - log(count)

    def drawn(self, batch: Minibatch, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return `samples` actions of each of the three kinds for each row, [M * B, D], and log densities [M * B]."""
        n = self.settings.samples
        with torch.no_grad():
            states = (self.actor_features(batch.s_tm1, x), self.actor_features(batch.s_t))
            own, following = (self.actor(features.repeat(n, 1), self._generator) for features in states)
            assert own.action is not None
            assert following.action is not None
            shape, device = own.action.shape, own.action.device
            uniform = 2 * torch.rand(shape, generator=self._generator, device=device).to(own.action.dtype) - 1
            flat = torch.full_like(own.log_prob, -shape[1] * log(2))
        densities = (flat, own.log_prob, following.log_prob)
        return torch.cat((uniform, own.action, following.action)), torch.cat(densities).squeeze(1)
