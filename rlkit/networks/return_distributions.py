"""Expected returns, or distributions of returns, as outputs of a network (torch).

Shapes: B rows, A actions, K outputs for each action, in the last axis. Discounts include gamma.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from rlkit.core.ranges import PositiveInt, Range
from rlkit.core.targets import td_target
from rlkit.core.types import State, UsageError, require_least


class Distribution(Protocol):
    """The meaning of a network's outputs."""

    @property
    def outputs(self) -> int:
        """K, the number of outputs of an action."""

    @property
    def levels(self) -> int:
        """The number of levels that a network of it is asked for in an update; 0: it is not asked for any."""

    @property
    def shiftable(self) -> bool:
        """Whether returns can grow by any number."""

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the expected returns [...] of outputs [..., K]."""

    def shifted(self, outputs: Tensor, number: Tensor) -> Tensor:
        """Return outputs [..., K] whose returns are greater by `number` [...]; only where they are `shiftable`."""

    def loss(self, q_tm1: Tensor, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss [B] and the priority [B], at least 0, of each row.

        Args:
            q_tm1: [B, K] outputs for the actions taken.
            q_t: [B, K] the target network's outputs for the successor's best action, without gradient.
            r_t: [B] float32, of n steps if the replay adds up so many.
            discount_t: [B] float32, of the successor, gamma included.
        """

    def cut_off(self, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> Tensor:
        """Return the share [] of the targets' probability outside the range of the outputs; arguments as in `loss`."""

    @property
    def limits(self) -> str:
        """The settings of the range of the outputs, for messages; empty if it is unlimited."""


def of_action(outputs: Tensor, action: Tensor) -> Tensor:
    """Return the outputs [B, K] of one action, [B] int64, in each row of `outputs` [B, A, K]."""
    return outputs.gather(1, action.view(-1, 1, 1).expand(-1, 1, outputs.shape[2])).squeeze(1)


@dataclass(frozen=True)
class Expected:
    """The expected return itself, learned by Huber's loss (Mnih et al., 2015)."""

    @property
    def outputs(self) -> int:
        """Return 1."""
        return 1

    @property
    def levels(self) -> int:
        """Return 0."""
        return 0

    @property
    def shiftable(self) -> bool:
        """Return True."""
        return True

    def shifted(self, outputs: Tensor, number: Tensor) -> Tensor:
        """Return outputs [..., K] whose returns are greater by `number` [...]."""
        return outputs + number[..., None]

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the values [...] of outputs [..., 1]."""
        return outputs.squeeze(-1)

    def loss(self, q_tm1: Tensor, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return Huber's loss [B] and the absolute temporal-difference error [B]."""
        value, target = q_tm1.squeeze(1), td_target(r_t, discount_t, q_t.squeeze(1))
        return huber_loss(value, target, reduction="none"), (target - value.detach()).abs()

    def cut_off(self, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> Tensor:
        """Return 0, [] float32: the range is unlimited."""
        return r_t.new_zeros(())

    @property
    def limits(self) -> str:
        """Empty: the range is unlimited."""
        return ""


@dataclass(frozen=True)
class Categorical:
    """C51: probabilities of returns on a fixed grid (Bellemare et al., 2017). K = `atoms` logits.

    Attributes:
        atoms: points of the grid.
        v_min: the lowest point; lower returns count as this one.
        v_max: the highest point.

    Raises:
        UsageError: fewer than two atoms, or an empty range.
    """

    atoms: Annotated[int, Range(2)]
    v_min: float
    v_max: float

    def __post_init__(self) -> None:
        if self.atoms < 2:
            raise UsageError(f"distribution.atoms is {self.atoms}; it must be at least 2")
        if not self.v_min < self.v_max:
            raise UsageError(f"distribution.v_min is {self.v_min}; it must be below v_max, which is {self.v_max}")

    @property
    def outputs(self) -> int:
        """Return the number of atoms."""
        return self.atoms

    @property
    def levels(self) -> int:
        """Return 0."""
        return 0

    @property
    def shiftable(self) -> bool:
        """Return False."""
        return False

    def shifted(self, outputs: Tensor, number: Tensor) -> Tensor:
        """Return outputs [..., K] whose returns are greater by `number` [...]."""
        raise NotImplementedError("the grid stays where it is")

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the expected returns [...] of logits [..., K]."""
        return outputs.softmax(-1) @ self._grid(outputs)

    def loss(self, q_tm1: Tensor, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the Kullback-Leibler divergence [B] from the projected target, as loss and as priority."""
        grid = self._grid(q_tm1)
        target = project(q_t.softmax(-1), r_t[:, None] + discount_t[:, None] * grid, grid)
        entropy = -torch.xlogy(target, target).sum(1)
        losses = -(target * q_tm1.log_softmax(-1)).sum(1) - entropy
        # By rounding, the divergence of equal distributions can be below zero.
        return losses, losses.detach().clamp(min=0)

    def cut_off(self, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> Tensor:
        """Return the share [] of the targets' probability beyond the ends of the grid."""
        value = r_t[:, None] + discount_t[:, None] * self._grid(q_t)
        beyond = (value < self.v_min) | (value > self.v_max)
        return (q_t.softmax(-1) * beyond).sum(1).mean()

    @property
    def limits(self) -> str:
        """The settings of the grid."""
        return f"distribution.v_min={self.v_min:g} and distribution.v_max={self.v_max:g}"

    def _grid(self, like: Tensor) -> Tensor:
        return torch.linspace(self.v_min, self.v_max, self.atoms, device=like.device)


@dataclass(frozen=True)
class Quantile:
    """QR-DQN: equally likely returns, learned by quantile regression (Dabney et al., 2018). K = `quantiles` returns.

    Attributes:
        quantiles: how many; output i is for the probability ``(i + 1/2) / quantiles``.

    Raises:
        UsageError: `quantiles` is less than 1.
    """

    quantiles: PositiveInt

    def __post_init__(self) -> None:
        if self.quantiles < 1:
            raise UsageError(f"distribution.quantiles is {self.quantiles}; it must be at least 1")

    @property
    def outputs(self) -> int:
        """Return the number of quantiles."""
        return self.quantiles

    @property
    def levels(self) -> int:
        """Return 0."""
        return 0

    @property
    def shiftable(self) -> bool:
        """Return True."""
        return True

    def shifted(self, outputs: Tensor, number: Tensor) -> Tensor:
        """Return outputs [..., K] whose returns are greater by `number` [...]."""
        return outputs + number[..., None]

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the expected returns [...] of quantiles [..., K]."""
        return outputs.mean(-1)

    def loss(self, q_tm1: Tensor, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantile Huber loss [B], as loss and as priority."""
        losses = quantile_huber_loss(q_tm1, td_target(r_t[:, None], discount_t[:, None], q_t))
        return losses, losses.detach()

    def cut_off(self, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> Tensor:
        """Return 0, [] float32: the range is unlimited."""
        return r_t.new_zeros(())

    @property
    def limits(self) -> str:
        """Empty: the range is unlimited."""
        return ""


@dataclass(frozen=True)
class ImplicitQuantile:
    """IQN: returns at any level, learned by quantile regression at random ones (Dabney, Ostrovski et al., 2018).

    Outputs of an action are N returns, and after them the N levels that they are for: K = 2 N. In an update, `samples`
    levels are drawn for each row; elsewhere they are the middles of `acting` equal parts.

    Attributes:
        samples: N in updates.
        acting: N elsewhere.
        cosines: how many tell a level.
    """

    samples: PositiveInt
    acting: PositiveInt
    cosines: PositiveInt

    def __post_init__(self) -> None:
        require_least(1, "distribution", samples=self.samples, acting=self.acting, cosines=self.cosines)

    @property
    def outputs(self) -> int:
        """Return the number of returns and levels where none are asked for."""
        return 2 * self.acting

    @property
    def levels(self) -> int:
        """Return the number of levels in an update."""
        return self.samples

    @property
    def shiftable(self) -> bool:
        """Return True."""
        return True

    def shifted(self, outputs: Tensor, number: Tensor) -> Tensor:
        """Return outputs [..., K] whose returns are greater by `number` [...]."""
        returns, levels = outputs.chunk(2, -1)
        return torch.cat((returns + number[..., None], levels), -1)

    def mean(self, outputs: Tensor) -> Tensor:
        """Return the mean returns [...] of outputs [..., K]."""
        return outputs.chunk(2, -1)[0].mean(-1)

    def loss(self, q_tm1: Tensor, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantile Huber loss [B], as loss and as priority."""
        (returns, levels), (following, _) = q_tm1.chunk(2, -1), q_t.chunk(2, -1)
        target = td_target(r_t[:, None], discount_t[:, None], following)
        losses = quantile_huber_loss(returns, target, levels)
        return losses, losses.detach()

    def cut_off(self, q_t: Tensor, r_t: Tensor, discount_t: Tensor) -> Tensor:
        """Return 0, [] float32: the range is unlimited."""
        return r_t.new_zeros(())

    @property
    def limits(self) -> str:
        """Empty: the range is unlimited."""
        return ""


class Saturation:
    """Warns once of returns outside a distribution's range, where all states look alike.

    An untrained network spreads its probability over the whole range, so some targets are always outside of it: the
    warning depends on a mean over the last few hundred gradient steps.
    """

    MOST, STEPS = 0.25, 300

    def __init__(self, distribution: Distribution, gamma: float, notify: Callable[[str], None]):
        """Watch the targets of `distribution`, discounted by `gamma`; `notify` is called with the warning."""
        self.limits = distribution.limits
        self._gamma = gamma
        self._notify = notify
        self._share = 0.0
        self._warned = False

    def add(self, share: float, steps: int) -> None:
        """Add the mean share of probability outside the range in `steps` gradient steps."""
        kept = (1 - 1 / self.STEPS) ** steps
        self._share = kept * self._share + (1 - kept) * share
        if self._share <= self.MOST or self._warned:
            return
        self._warned = True
        most = "grow with the episode" if self._gamma == 1 else f"can come to {1 / (1 - self._gamma):.4g}"
        self._notify(
            f"{self._share:.0%} of the probability of returns is beyond {self.limits}: set a wider range (rewards "
            f"of 1 a step {most} at agent.gamma={self._gamma:g})"
        )

    def state_dict(self) -> State:
        """Return the running share, and whether it was warned of."""
        return {"share": self._share, "warned": self._warned}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._share = state["share"]
        self._warned = state["warned"]


def project(probability: Tensor, value: Tensor, grid: Tensor) -> Tensor:
    """Return the distribution [B, K] on `grid` nearest to one on other points (Bellemare et al., 2017, eq. 7).

    A point's probability is divided between its two neighbors on the grid, more for the nearer one; that of points
    outside the grid goes to its end.

    Args:
        probability: [B, J] of the points.
        value: [B, J] positions of the points.
        grid: [K] equally spaced, ascending.
    """
    nearness = 1 - (value.clamp(grid[0], grid[-1])[:, None] - grid[:, None]).abs() / (grid[1] - grid[0])
    return (nearness.clamp(min=0) * probability[:, None]).sum(2)


def quantile_huber_loss(quantiles: Tensor, target: Tensor, levels: Tensor | None = None) -> Tensor:
    """Return the quantile regression loss [B] with Huber threshold 1 (Dabney et al., 2018, eq. 10).

    Summed over the estimated quantiles and averaged over the targets.

    Args:
        quantiles: [B, K] estimates.
        target: [B, J] equally likely returns, without gradient.
        levels: [B, K] probabilities that they are for; None: ``(i + 1/2) / K``.
    """
    shape = (*quantiles.shape, target.shape[1])
    estimate, outcome = quantiles[:, :, None].expand(shape), target[:, None].expand(shape)
    level = middles(shape[1], quantiles.device)[:, None] if levels is None else levels[:, :, None]
    weight = torch.where(outcome < estimate, 1 - level, level)
    return (weight * huber_loss(estimate, outcome, reduction="none")).mean(2).sum(1)


def middles(count: int, device: torch.device) -> Tensor:
    """Return the middles [K] of `count` equal parts of the probabilities."""
    return (torch.arange(count, device=device) + 0.5) / count
