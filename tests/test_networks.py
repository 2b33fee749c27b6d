from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from rlkit.checkpoint import Store
from rlkit.core import UsageError
from rlkit.networks import (
    ACTIVATIONS,
    MLP,
    Flat,
    Image,
    NatureCNN,
    QNetwork,
    auto,
    is_image,
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
)
from toys import assert_same

VECTOR = spaces.Box(-1, 1, (4,), np.float32)
PICTURE = spaces.Box(0, 255, (84, 84, 4), np.uint8)


@pytest.fixture(autouse=True)
def _seeded() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


class TestFlat:
    @pytest.mark.parametrize(
        ("space", "observation", "row"),
        [
            (spaces.Discrete(4), np.array([2]), [0, 0, 1, 0]),
            (spaces.MultiDiscrete([2, 3]), np.array([[1, 0]]), [0, 1, 1, 0, 0]),
            (spaces.MultiDiscrete([[2, 2], [1, 2]]), np.array([[[1, 0], [0, 1]]]), [0, 1, 1, 0, 1, 0, 1]),
            (spaces.MultiBinary(3), np.array([[1, 0, 1]], np.int8), [1, 0, 1]),
            (spaces.Box(-9, 9, (2, 2), np.float64), np.array([[[1.5, 2], [3, -4]]]), [1.5, 2, 3, -4]),
        ],
    )
    def test_discrete_observations_are_one_hot_and_the_rest_is_flattened(
        self, space: Any, observation: Any, row: list[float]
    ) -> None:
        flat = Flat(space)
        rows = flat(torch.from_numpy(observation))
        assert flat.features == len(row)
        assert rows.dtype == torch.float32
        assert rows.tolist() == [row]


class TestMLP:
    def test_it_is_layers_of_the_widths_asked_for_each_with_its_activation(self) -> None:
        mlp = MLP(VECTOR, [5, 3], "tanh", layer_norm=False)
        x = torch.randn(7, 4)
        w = dict(mlp.named_parameters())
        first = torch.tanh(x @ w["1.weight"].T + w["1.bias"])
        expected = torch.tanh(first @ w["3.weight"].T + w["3.bias"])
        assert {name: tuple(p.shape) for name, p in w.items()} == {
            "1.weight": (5, 4),
            "1.bias": (5,),
            "3.weight": (3, 5),
            "3.bias": (3,),
        }
        assert mlp.features == 3
        torch.testing.assert_close(mlp(x), expected)

    def test_without_hidden_layers_it_passes_the_observation_on(self) -> None:
        mlp = MLP(spaces.Discrete(3), [], "relu", layer_norm=False)
        assert mlp.features == 3
        assert mlp(torch.tensor([1])).tolist() == [[0, 1, 0]]

    def test_every_activation_is_the_one_of_its_name(self) -> None:
        x = torch.tensor([[-1.0, 2.0]])
        outputs = {name: activation()(x).tolist()[0] for name, activation in ACTIVATIONS.items()}
        assert outputs["relu"] == [0.0, 2.0]
        assert outputs["tanh"] == pytest.approx([-0.7615942, 0.9640276])
        assert outputs["sigmoid"] == pytest.approx([0.2689414, 0.8807971])
        assert outputs["elu"] == pytest.approx([-0.6321206, 2.0])

    def test_an_unknown_activation_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(UsageError, match=r"network.activation is 'rulu'; it must be one of relu, tanh"):
            MLP(VECTOR, [3], "rulu", layer_norm=False)


