"""The network of the policy gradient: how it begins, on every torso and with every head."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.networks import (
    MLP,
    ActorCritic,
    BlockCNN,
    Flat,
    ImpalaCNN,
    NatureCNN,
    NoisyLinear,
    ResidualBoard,
    SmallCNN,
    Torso,
)

PICTURE, BOARD = spaces.Box(0, 255, (4, 84, 84), np.uint8), spaces.Box(0, 1, (2, 9, 9), np.float32)
LITTLE = spaces.Box(0, 255, (3, 32, 32), np.uint8)
VECTOR = spaces.Box(-10, 10, (8,), np.float32)
OPTIONS: dict[str, Any] = {
    "shared": "auto", "action_values": False, "recurrent": "none", "recurrent_size": 16, "orthogonal": True,
    "squash": False, "log_std": -0.5, "standardize": False,
}  # fmt: skip
TORSOS: dict[str, tuple[spaces.Box, Callable[[], Torso]]] = {
    "nature": (PICTURE, lambda: NatureCNN(PICTURE, 512)),
    "small": (PICTURE, lambda: SmallCNN(PICTURE, 256)),
    "impala": (PICTURE, lambda: ImpalaCNN(PICTURE, [16, 32, 32], 2, 256)),
    "blocks": (LITTLE, lambda: BlockCNN(LITTLE, [[32, 32], [64]])),
    "board": (BOARD, lambda: ResidualBoard(BOARD, 16, 3, 64)),
    "deep board": (BOARD, lambda: ResidualBoard(BOARD, 16, 20, 64)),
    "relu": (VECTOR, lambda: MLP(VECTOR, [64, 64], "relu", False)),
    "tanh": (VECTOR, lambda: MLP(VECTOR, [64, 64], "tanh", False)),
    "deep": (VECTOR, lambda: MLP(VECTOR, [64] * 6, "relu", False)),
    "layer norm": (VECTOR, lambda: MLP(VECTOR, [64, 64], "relu", True)),
}


def network(make: Callable[[], Torso], space: spaces.Box, actions: Any = None, **keys: Any) -> ActorCritic:
    options = {**OPTIONS, **keys}
    return ActorCritic(make(), make(), space, actions or spaces.Discrete(9), **options)


def seen(space: spaces.Box) -> Tensor:
    """Return observations [16, ...] of noise, pictures and boards of their whole range, numbers of unit scale."""
    rng = np.random.default_rng(0)
    if space.dtype == np.uint8:
        return torch.from_numpy(rng.integers(0, 256, (16, *space.shape), np.uint8))
    numbers = rng.random((16, *space.shape)) > 0.7 if space is BOARD else rng.standard_normal((16, *space.shape))
    return torch.from_numpy(numbers.astype(np.float32))


# A core makes what it is given smaller; it is tried where it takes no pictures, which takes long.
CORES = [(torso, core) for torso in TORSOS for core in ("none", "gru", "lstm")]
CORES = [(torso, core) for torso, core in CORES if core == "none" or TORSOS[torso][0].dtype != np.uint8]


@pytest.mark.parametrize(("torso", "recurrent"), CORES)
def test_values_and_logits_begin_small_on_every_torso(torso: str, recurrent: str) -> None:
    """Returns are around 1: values must not begin beyond that, and a new policy has no opinion."""
    space, make = TORSOS[torso]
    for seed in range(2):
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            made = network(make, space, recurrent=recurrent)
            outputs = made(seen(space), torch.zeros(16, made.hidden_size))
        assert outputs.values.square().mean().sqrt() < 1
        assert outputs.parameters.abs().max() < 0.05


@pytest.mark.parametrize("orthogonal", [True, False])
@pytest.mark.parametrize("torso", ["impala", "board"])
def test_a_residual_block_begins_as_the_identity(torso: str, orthogonal: bool) -> None:
    space, make = TORSOS[torso]
    made = network(make, space, orthogonal=orthogonal)
    blocks = [module for module in made.policy_torso.modules() if type(module).__name__ == "Residual"]
    assert len(blocks) == {"impala": 6, "board": 3}[torso]
    for block in blocks:
        features = torch.randn(2, block[1].in_channels, 5, 4)
        assert torch.equal(block(features), features)
        assert block[1].weight.any(), "the first convolution is not zero, or nothing would ever move"


class Own(Torso):
    """A plugin's: some layers begin in a way of their own."""

    def __init__(self) -> None:
        zero, noisy, bare = nn.Linear(8, 8), NoisyLinear(8, 8, 0.5), nn.Linear(8, 8, bias=False)
        nn.init.zeros_(zero.weight)
        nn.init.constant_(zero.bias, 0.5)
        body = nn.Sequential(nn.Linear(8, 8), zero, noisy, bare, nn.LayerNorm(8), nn.BatchNorm1d(8))
        nn.init.constant_(body[4].weight, 0.3)
        super().__init__(Flat(VECTOR), body, lambda linear: linear(8, 8), 8)


