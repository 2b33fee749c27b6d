from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rlkit.core.types import UsageError
from rlkit.networks.return_distributions import (
    Categorical,
    Distribution,
    Expected,
    ImplicitQuantile,
    Quantile,
    Saturation,
    project,
    quantile_huber_loss,
)


def rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


REWARD = torch.tensor([0.0, 1.5, -30.0, 2.0, 0.25, 30.0])
DISCOUNT = torch.tensor([0.9, 0.0, 0.9, -0.9, 0.729, 1.0])
"""A plain row, a terminated one, one below the grid, a passed turn, three steps, one above the grid."""


def huber(error: float) -> float:
    return 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5


class TestExpected:
    def test_the_loss_is_hubers_and_the_priority_the_absolute_error(self) -> None:
        chosen, following = rows(6, 1), 3 * rows(6, 1, seed=1)
        losses, priorities = Expected().loss(chosen, following, REWARD, DISCOUNT)
        for i in range(6):
            error = float(REWARD[i] + DISCOUNT[i] * following[i, 0] - chosen[i, 0])
            assert float(losses[i]) == pytest.approx(huber(error), rel=1e-5)
            assert float(priorities[i]) == pytest.approx(abs(error), rel=1e-5)

    def test_the_mean_is_the_output(self) -> None:
        outputs = rows(2, 3, 1)
        assert Expected().outputs == 1
        assert torch.equal(Expected().mean(outputs), outputs[:, :, 0])


def naive_projection(probability: Any, reward: float, discount: float, v_min: float, v_max: float) -> list[float]:
    """Algorithm 1 of Bellemare et al. (2017), atom by atom."""
    count = len(probability)
    width = (v_max - v_min) / (count - 1)
    target = [0.0] * count
    for j in range(count):
        value = min(v_max, max(v_min, reward + discount * (v_min + j * width)))
        place = (value - v_min) / width
        lower, upper = math.floor(place), math.ceil(place)
        if lower == upper:
            target[lower] += float(probability[j])
        else:
            target[lower] += float(probability[j]) * (upper - place)
            target[upper] += float(probability[j]) * (place - lower)
    return target


class TestCategorical:
    grid = Categorical(atoms=11, v_min=-4.0, v_max=6.0)

    def test_the_projection_is_that_of_the_paper(self) -> None:
        points = torch.linspace(-4, 6, 11)
        probability = rows(6, 11).softmax(1)
        projected = project(probability, REWARD[:, None] + DISCOUNT[:, None] * points, points)
        for i in range(6):
            expected = naive_projection(probability[i], float(REWARD[i]), float(DISCOUNT[i]), -4.0, 6.0)
            assert projected[i].tolist() == pytest.approx(expected, abs=1e-5)

    def test_by_hand(self) -> None:
        # On the grid 0, 1, 2: half of what lies at 0.5 goes to each neighbour; what lies at 3 goes to 2.
        projected = project(torch.tensor([[0.2, 0.8]]), torch.tensor([[0.5, 3.0]]), torch.tensor([0.0, 1.0, 2.0]))
        assert projected[0].tolist() == pytest.approx([0.1, 0.1, 0.8])

    def test_the_loss_is_the_divergence_from_the_target_and_the_priority_too(self) -> None:
        chosen, following = rows(6, 11), rows(6, 11, seed=1)
        losses, priorities = self.grid.loss(chosen, following, REWARD, DISCOUNT)
        for i in range(6):
            target = naive_projection(following[i].softmax(0), float(REWARD[i]), float(DISCOUNT[i]), -4.0, 6.0)
            log = chosen[i].log_softmax(0).tolist()
            expected = sum(m * (math.log(m) - q) for m, q in zip(target, log, strict=True) if m > 0)
            assert float(losses[i]) == pytest.approx(expected, abs=1e-4)
        assert torch.equal(priorities, losses)

    def test_its_gradient_is_that_of_the_cross_entropy(self) -> None:
        chosen = rows(6, 11).requires_grad_()
        following = rows(6, 11, seed=1)
        self.grid.loss(chosen, following, REWARD, DISCOUNT)[0].sum().backward()
        for i in range(6):
            target = naive_projection(following[i].softmax(0), float(REWARD[i]), float(DISCOUNT[i]), -4.0, 6.0)
            # Of softmax and cross-entropy: what is said less what it should be.
            expected = (chosen[i].softmax(0) - torch.tensor(target)).tolist()
            assert chosen.grad is not None
            assert chosen.grad[i].tolist() == pytest.approx(expected, abs=1e-5)

    def test_a_correct_distribution_costs_nothing(self) -> None:
        logits = rows(4, 11)
        losses, priorities = self.grid.loss(logits, logits, torch.zeros(4), torch.ones(4))
        assert losses.tolist() == pytest.approx([0] * 4, abs=1e-6)
        assert priorities.min() >= 0

    def test_the_mean_is_that_of_the_probabilities(self) -> None:
        probability = torch.tensor([[0.5, 0.25, 0.25]])
        assert Categorical(3, 0.0, 4.0).mean(probability.log()).tolist() == pytest.approx([1.5])
        assert self.grid.outputs == 11

    def test_a_grid_must_have_two_points(self) -> None:
        with pytest.raises(UsageError, match=r"distribution.atoms is 1; it must be at least 2"):
            Categorical(1, 0.0, 1.0)
        with pytest.raises(UsageError, match=r"distribution.v_min is 1.0; it must be below v_max, which is 1.0"):
            Categorical(51, 1.0, 1.0)


