"""What agents with an actor, critics and a replay are made of: values of several critics, temperature, shifts."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.algorithms.off_policy.random_shift import RandomShift
from rlkit.algorithms.off_policy.temperature import Temperature
from rlkit.algorithms.off_policy.values import Expectations, TruncatedQuantiles, some, values_of
from rlkit.core.types import UsageError
from rlkit.networks import Decision
from rlkit.networks.return_distributions import Categorical, Expected, Quantile

# Two critics, two rows, one candidate.
OUTPUTS = torch.tensor([[[[1.0]], [[5.0]]], [[[3.0]], [[-5.0]]]])


def test_expectations_by_hand() -> None:
    least, mean = Expectations(average=False), Expectations(average=True)
    assert least.target(OUTPUTS).flatten().tolist() == [1, -5]
    assert mean.target(OUTPUTS).flatten().tolist() == [1, -5]
    assert least.value(OUTPUTS).flatten().tolist() == [1, -5]
    assert mean.value(OUTPUTS).flatten().tolist() == [2, 0]
    loss, errors = least.loss(OUTPUTS[:, :, 0], torch.tensor([[2.0], [1.0]]))
    # Errors -1 and 4 of the first critic, 1 and -6 of the second.
    assert loss.tolist() == [0.5 * (1 + 1), 0.5 * (16 + 36)]
    assert errors.tolist() == [1, 5]


def test_the_highest_quantiles_of_all_critics_together_are_left_out() -> None:
    # Of two critics with three quantiles each, in the only row.
    outputs = torch.tensor([[[[1.0, 9.0, 2.0]]], [[[8.0, 0.0, 3.0]]]])
    assert TruncatedQuantiles(1).target(outputs).tolist() == [[[0, 1, 2, 3]]]
    assert TruncatedQuantiles(0).target(outputs).tolist() == [[[0, 1, 2, 3, 8, 9]]]
    assert TruncatedQuantiles(2).value(outputs).item() == pytest.approx(23 / 6)


def naive_quantile_loss(quantiles: list[float], target: list[float]) -> float:
    """Return the mean over quantiles and targets of Huber's loss, weighted by the side it is on."""
    total = 0.0
    for i, quantile in enumerate(quantiles):
        share = (i + 0.5) / len(quantiles)
        for outcome in target:
            error = outcome - quantile
            huber = 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5
            total += abs(share - (error < 0)) * huber
    return total / len(quantiles) / len(target)


def test_the_quantile_loss_is_a_mean_over_quantiles_and_a_sum_over_critics() -> None:
    rng = torch.Generator().manual_seed(0)
    q_tm1 = 2 * torch.randn(2, 4, 3, generator=rng, dtype=torch.float64)
    target = 2 * torch.randn(4, 5, generator=rng, dtype=torch.float64)
    loss, errors = TruncatedQuantiles(1).loss(q_tm1, target)
    for row in range(4):
        expected = sum(naive_quantile_loss(q_tm1[n, row].tolist(), target[row].tolist()) for n in range(2))
        assert loss[row].item() == pytest.approx(expected)
        gap = [abs(q_tm1[n, row].mean() - target[row].mean()) for n in range(2)]
        assert errors[row].item() == pytest.approx(float(sum(gap)) / 2)