def test_layers_that_begin_in_a_way_of_their_own_keep_it() -> None:
    torso = Own()
    before = [parameter.detach().clone() for parameter in torso.body.parameters()]
    made = ActorCritic(torso, Own(), VECTOR, spaces.Box(-1, 1, (3,)), **{**OPTIONS, "shared": True})
    plain, _, *others = after = list(torso.body.parameters())
    assert not torch.equal(plain, before[0])
    kept = [torch.equal(old, new) for old, new in zip(before, after, strict=True)]
    # In order: weight and bias; zeros; noisy means and scales; one without a bias, which is drawn; norms.
    assert kept == [False, False, True, True, True, True, True, True, False, True, True, True, True]
    assert others
    assert made.log_std is not None
    assert made.log_std.tolist() == [-0.5] * 3


def test_matrices_are_orthogonal_with_the_gains_of_their_places() -> None:
    """sqrt(2) before an activation, 1 before a pooling or a residual block, .01 for the policy and 1 for the values."""

    def gain(layer: nn.Module) -> float:
        matrix = layer.weight.detach().flatten(1).double()  # type: ignore[operator, union-attr]
        small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        product = small @ small.T
        square = product.diagonal().mean()
        assert torch.allclose(product, square * torch.eye(len(product), dtype=torch.float64), atol=1e-5)
        return sqrt(square.item())

    board = network(*reversed(TORSOS["board"]))  # type: ignore[arg-type]
    first, block = board.policy_torso[0][0], board.policy_torso[0][1]
    assert [gain(layer) for layer in (first, block[1])] == pytest.approx([1, sqrt(2)])
    picture = network(*reversed(TORSOS["impala"]))  # type: ignore[arg-type]
    assert gain(picture.policy_torso[0][0][0]) == pytest.approx(1)
    flat = network(*reversed(TORSOS["tanh"]), action_values=True)  # type: ignore[arg-type]
    layers = [layer for layer in flat.policy_torso.modules() if isinstance(layer, nn.Linear)]
    assert [gain(layer) for layer in layers] == pytest.approx([sqrt(2)] * 2)
    assert gain(flat.policy) == pytest.approx(0.01)
    assert not any(layer.bias.any() for layer in [*layers, flat.policy, flat.value])


@pytest.mark.parametrize("shared", [True, False])
def test_a_torso_that_was_trained_keeps_its_weights_and_the_other_is_drawn(shared: bool) -> None:
    def torso() -> NatureCNN:
        return NatureCNN(PICTURE, 32)

    trained, other = torso(), torso()
    trained.encoder = "digits"
    before = [[p.detach().clone() for p in one.parameters()] for one in (trained, other)]
    made = ActorCritic(trained, other, PICTURE, spaces.Discrete(3), **{**OPTIONS, "shared": shared})
    assert all(torch.equal(old, new) for old, new in zip(before[0], trained.parameters(), strict=True))
    if not shared:
        assert not torch.equal(before[1][0], other.body[0].weight)  # type: ignore[arg-type]
    assert not made.value.bias.any()
