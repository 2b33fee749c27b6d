"""Losses of policy gradients and their gradients, by hand."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log

import pytest
import torch
from torch import Tensor

from rlkit.algorithms.policy_gradient.losses import (
    all_actions_loss,
    clip_fraction,
    clipped_policy_loss,
    explained_variance,
    kl_divergence,
    mean,
    normalized,
    policy_gradient_loss,
    value_loss,
)


def gradient(loss: Callable[[Tensor], Tensor], *at: float) -> list[float]:
    values = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    loss(values).backward()
    assert values.grad is not None
    return values.grad.tolist()


COUNTS = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
"""The last of three rows does not count."""


def test_values_and_gradients_by_hand() -> None:
    advantage = torch.tensor([2.0, -3.0, 1e9], dtype=torch.float64)

    def policy(log_prob: Tensor) -> Tensor:
        return policy_gradient_loss(log_prob, advantage, COUNTS)

    # -(2 * -1 + -3 * -2) / 2, and the advantages by the two rows that count, turned round.
    assert policy(torch.tensor([-1.0, -2.0, -5.0])).item() == -2.0
    assert gradient(policy, -1.0, -2.0, -5.0) == [-1.0, 1.5, 0.0]
    target = torch.tensor([1.0, 5.0, 1e9], dtype=torch.float64)

    def plain(value: Tensor) -> Tensor:
        return value_loss(value, target, COUNTS, None, None)

    # Errors 2 and -1: half of (4 + 1) / 2.
    assert plain(torch.tensor([3.0, 4.0, 7.0])).item() == 1.25
    assert gradient(plain, 3.0, 4.0, 7.0) == [1.0, -0.5, 0.0]


@pytest.mark.parametrize(
    ("value", "old", "target", "loss", "slope"),
    [
        (2.0, 0.0, 2.0, 1.125, 0.0),  # right, but too far from before: the larger error is that of .5
        (0.25, 0.0, 2.0, 1.53125, -1.75),  # within the clip
        (2.0, 0.0, 0.0, 2.0, 2.0),  # too far, and wrong: its own error is the larger, and it may come back
        (-1.0, 0.0, 2.0, 4.5, -3.0),  # too far the other way
        (-2.0, 0.0, -2.0, 1.125, 0.0),
    ],
)
def test_a_clip_of_values_takes_the_larger_error(
    value: float, old: float, target: float, loss: float, slope: float
) -> None:
    ones = torch.ones(1, dtype=torch.float64)

    def clipped(values: Tensor) -> Tensor:
        return value_loss(values, target * ones, ones, old * ones, 0.5)

    assert clipped(value * ones).item() == loss
    assert gradient(clipped, value) == [slope]


def test_over_all_actions_the_gradient_is_that_of_the_expected_one() -> None:
    """Chances of 1/4 and 3/4, values 8 and 4, mean 5: the gradient is pi(a) (q(a) - mean), turned round."""
    logits, values = torch.tensor([[0.0, log(3.0), -inf]]).double(), torch.tensor([[8.0, 4.0, 1e9]]).double()
    logits.requires_grad_()
    loss = all_actions_loss(logits, values, torch.ones(1))
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx([-0.75, 0.75, 0.0], abs=1e-6)
    # A row that does not count halves nothing and adds nothing.
    twice = torch.cat([logits.detach(), torch.zeros(1, 3)]).requires_grad_()
    all_actions_loss(twice, torch.cat([values, values]), torch.tensor([1.0, 0.0])).backward()
    assert twice.grad is not None
    assert twice.grad[:, :2].flatten().tolist() == pytest.approx([-0.75, 0.75, 0.0, 0.0], abs=1e-6)


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
    # Of targets 0, 2, 4 (variance 8/3) errors of -1, 0, 1 (2/3) leave a quarter; an offset is no error of spread.
    value, target = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 2.0, 4.0])
    assert explained_variance(value, target, torch.ones(3)).item() == pytest.approx(0.75)
    assert explained_variance(value + 9, target, torch.ones(3)).item() == pytest.approx(0.75)
    # Both ways: ratios 2 and 1/2, with a clip of .6 (one of them is beyond) and of .4 (both are).
    apart = torch.log(torch.tensor([2.0, 0.5]))
    assert [clip_fraction(apart, torch.zeros(2), clip, ones).item() for clip in (0.6, 0.4)] == [0.5, 1.0]


@pytest.mark.parametrize(("advantage", "weight"), [([5.0], [1.0]), ([5.0, 1e9], [1.0, 0.0])])
def test_a_single_advantage_stays_as_it_is(advantage: list[float], weight: list[float]) -> None:
    found = normalized(torch.tensor(advantage), torch.tensor(weight), True)
    assert found[0].item() == 5.0


def test_rows_that_do_not_count_change_nothing() -> None:
    values, weight = torch.tensor([1.0, 3.0, 1e9]), torch.tensor([1.0, 1.0, 0.0])
    assert normalized(values, weight, True)[:2].tolist() == pytest.approx([-1, 1])
    assert explained_variance(values, values, weight).item() == 1.0
    assert mean(values, torch.zeros(3)).item() == 0.0