@pytest.mark.parametrize(
    ("distribution", "keys", "complaint"),
    [
        (Expected(), {"subset": 3}, r"agent\.subset is 3; it must be at most agent\.critics\.count=2"),
        (Expected(), {"drop": 1}, r"agent\.drop is 1, but expected returns have no quantiles"),
        (Quantile(4), {"drop": 4}, r"agent\.drop is 4; it must be less than distribution\.quantiles=4"),
        (Quantile(4), {"candidates": True}, "critics learn expected returns or, of Box actions, quantiles"),
        (Categorical(5, -1, 1), {}, "critics learn expected returns or, of Box actions, quantiles"),
    ],
)
def test_what_does_not_fit_is_refused(distribution: Any, keys: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        values_of(distribution, **{"count": 2, "subset": None, "drop": 0, "candidates": False, **keys})


def test_a_subset_is_drawn_anew_each_time_and_every_critic_as_often() -> None:
    rng = torch.Generator().manual_seed(0)
    drawn = [some(5, 2, rng, "cpu") for _ in range(2000)]
    assert all(len(set(members.tolist())) == 2 for members in drawn)
    assert torch.bincount(torch.cat(drawn)).tolist() == pytest.approx([800] * 5, rel=0.1)
    assert some(5, None, rng, "cpu") == some(5, 5, rng, "cpu") == slice(None)


class TestTemperature:
    def test_it_grows_where_the_entropy_is_below_the_target_and_else_shrinks(self) -> None:
        temperature = Temperature(spaces.Box(-1, 1, (3,)), initial=0.5, learned=True, target_entropy="auto")
        assert temperature.target_entropy == -3
        assert temperature.alpha.item() == pytest.approx(0.5)
        for entropy, slope in ((-5.0, -2.0), (-3.0, 0.0), (1.0, 4.0)):
            temperature.zero_grad()
            # What is optimized is the logarithm, so the gradient does not depend on how large alpha is.
            temperature.loss(torch.tensor([entropy])).sum().backward()
            assert temperature.log_alpha.grad is not None
            assert temperature.log_alpha.grad.item() == pytest.approx(slope)

    def test_its_usual_target_counts_the_free_numbers_or_halves_the_greatest_entropy(self) -> None:
        locked = spaces.Box(np.array([-1, 1], np.float32), np.array([1, 1], np.float32))
        keys: Any = {"initial": 1.0, "learned": True}
        assert Temperature(locked, **keys, target_entropy="auto").target_entropy == -1
        assert Temperature(spaces.Discrete(6), **keys, target_entropy="auto").target_entropy == 0.5 * log(6)
        assert Temperature(locked, **keys, target_entropy=-0.25).target_entropy == -0.25

    def test_fixed_it_is_not_learned(self) -> None:
        temperature = Temperature(spaces.Discrete(2), initial=0.2, learned=False, target_entropy="auto")
        assert not any(parameter.requires_grad for parameter in temperature.parameters())


def test_a_decision_is_a_mean_over_candidates() -> None:
    decision = Decision(None, torch.tensor([[0.25, 0.75]]), torch.tensor([[0.25, 0.75]]).log())
    assert decision.mean(torch.tensor([[[4.0], [8.0]]])).tolist() == [[7.0]]
    assert decision.entropy.item() == pytest.approx(-(0.25 * log(0.25) + 0.75 * log(0.75)))


def shifted_by_hand(image: Any, down: int, right: int) -> Any:
    """Return an image [H, W, ...] whose pixel at (y, x) is that at (y + down, x + right), or the nearest to it."""
    rows, columns = image.shape[:2]
    above, below = np.repeat(image[:1], 9, 0), np.repeat(image[-1:], 9, 0)
    tall = np.concatenate([above, image, below])
    left, right_ = np.repeat(tall[:, :1], 9, 1), np.repeat(tall[:, -1:], 9, 1)
    wide = np.concatenate([left, tall, right_], 1)
    return wide[9 + down : 9 + down + rows, 9 + right : 9 + right + columns]


@pytest.mark.parametrize(
    ("shape", "height"), [((40, 36), 0), ((24, 25, 3), 0), ((3, 24, 25), 1), ((2, 24, 25, 3), 1), ((2, 3, 24, 25), 2)]
)
def test_each_image_is_shifted_by_a_few_pixels_of_its_own(shape: tuple[int, ...], height: int) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, *shape), dtype=np.uint8)
    shift = RandomShift(spaces.Box(0, 255, shape, np.uint8), 2, torch.Generator().manual_seed(0))
    seen: set[tuple[int, int]] = set()
    shown: Tensor = shift(torch.from_numpy(images))
    assert shown.dtype == torch.uint8
    for image, result in zip(images, shown.numpy(), strict=True):
        flat = np.moveaxis(image, (height, height + 1), (0, 1))
        moved = np.moveaxis(result, (height, height + 1), (0, 1))
        options = [
            (y, x) for y in range(-2, 3) for x in range(-2, 3) if np.array_equal(shifted_by_hand(flat, y, x), moved)
        ]
        assert len(options) == 1
        seen.update(options)
    assert len(seen) > 10
    assert {y for y, _ in seen} == {x for _, x in seen} == set(range(-2, 3))


@pytest.mark.parametrize(("order", "height"), [("first", 1), ("last", 0)])
def test_the_channels_are_where_the_network_has_them(order: str, height: int) -> None:
    shape = (24, 25, 26)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (8, *shape), dtype=np.uint8))
    shift = RandomShift(spaces.Box(0, 255, shape, np.uint8), 2, torch.Generator().manual_seed(3), order)
    still = next(axis for axis in range(3) if axis not in (height, height + 1))
    for image, result in zip(images, shift(images), strict=True):
        flat, moved = (x.numpy().transpose(height, height + 1, still) for x in (image, result))
        assert any(np.array_equal(shifted_by_hand(flat, y, x), moved) for y in range(-2, 3) for x in range(-2, 3))


def test_other_parts_of_observations_are_not_shifted() -> None:
    space = spaces.Dict(image=spaces.Box(0, 255, (24, 24, 3), np.uint8), vector=spaces.Box(-1, 1, (5,)))
    observation = {"image": torch.arange(24 * 24 * 3, dtype=torch.uint8).view(1, 24, 24, 3), "vector": torch.ones(1, 5)}
    shown: Any = RandomShift(space, 4, torch.Generator().manual_seed(0))(observation)
    assert shown["vector"] is observation["vector"]
    assert not torch.equal(shown["image"], observation["image"])
