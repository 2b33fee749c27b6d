"""Stacked networks compute what networks by themselves would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rlkit.core.types import UsageError
from rlkit.networks import MLP, Critics, DeterministicActor, mixed_precision
from rlkit.networks.critics import FIRST, frozen
from rlkit.networks.return_distributions import Expected, Quantile
from rlkit.networks.stacked import (
    StackedBatchRenorm,
    StackedDropout,
    StackedHead,
    StackedLayerNorm,
    StackedLinear,
    StackedMLP,
    StackedResidual,
    batch_statistics,
)

SPACE = spaces.Box(-9, 9, (3,))


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class Residual(nn.Sequential):
    """Adds its input to its output."""

    def forward(self, x: Any) -> Any:
        return x + super().forward(x)


def alone(stack: Any, member: int) -> nn.Sequential:
    """Return a member as torch's own layers."""
    layers: list[nn.Module] = []
    for layer in stack.layers:
        if isinstance(layer, StackedResidual):
            own: Any = Residual(*alone(layer, member))
        elif isinstance(layer, StackedLinear):
            own = nn.Linear(layer.weight.shape[1], layer.weight.shape[2])
            own.weight.data, own.bias.data = layer.weight[member].T, layer.bias[member, 0]
        elif hasattr(layer, "weight"):
            own = nn.LayerNorm(layer.weight.shape[-1])
            own.weight.data, own.bias.data = layer.weight[member, 0], layer.bias[member, 0]
        else:
            own = layer.function
        layers.append(own)
    return nn.Sequential(*layers)


def shaken(module: nn.Module) -> Any:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return module


@pytest.mark.parametrize("norm", ["none", "layer", "residual"])
@pytest.mark.parametrize("hidden", [[5], [6, 4], [4, 4], []])
def test_each_member_is_a_network_of_its_own(norm: Any, hidden: list[int]) -> None:
    stack = shaken(StackedMLP(3, 4, hidden, "tanh", norm=norm))
    x = torch.randn(7, 4)
    together = stack(x)
    assert together.shape == (3, 7, [4, *hidden][-1])
    for member in range(3):
        assert torch.allclose(together[member], alone(stack, member)(x), atol=1e-6)
    assert torch.allclose(stack(x, slice(1, 2)), together[1:2], atol=1e-5)
    chosen = torch.tensor([2, 0])
    assert torch.allclose(stack(x, chosen), together[chosen], atol=1e-6)


def test_weights_begin_as_those_of_a_linear_layer() -> None:
    layer = StackedLinear(4, 100, 50)
    reach = 1 / sqrt(100)
    for parameter in layer.parameters():
        assert parameter.abs().max() <= reach
        assert parameter.std().item() == pytest.approx(reach / sqrt(3), rel=0.1)
    assert not torch.equal(layer.weight[0], layer.weight[1])


def test_dropout_drops_its_share_and_keeps_the_mean_where_a_generator_says_what() -> None:
    layer, x = StackedDropout(0.25), torch.ones(2, 500, 40)
    assert layer(x) is x
    layer.generator = torch.Generator().manual_seed(0)
    dropped = layer(x)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert not torch.equal(dropped, layer(x))


class TestBatchRenorm:
    def test_at_first_it_is_batch_normalization_and_running_statistics_follow(self) -> None:
        layer, x = shaken(StackedBatchRenorm(2, 3)), 2 * torch.randn(2, 50, 3) + 5
        before = layer(x)
        with batch_statistics(layer):
            normal = layer(x)
        for member in range(2):
            own: Any = nn.BatchNorm1d(3, eps=1e-3)
            own.weight.data, own.bias.data = layer.weight[member, 0], layer.bias[member, 0]
            assert torch.allclose(normal[member], own(x[member]), atol=1e-4)
        assert torch.allclose(layer.mean[:, 0], 0.01 * x.mean(1))
        assert torch.allclose(layer.variance[:, 0], 0.99 + 0.01 * x.var(1, correction=0))
        assert not torch.equal(before, layer(x))  # by the running statistics, which have moved

    def test_after_the_warm_up_it_is_corrected_towards_the_running_statistics_within_limits(self) -> None:
        layer, x = StackedBatchRenorm(1, 3), torch.randn(1, 400, 3)
        layer.batches.fill_(layer.WARM_UP)
        layer.mean.copy_(torch.tensor([0.5, 0, 90]).view(1, 1, 3))
        layer.variance.copy_(torch.tensor([1.0, 100, 1]).view(1, 1, 3))
        mean, variance = layer.mean.clone(), layer.variance.clone()
        with batch_statistics(layer):
            normal = layer(x)
        # Near enough to the running statistics, it is those that count, as where nothing is learned.
        assert torch.allclose(
            normal[0, :, 0], (x[0, :, 0] - mean[0, 0, 0]) / (variance[0, 0, 0] + 1e-3).sqrt(), atol=1e-4
        )
        own = (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-3).sqrt()
        shift = x.mean().item() / 10
        assert torch.allclose(normal[0, :, 1], own[0, :, 1] / 3, atol=abs(shift) + 0.02)  # a third, not a tenth
        assert torch.allclose(normal[0, :, 2] + 5, own[0, :, 2], atol=0.3)  # 5 to the side, not 90

    def test_gradients_flow_through_the_statistics_of_the_batch_and_not_through_the_correction(self) -> None:
        layer, x = (
            shaken(StackedBatchRenorm(2, 3).double()),
            torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True),
        )
        layer.MOMENTUM = 0.0
        # So far from the batch's that both corrections are at their limits.
        layer.batches.fill_(layer.WARM_UP)
        layer.mean.fill_(-90)
        layer.variance.fill_(0)
        with batch_statistics(layer):
            assert torch.autograd.gradcheck(lambda y: layer(y + 0), x)

    def test_a_batch_beside_another_changes_it_only_where_it_is_learned(self) -> None:
        net, x = StackedMLP(1, 3, [4], "relu", norm="batch_renorm"), torch.randn(9, 3)
        assert torch.allclose(net(x)[:, :5], net(x[:5]), atol=1e-5)
        with batch_statistics(net):
            assert not torch.allclose(net(x)[:, :5], net(x[:5]))


