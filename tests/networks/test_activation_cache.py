"""What layers computed when an agent acted: as good as computing it again, and with the same gradient."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import made, stream_of
from torch import nn

from rlkit.algorithms.policy_gradient.forward_pass import CachedForwardPass, ForwardPass
from rlkit.core.evaluation import evaluate
from rlkit.core.loop import train
from rlkit.core.types import Array
from rlkit.envs.catch import Catch
from rlkit.networks import MLP, ActivationCache, ImpalaCNN, NatureCNN, SmallCNN, module_state
from rlkit.vector.serial import SerialEnvironment
from toys import assert_same

PICTURES = spaces.Box(0, 255, (4, 44, 36), np.uint8)
FIELD = functools.partial(Catch, rows=8, columns=6, cell=5)
CATCH = "agent=a2c network=small agent.n_steps=5 agent.anneal=false total_steps=1000"


def seen(steps: int) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (3, *PICTURES.shape), np.uint8) for _ in range(steps)]


def cache_of(torso: Any) -> ActivationCache:
    """Return what keeps the layers of a torso, in double precision."""
    torso.double()
    return ActivationCache(lambda observation: torso.reader(torch.from_numpy(observation)).double(), chain(torso))


def chain(torso: Any) -> nn.Module:
    return nn.Sequential(torso.body, torso.top)


@pytest.mark.parametrize("make", [NatureCNN, SmallCNN])
def test_features_and_gradients_are_those_of_one_pass_over_all_steps(make: type[Any]) -> None:
    torso, steps = make(PICTURES, 16), seen(4)
    cache = cache_of(torso)
    for observation in steps:
        cache.forward(observation)
        cache.append(observation)
    features = cache.features()
    weights = torch.randn_like(features)
    found = torch.autograd.grad(features, list(torso.parameters()), weights)
    expected = chain(torso)(torso.reader(torch.from_numpy(np.concatenate(steps))).double())
    torch.testing.assert_close(features, expected)
    for gradient, other in zip(found, torch.autograd.grad(expected, list(torso.parameters()), weights), strict=True):
        torch.testing.assert_close(gradient, other)


def test_a_frozen_body_has_no_gradient_and_the_top_has_its_own() -> None:
    torso = SmallCNN(PICTURES, 16)
    cache = cache_of(torso)
    torso.body.requires_grad_(False)
    cache.append(seen(1)[0])
    cache.features().sum().backward()
    assert all(parameter.grad is None for parameter in torso.body.parameters())
    assert all(parameter.grad is not None for parameter in torso.top.parameters())


def test_what_was_seen_in_between_does_not_count() -> None:
    """As when an agent is evaluated between an action and what follows it."""
    torso, (step, other) = SmallCNN(PICTURES, 16), seen(2)
    cache = cache_of(torso)
    cache.forward(step)
    cache.forward(other)
    cache.append(step)
    torch.testing.assert_close(cache.features(), chain(torso)(torso.reader(torch.from_numpy(step)).double()))


@pytest.mark.parametrize(
    ("torso", "can"),
    [
        (NatureCNN(PICTURES, 16), True),
        (SmallCNN(PICTURES, 16), True),
        (NatureCNN(PICTURES, 16, activation="tanh"), False),
        (NatureCNN(PICTURES, 16, batch_norm=True), False),
        (NatureCNN(PICTURES, 16, dropout=0.5), False),
        (ImpalaCNN(PICTURES, (4, 8), 1, 16), False),
        (MLP(PICTURES, [8, 8], "relu", False), False),
    ],
    ids=["nature", "small", "tanh", "batch_norm", "dropout", "impala", "mlp"],
)
def test_only_plain_convolutions_with_relu_can_be_had_again(torso: Any, can: bool) -> None:
    assert ActivationCache.supports(chain(torso)) == can


def test_padding_that_is_no_number_cannot_be_had_again() -> None:
    for layer in (nn.Conv2d(1, 1, 3, padding="same"), nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")):
        assert not ActivationCache.supports(nn.Sequential(layer, nn.ReLU()))


def learner() -> tuple[Any, Any]:
    env = SerialEnvironment([FIELD] * 3)
    return made(CATCH, env), env


def trained(agent: Any, env: Any, steps: int) -> dict[str, Any]:
    for _ in train(agent, stream_of(agent, env, 0), total_steps=steps):
        pass
    return dict(module_state(agent.network))


def test_a2c_learns_what_it_would_learn_by_computing_everything_again() -> None:
    (agent, env), (plain, other) = learner(), learner()
    assert isinstance(agent._forward, CachedForwardPass)
    plain._forward = ForwardPass(plain.network, plain._tensor)
    expected = trained(plain, other, 150)
    for name, value in trained(agent, env, 150).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-5)


def test_a2c_goes_on_in_the_middle_of_a_rollout_with_the_same_bits() -> None:
    (agent, env), (again, _) = learner(), learner()
    stream = stream_of(agent, env, 0)
    steps = train(agent, stream, total_steps=1000)
    for _ in range(7):
        next(steps)
    state, follows = copy.deepcopy(agent.state_dict()), []
    for _ in range(8):
        transition, _ = next(steps)
        follows.append(transition)
    again.load_state_dict(state)
    for transition in follows:
        again.observe(transition)
        again.update()
    assert_same(again.state_dict(), agent.state_dict())


def evaluated(agent: Any) -> None:
    env, rng = SerialEnvironment([FIELD] * 3), np.random.default_rng(0)
    evaluate(agent, env, episodes=3, max_steps=100, rng=rng, episode_seeds=[1, 2, 3])


def test_an_evaluation_in_the_middle_of_a_rollout_changes_nothing() -> None:
    (agent, env), (other, same) = learner(), learner()
    for number, _ in enumerate(train(agent, stream_of(agent, env, 0), total_steps=60)):
        if number % 3 == 0:
            evaluated(agent)
    trained(other, same, 60)
    assert_same(agent.state_dict(), other.state_dict())
