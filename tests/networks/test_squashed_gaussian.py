"""The density of squashed normal numbers, against quadrature and known answers."""

from __future__ import annotations

from math import log, pi

import numpy as np
import pytest
import torch

from rlkit.networks.actors import GaussianPolicy
from rlkit.networks.squashed_gaussian import log_slope, squashed

# Mean and standard deviation of the normal number, half the width of its bounds, entropy when squashed into them.
ENTROPIES = [(0, 1, 1, 0.669804), (0, 1, 2, 1.362951), (0.5, 0.3, 1, -0.094837), (2, 0.5, 2, -1.252959)]


@pytest.mark.parametrize(("mean", "std", "half", "entropy"), ENTROPIES)
def test_the_mean_of_the_log_density_is_minus_the_entropy(mean: float, std: float, half: float, entropy: float) -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(150)
    noise = torch.from_numpy(nodes)[:, None]
    mean_, log_std = torch.full_like(noise, mean), torch.full_like(noise, log(std))
    _, log_prob = squashed(mean_, log_std, noise)
    expected = float(-(torch.from_numpy(weights) * log_prob[:, 0]).sum() / weights.sum())
    assert expected + log(half) == pytest.approx(entropy, abs=2e-6)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (0.5, 0.3), (2.0, 0.5)])
def test_the_density_integrates_to_one(mean: float, std: float) -> None:
    action = torch.linspace(-1 + 1e-9, 1 - 1e-9, 400_001, dtype=torch.float64)[:, None]
    noise = (torch.atanh(action) - mean) / std
    drawn, log_prob = squashed(torch.full_like(noise, mean), torch.full_like(noise, log(std)), noise)
    assert torch.allclose(drawn, action)
    assert torch.trapezoid(log_prob.exp()[:, 0], action[:, 0]).item() == pytest.approx(1, abs=1e-4)


def test_far_out_the_slope_of_tanh_keeps_its_logarithm_and_gradient() -> None:
    number = torch.tensor([-60.0, 0.0, 60.0], requires_grad=True)
    value = log_slope(number)
    # log(1 - tanh(u)^2) is about log 4 - 2 |u|, where 1 - tanh(u)^2 itself is 0 in float32.
    assert value.tolist() == pytest.approx([log(4) - 120, 0, log(4) - 120], abs=1e-4)
    value.sum().backward()
    assert number.grad is not None
    assert number.grad.tolist() == pytest.approx([2, 0, -2])


def test_deviations_are_limited() -> None:
    policy = GaussianPolicy(1, -2.0, 0.5)
    parameters = torch.tensor([[0.0, -9.0], [0.0, 9.0], [0.0, 0.0]])
    decision = policy.decide(parameters, torch.Generator().manual_seed(0), None)
    noise = torch.randn((3, 1), generator=torch.Generator().manual_seed(0))
    for row, log_std in enumerate((-2.0, 0.5, 0.0)):
        number = noise[row, 0].item() * np.exp(log_std)
        assert decision.action[row, 0].item() == pytest.approx(np.tanh(number), rel=1e-5)
        density = -0.5 * noise[row, 0].item() ** 2 - log_std - 0.5 * log(2 * pi)
        expected = density - np.log(1 - np.tanh(number) ** 2)
        assert decision.log_prob[row, 0].item() == pytest.approx(expected, rel=1e-4)
    assert policy.act(parameters, None, None).tolist() == [[0.0]] * 3