def critics(distribution: Any = None, action_space: Any = None, **keys: Any) -> Critics:
    torso = MLP(SPACE, [], "relu", layer_norm=False)
    options = {"count": 2, "hidden": [8], "activation": "relu", "norm": "none", "dropout": 0.0, **keys}
    return Critics(torso, SPACE, action_space or spaces.Box(-1, 1, (2,)), distribution or Expected(), **options)


@pytest.mark.parametrize("norm", ["none", "layer", "batch_renorm", "residual"])
def test_in_mixed_precision_inputs_and_heads_are_exact_and_the_layers_between_in_bfloat16(norm: Any) -> None:
    layers, head = StackedMLP(2, 3, [64, 64, 64], "relu", norm=norm), StackedHead(2, 64, 5)
    heard: dict[str, set[torch.dtype]] = {"first": set(), "others": set(), "norms": set(), "head": set()}
    linear = [layer for layer in layers.modules() if isinstance(layer, StackedLinear)]
    norms = [layer for layer in layers.modules() if isinstance(layer, StackedLayerNorm | StackedBatchRenorm)]
    parts = {"first": linear[:1], "others": linear[1:], "norms": norms, "head": [head]}
    for name, those in parts.items():
        for layer in those:
            layer.forward = heard_by(layer.forward, heard[name])  # type: ignore[method-assign]
    x = torch.randn(20, 3)
    expected = head(layers(x))
    for dtypes in heard.values():
        dtypes.clear()
    with mixed_precision("cpu"), batch_statistics(layers) if norm == "batch_renorm" else nullcontext():
        head(layers(x))
    assert heard == {
        "first": {torch.float32},
        "others": {torch.bfloat16},
        "norms": {torch.float32} if norms else set(),
        "head": {torch.float32},
    }
    assert not torch.is_autocast_enabled("cpu")
    assert torch.equal(head(layers(x)), expected) or norm == "batch_renorm"


def heard_by(forward: Any, dtypes: set[torch.dtype]) -> Any:
    """Return `forward`, which notes the dtypes of what it returns."""

    def heard(*args: Any, **kwargs: Any) -> Any:
        made = forward(*args, **kwargs)
        dtypes.add(made.dtype)
        return made

    return heard


@pytest.mark.parametrize("outputs", [1, 2, 25])
@pytest.mark.parametrize("members", [slice(None), slice(1), torch.tensor([2, 0])])
def test_a_head_is_a_linear_layer_of_each_member(outputs: int, members: Any) -> None:
    head, x = StackedHead(3, 6, outputs).double(), torch.randn(3, 7, 6, dtype=torch.float64)[members]
    linear = nn.functional.linear
    chosen = zip(x, head.weight[members], head.bias[members], strict=True)
    expected = torch.stack([linear(one, weight, bias.squeeze(1)) for one, weight, bias in chosen])
    torch.testing.assert_close(head(x, members), expected)
    assert torch.autograd.gradcheck(lambda *_: head(x, members), (head.weight, head.bias))


def test_critics_value_one_continuous_action_or_all_discrete_ones() -> None:
    features, action = torch.randn(5, 3), torch.rand(5, 2)
    net = critics(Quantile(4), count=3)
    assert net(features, action).shape == (3, 5, 1, 4)
    assert torch.equal(net.of_taken(features, action), net(features, action)[:, :, 0])
    assert net(features, action, FIRST).shape == (1, 5, 1, 4)
    net = critics(action_space=spaces.Discrete(6))
    taken = torch.tensor([0, 5, 2, 2, 1])
    everything = net(features, None)
    assert everything.shape == (2, 5, 6, 1)
    assert torch.equal(net.of_taken(features, taken)[:, :, 0], everything[:, torch.arange(5), taken, 0])


def test_locked_numbers_are_no_inputs() -> None:
    space = spaces.Box(np.array([-1, 2, 0], np.float32), np.array([1, 2, 1], np.float32))
    assert critics(action_space=space).layers.layers[0].weight.shape[1] == 3 + 2


def test_through_frozen_critics_gradients_flow_to_the_actions_alone() -> None:
    net, features = critics(), torch.randn(5, 3)
    action = torch.rand(5, 2, requires_grad=True)
    with frozen(net):
        net(features, action).sum().backward()
    assert action.grad is not None
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_other_actions_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="critics need Box or Discrete actions, not MultiBinary"):
        critics(action_space=spaces.MultiBinary(3))
    torso = MLP(SPACE, [], "relu", layer_norm=False)
    with pytest.raises(UsageError, match="a deterministic policy needs Box actions, not Discrete"):
        DeterministicActor(torso, SPACE, spaces.Discrete(2), hidden=[8], activation="relu", norm="none")
