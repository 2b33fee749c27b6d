"""Q-networks that are asked for returns at levels of probability (IQN): beside the same written plainly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.networks import MLP, QNetwork
from rlkit.networks.return_distributions import ImplicitQuantile

SPACE = spaces.Box(-1, 1, (3,), np.float32)
KIND = ImplicitQuantile(samples=5, acting=4, cosines=6)


def network(**options: Any) -> QNetwork:
    torch.manual_seed(0)
    torso = MLP(SPACE, [7, 8], "relu", layer_norm=False)
    keys = {"distribution": KIND, "dueling": False, "noisy": False, "noise_scale": 0.5, **options}
    return QNetwork(torso, SPACE, spaces.Discrete(2), **keys)


def plainly(net: Any, observation: Tensor, level: float, dueling: bool) -> Tensor:
    """Return the returns [A] of one observation [3] at one level."""
    cosines = torch.tensor([np.cos(np.pi * i * level) for i in range(6)], dtype=torch.float32)
    said = torch.relu(net.embedding.linear.weight @ cosines + net.embedding.linear.bias)
    features = net.body(observation[None])[0] * said
    returns = net.actions[1](net.actions[0](features[None]))[0]
    if not dueling:
        return returns
    return returns - returns.mean() + net.state[1](net.state[0](features[None]))[0]


@pytest.mark.parametrize("dueling", [False, True])
def test_each_level_is_asked_by_itself(dueling: bool) -> None:
    net, observations = network(dueling=dueling), torch.rand(3, 3)
    numbers = torch.randn(3, 5)
    with torch.no_grad():
        outputs = net(observations, numbers)
        assert outputs.shape == (3, 2, 10)
        for row in range(3):
            for k in range(5):
                level = float(torch.distributions.Normal(0, 1).cdf(numbers[row, k]))
                assert outputs[row, :, 5 + k].tolist() == pytest.approx([level, level], abs=1e-6)
                expected = plainly(net, observations[row], level, dueling).tolist()
                assert outputs[row, :, k].tolist() == pytest.approx(expected, abs=1e-5)


def test_where_none_are_asked_for_they_are_spread_evenly() -> None:
    net, observations = network(), torch.rand(3, 3)
    with torch.no_grad():
        net(observations, torch.randn(3, 5))
        outputs = net(observations)
        assert outputs.shape == (3, 2, 8)
        assert outputs[0, 0, 4:].tolist() == [0.125, 0.375, 0.625, 0.875]
        expected = plainly(net, observations[2], 0.375, False).tolist()
        assert outputs[2, :, 1].tolist() == pytest.approx(expected, abs=1e-5)


def test_noise_is_that_of_its_row_at_every_level() -> None:
    net = network(noisy=True)
    size = net.noise_size
    numbers, observation = torch.randn(2, size + 5), torch.rand(1, 3)
    with torch.no_grad():
        both = net(observation.expand(2, -1), numbers)
        for row in range(2):
            torch.testing.assert_close(both[row], net(observation, numbers[row : row + 1])[0])
        acting = net(observation.expand(2, -1), numbers[:, :size])
        assert acting.shape == (2, 2, 8)
        assert not torch.equal(acting[0], acting[1])
        torch.testing.assert_close(acting[1], net(observation, numbers[1:, :size])[0])


def test_it_learns_the_quantiles_of_a_known_return() -> None:
    # One state whose return is uniform on [0, 40]: the return at a level is 40 times as much.
    # Errors below 1, which count squared, are few there.
    torch.manual_seed(0)
    net = QNetwork(
        MLP(SPACE, [16], "relu", layer_norm=False),
        SPACE,
        spaces.Discrete(1),
        distribution=ImplicitQuantile(samples=16, acting=8, cosines=16),
        dueling=False,
        noisy=False,
        noise_scale=0.5,
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    seen, nothing = torch.ones(256, 3), torch.zeros(256)
    for _ in range(800):
        target = 40 * torch.rand(256, 1).expand(-1, 2)
        losses, _ = net.distribution.loss(net(seen, torch.randn(256, 16))[:, 0], target, nothing, nothing + 1)
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    with torch.no_grad():
        returns, levels = net(seen[:1])[0, 0].chunk(2)
    assert (returns / 40).tolist() == pytest.approx(levels.tolist(), abs=0.05)
