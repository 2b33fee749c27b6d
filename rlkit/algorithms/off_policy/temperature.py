"""The weight of the entropy in what a soft actor-critic maximizes (torch)."""

from __future__ import annotations

from math import log
from typing import Any, Literal

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.ranges import PositiveFloat
from rlkit.core.types import FromRun
from rlkit.networks.critics import action_width


class Temperature(nn.Module):
    """A number that is fixed, or learned such that the policy keeps a target entropy (Haarnoja et al., 2019).

    Attributes:
        log_alpha: [] its logarithm, which is what is learned.
        target_entropy: in nats, of actions in [-1, 1].
    """

    def __init__(
        self,
        action_space: FromRun[spaces.Space[Any]],
        *,
        initial: PositiveFloat,
        learned: bool,
        target_entropy: float | Literal["auto"],
    ):
        """Begin with `initial`.

        Args:
            action_space: of one environment.
            initial: alpha at first.
            learned: False: it stays so.
            target_entropy: a number, or auto: minus 1 for each number in an action; of A discrete actions half of the
                greatest entropy, which is log A.
        """
        super().__init__()
        self.log_alpha = nn.Parameter(torch.tensor(log(initial)), requires_grad=learned)
        self.learned = learned
        self.target_entropy = _usual(action_space) if target_entropy == "auto" else float(target_entropy)

    @property
    def alpha(self) -> Tensor:
        """The temperature [], as a constant."""
        return self.log_alpha.detach().exp()

    def loss(self, entropy: Tensor) -> Tensor:
        """Return the loss [B] that lets alpha grow where the policy's `entropy` [B] is below the target."""
        return self.log_alpha * (entropy.detach() - self.target_entropy)


def _usual(space: spaces.Space[Any]) -> float:
    return 0.5 * log(int(space.n)) if isinstance(space, spaces.Discrete) else -float(action_width(space))