class TestSaturation:
    def test_what_lies_beyond_the_grid_is_cut_off(self) -> None:
        # The points 0, 1 and 2 come to lie at 1, 1.5, 2; at 2, 2.5, 3; and at -0.75, -0.25, 0.25.
        likely = torch.tensor([[0.5, 0.25, 0.25]]).log().expand(3, 3)
        reward, discount = torch.tensor([1.0, 2.0, -0.75]), torch.full((3,), 0.5)
        shares = [0.0, 0.5, 0.75]
        kind = Categorical(3, 0.0, 2.0)
        assert float(kind.cut_off(likely, reward, discount)) == pytest.approx(sum(shares) / 3)
        for other in (Expected(), Quantile(3)):
            assert float(other.cut_off(likely[:, : other.outputs], reward, discount)) == 0.0

    def test_the_ends_of_the_grid_are_within_it(self) -> None:
        # The points 0, 1 and 2 come to lie at 0, 2 and 4, of a grid from 0 to 4.
        evenly, reward, discount = torch.zeros(1, 3), torch.tensor([0.0]), torch.tensor([1.0])
        assert float(Categorical(3, 0.0, 4.0).cut_off(evenly, reward, discount)) == 0.0

    def test_a_quarter_beyond_is_not_yet_told_of(self) -> None:
        told: list[str] = []
        watch = Saturation(Categorical(51, -10.0, 10.0), 0.99, told.append)
        # After so many steps nothing is left of what was before.
        watch.add(0.25, 10**7)
        assert told == []
        watch.add(0.26, 10**7)
        assert len(told) == 1

    def test_it_is_told_once_and_not_of_what_passes(self) -> None:
        told: list[str] = []
        watch = Saturation(Categorical(51, -10.0, 10.0), 0.99, told.append)
        watch.add(1.0, 50)
        for _ in range(2000):
            watch.add(0.24, 1)
        assert told == []
        again = Saturation(Categorical(51, -10.0, 10.0), 0.99, told.append)
        again.load_state_dict(watch.state_dict())
        for _ in range(300):
            again.add(0.9, 4)
        assert told == [
            "26% of the probability of returns is beyond distribution.v_min=-10 and distribution.v_max=10: set a "
            "wider range (rewards of 1 a step can come to 100 at agent.gamma=0.99)"
        ]
        once = Saturation(Categorical(51, -10.0, 10.0), 0.99, told.append)
        once.load_state_dict(again.state_dict())
        once.add(1.0, 1000)
        assert len(told) == 1