class TestNatureCNN:
    def test_its_layers_are_those_of_the_paper(self) -> None:
        cnn = NatureCNN(PICTURE, hidden=512)
        shapes = [tuple(p.shape) for name, p in cnn.named_parameters() if name.endswith("weight")]
        assert shapes == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 7 * 7 * 64)]
        assert cnn.features == 512
        assert cnn(torch.zeros(2, 84, 84, 4, dtype=torch.uint8)).shape == (2, 512)

    def test_channels_may_come_first_or_last(self) -> None:
        last, first = Image(PICTURE), Image(spaces.Box(0, 255, (4, 84, 84), np.uint8))
        pixels = torch.randint(0, 256, (2, 84, 84, 4), dtype=torch.uint8)
        assert last.channels == first.channels == 4
        assert torch.equal(last(pixels), first(pixels.permute(0, 3, 1, 2)))
        assert torch.equal(last(pixels), pixels.permute(0, 3, 1, 2) / 255)

    def test_pictures_must_be_pictures_and_large_enough(self) -> None:
        NatureCNN(spaces.Box(0, 255, (36, 36, 1), np.uint8), hidden=8)
        with pytest.raises(UsageError, match=r"images of at least 36x36, not \(35, 36, 1\); use network=mlp"):
            NatureCNN(spaces.Box(0, 255, (35, 36, 1), np.uint8), hidden=8)
        with pytest.raises(UsageError, match=r"network=nature needs images, not Box"):
            NatureCNN(VECTOR, hidden=8)

    def test_a_picture_is_three_axes_of_bytes(self) -> None:
        assert is_image(PICTURE)
        assert not is_image(VECTOR)
        assert not is_image(spaces.Box(0, 1, (84, 84, 4), np.float32))
        assert not is_image(spaces.Discrete(3))


def test_auto_takes_a_cnn_for_pictures_and_an_mlp_for_anything_else() -> None:
    assert isinstance(auto(PICTURE, [8], "relu", False), NatureCNN)
    for space in (VECTOR, spaces.Discrete(5), spaces.Box(0, 1, (84, 84, 4), np.float32)):
        torso = auto(space, [8, 6], "tanh", False)
        assert isinstance(torso, MLP)
        assert torso.features == 6


def test_a_q_network_is_a_torso_and_a_linear_head() -> None:
    network = QNetwork(MLP(VECTOR, [5], "relu", layer_norm=False), spaces.Discrete(3))
    x = torch.randn(2, 4)
    assert network.num_actions == 3
    torch.testing.assert_close(network(x), network.torso(x) @ network.head.weight.T + network.head.bias)
    with pytest.raises(UsageError, match="needs discrete actions"):
        QNetwork(MLP(VECTOR, [5], "relu", layer_norm=False), spaces.Box(-1, 1))


class TestState:
    def test_a_module_comes_back_bit_by_bit_and_its_state_does_not_move(self, tmp_path: Path) -> None:
        network, other = (nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)) for _ in range(2))
        network(torch.randn(5, 3))
        state, store = module_state(network), Store(tmp_path)
        before = {name: array.copy() for name, array in state.items()}
        store.save(1, state)
        with torch.no_grad():
            network[0].weight += 1
        network(torch.randn(5, 3))
        assert_same(state, before)
        load_module_state(other, store.load(1))
        assert_same(module_state(other), state)

    @pytest.mark.parametrize(
        "make",
        [
            lambda p: torch.optim.Adam(p, lr=0.01, fused=True),
            lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True),
            lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
            lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
        ],
        ids=["adam", "amsgrad", "rmsprop", "sgd"],
    )
    def test_an_optimiser_continues_bit_identically(self, make: Any, tmp_path: Path) -> None:
        data = [torch.randn(8, 4) for _ in range(10)]

        def learn(network: nn.Module, optimizer: Any, batches: list[Any]) -> None:
            for batch in batches:
                optimizer.zero_grad()
                network(batch).square().mean().backward()
                optimizer.step()

        network, other = (QNetwork(MLP(VECTOR, [5], "tanh", layer_norm=False), spaces.Discrete(3)) for _ in range(2))
        optimizer, other_optimizer = make(network.parameters()), make(other.parameters())
        learn(network, optimizer, data[:4])
        store = Store(tmp_path)
        store.save(1, {"network": module_state(network), "optimizer": optimizer_state(optimizer)})
        learn(network, optimizer, data[4:])
        learn(other, other_optimizer, data[:1])
        load_module_state(other, store.load(1)["network"])
        load_optimizer_state(other_optimizer, store.load(1)["optimizer"])
        learn(other, other_optimizer, data[4:])
        assert_same(module_state(other), module_state(network))
        assert_same(optimizer_state(other_optimizer), optimizer_state(optimizer))
