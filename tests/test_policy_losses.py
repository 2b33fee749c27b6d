"""Losses of policy gradients: by hand, and their gradients beside numerical ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from rlkit.policy_losses import (
    clip_fraction,
    clipped_policy_loss,
    explained_variance,
    kl_divergence,
    mean,
    normalized,
    policy_gradient_loss,
    value_loss,
)

WEIGHT = torch.tensor([1.0, 1, 0, 1, 1, 0, 1, 1], dtype=torch.float64)


def drawn(seed: int) -> Tensor:
    return torch.randn(8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "policy": partial(policy_gradient_loss, advantage=drawn(1), weight=WEIGHT),
    "clipped": lambda x: clipped_policy_loss(x, drawn(2), drawn(1), 0.2, WEIGHT),
    "value": lambda x: value_loss(x, drawn(1), WEIGHT, None, None),
    "clipped value": lambda x: value_loss(x, drawn(1), WEIGHT, drawn(2), 0.4),
    "kl": lambda x: kl_divergence(x, drawn(2), WEIGHT),
    "mean": lambda x: mean(x * x, WEIGHT),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_the_numerical_ones(name: str) -> None:
    values = drawn(0).requires_grad_()
    assert gradcheck(LOSSES[name], (values,), eps=1e-7, atol=1e-6)
    LOSSES[name](values).backward()
    assert values.grad is not None
    assert (values.grad[WEIGHT == 0] == 0).all()


@pytest.mark.parametrize(("baseline", "expected"), [(0.0, [140.0, 57.0]), (180.0, [14.0, 3.0])])
def test_a_baseline_shrinks_the_gradient_and_leaves_its_direction(baseline: float, expected: list[float]) -> None:
    """Gradients 0.7 and 0.3 of two log-probabilities, with returns of 200 and 190."""
    for slope, reached, wanted in zip((0.7, 0.3), (200.0, 190.0), expected, strict=True):
        theta = torch.zeros(1, requires_grad=True)
        policy_gradient_loss(slope * theta, torch.tensor([reached - baseline]), torch.ones(1)).backward()
        assert theta.grad is not None
        assert -theta.grad.item() == pytest.approx(wanted, rel=1e-6)


def test_the_clip_ends_the_gradient_only_where_going_on_would_pay() -> None:
    # Ratios 1.5 and 0.5, each with a good and a bad advantage.
    log_prob = torch.log(torch.tensor([1.5, 1.5, 0.5, 0.5])).requires_grad_()
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss = clipped_policy_loss(log_prob, torch.zeros(4), advantage, 0.2, torch.ones(4))
    assert loss.item() == pytest.approx(-(1.2 - 1.5 + 0.5 - 0.8) / 4)
    loss.backward()
    assert log_prob.grad is not None
    assert log_prob.grad.tolist() == pytest.approx([0.0, 1.5 / 4, -0.5 / 4, 0.0])


def test_figures_by_hand() -> None:
    ones = torch.ones(2)
    ratio = torch.log(torch.tensor([2.0, 1.0]))
    assert kl_divergence(ratio, torch.zeros(2), ones).item() == pytest.approx((2 - 1 - ratio[0].item()) / 2)
    assert clip_fraction(ratio, torch.zeros(2), 0.2, ones).item() == 0.5
    assert explained_variance(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 3.0]), ones).item() == 1.0
    assert explained_variance(torch.tensor([2.0, 2.0]), torch.tensor([1.0, 3.0]), ones).item() == 0.0
    assert normalized(torch.tensor([1.0, 3.0]), ones, True).tolist() == pytest.approx([-1, 1])
    assert normalized(torch.tensor([1.0, 3.0]), ones, False).tolist() == [1, 3]


def test_rows_that_do_not_count_change_nothing() -> None:
    values, weight = torch.tensor([1.0, 3.0, 1e9]), torch.tensor([1.0, 1.0, 0.0])
    assert normalized(values, weight, True)[:2].tolist() == pytest.approx([-1, 1])
    assert explained_variance(values, values, weight).item() == 1.0
    assert mean(values, torch.zeros(3)).item() == 0.0