class TestQuantile:
    def test_the_loss_is_that_of_the_paper(self) -> None:
        quantiles, following = 2 * rows(6, 5), 2 * rows(6, 5, seed=1)
        losses, priorities = Quantile(5).loss(quantiles, following, REWARD, DISCOUNT)
        for row in range(6):
            expected = 0.0
            for i in range(5):
                for j in range(5):
                    error = float(REWARD[row] + DISCOUNT[row] * following[row, j] - quantiles[row, i])
                    expected += abs((i + 0.5) / 5 - (error < 0)) * huber(error) / 5
            assert float(losses[row]) == pytest.approx(expected, rel=1e-5)
        assert torch.equal(priorities, losses)

    def test_by_hand(self) -> None:
        # Probabilities 1/4 and 3/4; errors of the estimates 0 and 2 from the only return, 1: 1 and -1.
        loss = quantile_huber_loss(torch.tensor([[0.0, 2.0]]), torch.tensor([[1.0]]))
        assert loss.tolist() == [0.25 * 0.5 + 0.25 * 0.5]

    def test_it_finds_the_quantiles_of_a_sample(self) -> None:
        # Returns far apart compared with Huber's 1, where its quantiles are those of the sample.
        sample = torch.linspace(0, 1000, 1001)[None]
        quantiles = torch.full((1, 4), 500.0, requires_grad=True)
        optimizer = torch.optim.Adam([quantiles], lr=20.0)
        for step in range(800):
            optimizer.param_groups[0]["lr"] = 20.0 * 0.99**step
            optimizer.zero_grad()
            quantile_huber_loss(quantiles, sample).sum().backward()
            optimizer.step()
        assert quantiles[0].tolist() == pytest.approx([125, 375, 625, 875], abs=3)

    def test_the_mean_is_that_of_the_quantiles(self) -> None:
        assert Quantile(3).mean(torch.tensor([[[0.0, 1.0, 5.0]]])).tolist() == [[2.0]]
        assert Quantile(3).outputs == 3

    def test_there_must_be_one(self) -> None:
        with pytest.raises(UsageError, match=r"distribution.quantiles is 0; it must be at least 1"):
            Quantile(0)


@pytest.mark.parametrize("kind", [Expected(), Categorical(5, -2.0, 2.0), Quantile(4)])
def test_targets_have_no_gradient_and_rows_do_not_mix(kind: Distribution) -> None:
    chosen = rows(6, kind.outputs).requires_grad_()
    following = rows(6, kind.outputs, seed=1)
    losses, priorities = kind.loss(chosen, following, REWARD, DISCOUNT)
    assert losses.shape == priorities.shape == (6,)
    assert not priorities.requires_grad
    assert bool((priorities >= 0).all())
    losses[2].backward()
    assert chosen.grad is not None
    assert np.flatnonzero(chosen.grad.abs().sum(1)).tolist() in ([2], [])
    for i in range(6):
        one, _ = kind.loss(chosen[i : i + 1], following[i : i + 1], REWARD[i : i + 1], DISCOUNT[i : i + 1])
        torch.testing.assert_close(one[0], losses[i])


class TestImplicit:
    kind = ImplicitQuantile(samples=5, acting=3, cosines=4)

    def test_the_loss_is_that_of_quantile_regression_at_the_levels_drawn(self) -> None:
        returns, following = rows(6, 5), 3 * rows(6, 7, seed=1)
        levels = torch.rand(6, 5, generator=torch.Generator().manual_seed(2))
        losses, priorities = self.kind.loss(
            torch.cat((returns, levels), 1), torch.cat((following, following), 1), REWARD, DISCOUNT
        )
        for i in range(6):
            total = 0.0
            for k in range(5):
                for j in range(7):
                    error = float(REWARD[i] + DISCOUNT[i] * following[i, j] - returns[i, k])
                    total += abs(float(levels[i, k]) - (error < 0)) * huber(error) / 7
            assert float(losses[i]) == pytest.approx(total, rel=1e-4)
        assert torch.equal(priorities, losses)

    def test_at_even_levels_it_is_that_of_quantiles(self) -> None:
        returns, following = rows(6, 4), rows(6, 4, seed=1)
        even = ((torch.arange(4) + 0.5) / 4).expand(6, -1)
        found, _ = self.kind.loss(torch.cat((returns, even), 1), torch.cat((following, even), 1), REWARD, DISCOUNT)
        assert found.tolist() == pytest.approx(Quantile(4).loss(returns, following, REWARD, DISCOUNT)[0].tolist())

    def test_the_levels_are_not_returns(self) -> None:
        outputs = torch.tensor([[1.0, 3.0, 0.25, 0.75]])
        assert self.kind.mean(outputs).tolist() == [2.0]
        assert self.kind.shifted(outputs, torch.tensor([10.0])).tolist() == [[11.0, 13.0, 0.25, 0.75]]

    def test_sizes_are_positive(self) -> None:
        with pytest.raises(UsageError, match=r"distribution.acting is 0; it must be at least 1"):
            ImplicitQuantile(8, 0, 8)
