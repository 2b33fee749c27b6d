"""Noise as a function of the state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlkit.core.types import UsageError
from rlkit.networks import MLP, StochasticActor
from rlkit.networks.state_dependent import StateDependentHead

OBSERVATIONS, ACTIONS = spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (2,))


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def actor(action_space: Any = ACTIONS, noise: Any = "state_dependent") -> StochasticActor:
    torso = MLP(OBSERVATIONS, [7], "relu", layer_norm=False)
    return StochasticActor(
        torso, OBSERVATIONS, action_space, hidden=[8], activation="relu", norm="none", log_std_min=-20.0,
        log_std_max=2.0, noise=noise, log_std_initial=-1.0,
    )  # fmt: skip


def test_equal_states_have_equal_noise_under_one_matrix_and_others_another() -> None:
    one, x = actor(), torch.randn(1, 3)
    noise = torch.from_numpy(one.noise(1, np.random.default_rng(0)))
    states = torch.cat((x, x, torch.randn(1, 3)))
    actions = one.act(one.encode(states), noise.expand(3, *noise.shape[1:]), None)
    assert torch.equal(actions[0], actions[1])
    assert not torch.isclose(actions[0], actions[2]).any()


def test_noise_is_linear_in_the_features() -> None:
    head = StateDependentHead(5, 2, -0.5).double()
    x, noise = torch.randn(1, 4, 5, dtype=torch.float64), torch.randn(4, 5, 2, dtype=torch.float64)
    mean, log_std = head(x).chunk(2, 2)
    moved = (mean + log_std.exp() * head.standardized(x, noise))[0]
    expected = torch.einsum("bf,bfd->bd", x[0], head.log_std.exp() * noise) + head.mean(x)[0]
    torch.testing.assert_close(moved, expected)


def test_over_all_matrices_the_noise_of_a_state_has_the_deviation_that_probabilities_go_by() -> None:
    head = StateDependentHead(5, 2, -0.5)
    with torch.no_grad():
        head.log_std += torch.randn(5, 2) / 2
    x = torch.randn(1, 1, 5).expand(1, 20_000, 5)
    noise = head.standardized(x, torch.from_numpy(head.noise(20_000, np.random.default_rng(0)))).detach()
    assert noise.mean(0).abs().max() < 0.03
    assert noise.std(0).numpy() == pytest.approx(1, abs=0.02)
    deviation = (x[0, 0].square() @ head.log_std.exp().square()).sqrt()
    torch.testing.assert_close(head(x)[0, 0, 2:].exp(), deviation)


def test_means_are_limited_and_gradients_reach_deviations_and_features() -> None:
    head = StateDependentHead(5, 2, -1.0).double()
    x = (100 * torch.randn(1, 4, 5, dtype=torch.float64)).requires_grad_()
    assert head(x)[..., :2].abs().max() == 2
    small = torch.randn(1, 4, 5, dtype=torch.float64, requires_grad=True)
    noise = torch.randn(4, 5, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, *_: (head(x), head.standardized(x, noise)), (small, head.log_std))


def test_discrete_actions_have_none() -> None:
    with pytest.raises(UsageError, match=r"agent.actor.noise is state_dependent, but discrete actions have none"):
        actor(spaces.Discrete(3))
