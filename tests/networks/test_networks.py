from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.checkpoint import Store
from rlkit.core.schedules import Constant, Linear
from rlkit.core.types import UsageError
from rlkit.networks import (
    ACTIVATIONS,
    MLP,
    ActorCritic,
    BlockCNN,
    Flat,
    FlatParameters,
    GradientSettings,
    Image,
    ImpalaCNN,
    NatureCNN,
    NoisyLinear,
    Optimizer,
    QNetwork,
    ResidualBoard,
    SmallCNN,
    StridedCNN,
    Torso,
    auto,
    autocast_outputs,
    is_board,
    is_image,
    load_module_state,
    load_optimizer_state,
    module_state,
    optimizer_state,
    step_together,
    to_tensor,
    uses_bfloat16,
)
from rlkit.networks.return_distributions import Categorical, Expected
from rlkit.networks.stacked import StackedMLP
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
        first = torch.tanh(x @ w["body.0.weight"].T + w["body.0.bias"])
        expected = torch.tanh(first @ w["top.0.weight"].T + w["top.0.bias"])
        assert {name: tuple(p.shape) for name, p in w.items()} == {
            "body.0.weight": (5, 4),
            "body.0.bias": (5,),
            "top.0.weight": (3, 5),
            "top.0.bias": (3,),
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


def pixels(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def box(*shape: int) -> spaces.Box:
    return spaces.Box(0, 255, shape, np.uint8)


class TestImage:
    @pytest.mark.parametrize(
        ("shape", "axes", "channels"),
        [
            ((84, 84, 4), (0, 3, 1, 2), 4),
            ((210, 160, 3), (0, 3, 1, 2), 3),
            ((4, 84, 84), (0, 1, 2, 3), 4),
            ((4, 105, 80), (0, 1, 2, 3), 4),
            ((1, 36, 36), (0, 1, 2, 3), 1),
        ],
    )
    def test_channels_or_a_stack_may_come_first_or_channels_last(self, shape: Any, axes: Any, channels: int) -> None:
        image, given = Image(box(*shape)), pixels(2, *shape)
        assert image.channels == channels
        assert torch.equal(image(given), given.permute(*axes) / 255)

    @pytest.mark.parametrize("shape", [(4, 40, 36, 3), (4, 3, 40, 36)])
    def test_a_stack_of_colour_pictures_has_the_channels_of_all(self, shape: Any) -> None:
        image, given = Image(box(*shape)), pixels(2, *shape)
        assert image.channels == 12
        read = image(given)
        assert read.shape == (2, 12, 40, 36)
        for frame in range(4):
            for colour in range(3):
                one = given[:, frame, colour] if shape[1] == 3 else given[:, frame, :, :, colour]
                assert torch.equal(read[:, 3 * frame + colour], one / 255)

    def test_it_lays_memory_out_channels_last_and_leaves_views_of_a_replay_alone(self) -> None:
        frames = pixels(3, 5, 40, 36)
        before = frames.clone()
        read = Image(box(4, 40, 36))(frames[:, 1:])
        assert read.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(read, frames[:, 1:] / 255)
        assert torch.equal(frames, before)

    def test_a_picture_is_three_axes_of_bytes_or_a_stack_of_such(self) -> None:
        assert is_image(PICTURE)
        assert is_image(box(4, 84, 84, 3))
        assert not is_image(VECTOR)
        assert not is_image(spaces.Box(0, 1, (84, 84, 4), np.float32))
        assert not is_image(box(128))
        assert not is_image(spaces.Discrete(3))


def bytes_up_to(high: int, *shape: int) -> spaces.Box:
    return spaces.Box(0, high, shape, np.uint8)


class TestBytes:
    """They are divided by the largest that the space has, once; where they are floats already they are not."""

    @pytest.mark.parametrize("high", [255, 10, 1])
    @pytest.mark.parametrize(
        ("make", "shape"),
        [
            (Flat, (128,)),
            (Image, (3, 40, 36)),
            (Image, (40, 36)),
            (Image, (4, 40, 36, 3)),
            (lambda space: ResidualBoard(space, 4, 1, 8).reader, (2, 6, 7)),
            (lambda space: MLP(space, [4], "relu", layer_norm=False).reader, (2, 6, 7)),
        ],
        ids=["flat", "image", "bare image", "stack", "board", "mlp"],
    )
    def test_the_largest_becomes_one(self, make: Any, shape: tuple[int, ...], high: int) -> None:
        space = bytes_up_to(high, *shape)
        given = torch.full((2, *shape), high, dtype=torch.uint8)
        read = make(space)(given)
        assert torch.equal(read, torch.ones_like(read))
        assert (given == high).all()
        assert (make(space)(torch.full((2, *shape), 0.25)) == 0.25).all()

    def test_boards_of_bytes_are_boards_and_pictures_are_pictures(self) -> None:
        plane, small = bytes_up_to(1, 3, 9, 9), bytes_up_to(255, 9, 9, 3)
        assert is_board(plane)
        assert not is_image(plane)
        assert isinstance(auto(plane, [8], "relu", False), ResidualBoard)
        assert is_image(bytes_up_to(1, 3, 84, 84))
        assert is_image(small)
        assert not is_board(small)

    @pytest.mark.parametrize("high", [255, 1])
    def test_standardised_bytes_have_unit_scale_in_the_first_layer(self, high: int) -> None:
        space = bytes_up_to(high, 4)
        torso, value_torso = (MLP(space, [3, 3], "relu", layer_norm=False) for _ in range(2))
        options: dict[str, Any] = {"shared": False, "action_values": False, "recurrent": "none", "recurrent_size": 1}
        options |= {"orthogonal": True, "squash": False, "log_std": 0.0, "standardize": True}
        network = ActorCritic(torso, value_torso, space, spaces.Discrete(2), **options)
        rows, heard = torch.randint(0, high + 1, (500, 4), dtype=torch.uint8), []
        assert network.standardize is not None
        network.standardize.mean.copy_(rows.float().mean(0))
        network.standardize.inverse_std.copy_(1 / rows.float().std(0))
        torso.body[0].register_forward_pre_hook(lambda layer, given: heard.append(given[0]))  # type: ignore[index, union-attr]
        network(rows, torch.zeros(0))
        expected = (rows.float() - rows.float().mean(0)) / rows.float().std(0)
        torch.testing.assert_close(heard[0], expected, rtol=1e-4, atol=1e-4)


def weights(module: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(p.shape) for name, p in module.named_parameters() if name.endswith("weight")]


class TestCNNs:
    def test_natures_layers_can_be_normalised_and_left_out(self) -> None:
        cnn = NatureCNN(PICTURE, hidden=120, activation="elu", batch_norm=True, dropout=0.3)
        kinds = [type(layer).__name__ for layer in [*cnn.body, *cnn.top]]
        block = ["Conv2d", "BatchNorm2d", "ELU"]
        assert kinds == [*block * 3, "Flatten", "Dropout", "Linear", "ELU", "Dropout"]
        with pytest.raises(UsageError, match=r"network.activation is 'swish'; it must be one of"):
            NatureCNN(PICTURE, hidden=8, activation="swish")

    def test_natures_layers_are_those_of_the_paper(self) -> None:
        cnn = NatureCNN(PICTURE, hidden=512)
        assert weights(cnn) == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 7 * 7 * 64)]
        assert cnn.features == 512
        assert cnn(pixels(2, 84, 84, 4)).shape == (2, 512)
        network = QNetwork(cnn, PICTURE, spaces.Discrete(6), **PLAIN)
        assert sum(p.numel() for p in network.parameters()) == 1_687_206

    def test_the_small_ones_layers_are_those_of_the_paper_of_2013(self) -> None:
        cnn = SmallCNN(box(4, 84, 84), hidden=256)
        assert weights(cnn) == [(16, 4, 8, 8), (32, 16, 4, 4), (256, 9 * 9 * 32)]
        assert cnn(pixels(2, 4, 84, 84)).shape == (2, 256)

    def test_impalas_layers_are_those_of_the_paper(self) -> None:
        cnn = ImpalaCNN(box(4, 84, 84), depths=[16, 32, 32], blocks=2, hidden=256)
        sections = [[(d, c, 3, 3)] + [(d, d, 3, 3)] * 4 for c, d in [(4, 16), (16, 32), (32, 32)]]
        assert weights(cnn) == [*sections[0], *sections[1], *sections[2], (256, 11 * 11 * 32)]
        assert cnn(pixels(2, 4, 84, 84)).shape == (2, 256)

    def test_impala_computes_residuals(self) -> None:
        cnn = ImpalaCNN(box(2, 9, 7), depths=[3], blocks=2, hidden=4)
        for parameter in cnn.parameters():
            nn.init.normal_(parameter, std=0.3)
        p = [tensor.detach() for tensor in cnn.parameters()]
        given = pixels(2, 2, 9, 7)
        f = nn.functional
        x = f.max_pool2d(f.conv2d(given / 255, p[0], p[1], padding=1), 3, stride=2, padding=1)
        for w1, b1, w2, b2 in (p[2:6], p[6:10]):
            x = x + f.conv2d(f.conv2d(x.relu(), w1, b1, padding=1).relu(), w2, b2, padding=1)
        expected = (x.relu().flatten(1) @ p[10].T + p[11]).relu()
        torch.testing.assert_close(cnn(given), expected)

    def test_nature_computes_what_plain_layers_compute(self) -> None:
        cnn = NatureCNN(box(4, 44, 36), hidden=8)
        plain = nn.Sequential(
            *(nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(128, 8), nn.ReLU()),
        )
        for mine, theirs in zip(plain.parameters(), cnn.parameters(), strict=True):
            mine.data.copy_(theirs)
        given = pixels(3, 4, 44, 36)
        torch.testing.assert_close(cnn(given), plain(given / 255))

    def test_pictures_must_be_pictures_and_large_enough(self) -> None:
        NatureCNN(box(36, 36, 1), hidden=8)
        with pytest.raises(
            UsageError, match=r"images of at least 36x36, not \(35, 36, 1\); use network=small or impala"
        ):
            NatureCNN(box(35, 36, 1), hidden=8)
        with pytest.raises(UsageError, match=r"network=nature needs images, not Box"):
            NatureCNN(VECTOR, hidden=8)
        SmallCNN(box(20, 20, 1), hidden=8)
        with pytest.raises(UsageError, match=r"network=small needs images of at least 20x20, not \(20, 19, 1\)"):
            SmallCNN(box(20, 19, 1), hidden=8)
        ImpalaCNN(box(1, 1, 1), depths=[2], blocks=1, hidden=8)
        with pytest.raises(UsageError, match=r"network=impala needs images, not Discrete"):
            ImpalaCNN(spaces.Discrete(3), depths=[2], blocks=1, hidden=8)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((84, 84), NatureCNN),
        ((36, 40, 3), NatureCNN),
        ((3, 35, 40), SmallCNN),
        ((20, 20), SmallCNN),
        ((19, 60, 3), ImpalaCNN),
        ((4, 12, 12, 3), ImpalaCNN),
        ((19, 19), MLP),
    ],
)
def test_auto_takes_the_convolutions_that_the_size_allows(shape: tuple[int, ...], kind: type) -> None:
    torso = auto(spaces.Box(0, 255, shape, np.uint8), [8, 6], "tanh", False)
    assert type(torso) is kind
    assert torso(pixels(2, *shape)).shape == (2, torso.features)


def test_a_bare_picture_is_read_as_one_of_one_channel() -> None:
    bare, whole = SmallCNN(box(24, 24), hidden=8), SmallCNN(box(1, 24, 24), hidden=8)
    whole.load_state_dict(bare.state_dict())
    given = pixels(3, 24, 24)
    torch.testing.assert_close(bare(given), whole(given[:, None]))


def test_bytes_are_scaled_where_they_are_flattened() -> None:
    given = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    assert Flat(spaces.Box(0, 255, (3,), np.uint8))(given).tolist() == [pytest.approx([0, 0.2, 1])]
    assert Flat(spaces.Box(0, 1, (3,), np.uint8))(given).tolist() == [[0, 51, 255]]


def test_observations_without_axes_or_numbers_are_rows() -> None:
    number, nothing = (Flat(spaces.Box(-1, 1, shape, np.float32)) for shape in ((), (0,)))
    assert (number.features, nothing.features) == (1, 1)
    assert number(torch.tensor([0.5, -1])).tolist() == [[0.5], [-1]]
    assert nothing(torch.zeros(2, 0)).tolist() == [[0], [0]]


def test_auto_takes_a_cnn_for_pictures_and_an_mlp_for_anything_else() -> None:
    assert isinstance(auto(PICTURE, [8], "relu", False), NatureCNN)
    for space in (VECTOR, spaces.Discrete(5), spaces.Box(0, 1, (84, 84, 4), np.float32)):
        torso = auto(space, [8, 6], "tanh", False)
        assert isinstance(torso, MLP)
        assert torso.features == 6


def test_auto_takes_convolutions_that_keep_the_size_for_boards() -> None:
    board = spaces.Box(0, 1, (2, 6, 7), np.float32)
    torso = auto(board, [8, 6], "tanh", False)
    assert isinstance(torso, ResidualBoard)
    assert torso(torch.rand(3, 2, 6, 7)).shape == (3, torso.features)
    assert not is_board(spaces.Box(0, 1, (2, 20, 7), np.float32))
    with pytest.raises(UsageError, match="needs boards"):
        ResidualBoard(VECTOR, filters=4, blocks=1, hidden=8)


class TestNoisyLinear:
    def test_its_weights_are_means_and_scaled_products_of_noise_factors(self) -> None:
        layer = NoisyLinear(3, 2, scale=0.5)
        x, factors = torch.randn(4, 3), torch.randn(4, 5)
        with torch.no_grad():
            layer.weight_scale.copy_(torch.rand(2, 3))
            layer.bias_scale.copy_(torch.rand(2))
        for shared in (True, False):
            layer.noise = factors[:1] if shared else factors
            outputs = layer(x)
            for row in range(4):
                factor = factors[0 if shared else row]
                weight = layer.weight + layer.weight_scale * torch.outer(factor[3:], factor[:3])
                bias = layer.bias + layer.bias_scale * factor[3:]
                torch.testing.assert_close(outputs[row], weight @ x[row] + bias)

    def test_it_begins_as_the_paper_says(self) -> None:
        layer = NoisyLinear(16, 2, scale=0.5)
        assert layer.weight.abs().max() <= 0.25
        assert torch.equal(layer.weight_scale, torch.full((2, 16), 0.125))
        assert torch.equal(layer.bias_scale, torch.full((2,), 0.125))

    def test_without_noise_it_computes_with_the_means(self) -> None:
        layer, x = NoisyLinear(3, 2, scale=0.5), torch.randn(4, 3)
        assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


PLAIN: dict[str, Any] = {"distribution": Expected(), "dueling": False, "noisy": False, "noise_scale": 0.5}


def q_network(**keys: Any) -> QNetwork:
    return QNetwork(MLP(VECTOR, [6, 5], "relu", layer_norm=False), VECTOR, spaces.Discrete(3), **{**PLAIN, **keys})


class TestQNetwork:
    def test_it_is_a_torso_and_a_linear_head(self) -> None:
        torso = MLP(VECTOR, [5], "relu", layer_norm=False)
        network = QNetwork(torso, VECTOR, spaces.Discrete(3), **PLAIN)
        x = torch.randn(2, 4)
        head = network.actions[1]
        assert network.num_actions == 3
        assert network.noise_size == 0
        torch.testing.assert_close(network(x)[..., 0], torso(x) @ head.weight.T + head.bias)
        with pytest.raises(UsageError, match="needs discrete actions"):
            QNetwork(torso, VECTOR, spaces.Box(-1, 1), **PLAIN)

    def test_dueling_streams_have_a_top_each_and_differ_by_the_mean_advantage(self) -> None:
        network = q_network(dueling=True, distribution=Categorical(7, 0.0, 1.0))
        assert weights(network) == [(6, 4), (5, 6), (21, 5), (5, 6), (7, 5)]
        x = torch.randn(2, 4)
        features = network.body(x)
        advantage, value = network.actions(features).view(2, 3, 7), network.state(features)
        outputs = network(x)
        for action in range(3):
            for atom in range(7):
                centred = advantage[:, action, atom] - advantage[:, :, atom].mean(1)
                torch.testing.assert_close(outputs[:, action, atom], value[:, atom] + centred)

    def test_dueling_nature_has_two_streams_of_512_on_the_convolutions(self) -> None:
        network = QNetwork(NatureCNN(PICTURE, hidden=512), PICTURE, spaces.Discrete(6), **{**PLAIN, "dueling": True})
        assert weights(network)[3:] == [(512, 3136), (6, 512), (512, 3136), (1, 512)]
        assert not torch.equal(network.actions[0][0].weight, network.state[0][0].weight)

    def test_noise_is_in_tops_and_heads_and_squashed_as_in_the_paper(self) -> None:
        network = q_network(noisy=True)
        top, head = network.actions[0][0], network.actions[1]
        assert [type(layer) for layer in (network.body[0], top, head)] == [nn.Linear, NoisyLinear, NoisyLinear]
        assert network.noise_size == 6 + 5 + 5 + 3
        x, noise = torch.randn(2, 4), torch.randn(1, 19)
        outputs = network(x, noise)
        factors = torch.sign(noise) * noise.abs().sqrt()
        top.noise, head.noise = factors[:, :11], factors[:, 11:]
        torch.testing.assert_close(outputs[..., 0], head(top(network.body(x)).relu()))

    def test_each_row_can_have_noise_of_its_own_and_none_is_left_behind(self) -> None:
        network = q_network(noisy=True, dueling=True)
        x, noise = torch.randn(1, 4).repeat(3, 1), torch.randn(3, network.noise_size)
        rows = network(x, noise)
        for row in range(3):
            torch.testing.assert_close(rows[row : row + 1], network(x[:1], noise[row : row + 1]))
        means = network(x)
        assert torch.equal(means, network(x, torch.zeros(1, network.noise_size)))
        assert not torch.allclose(rows, means)

    def test_any_torso_with_a_reader_a_body_and_a_top_will_do(self) -> None:
        torso = Torso(nn.Identity(), nn.Linear(4, 6), lambda linear: nn.Identity(), features=6)
        network = QNetwork(torso, VECTOR, spaces.Discrete(3), **{**PLAIN, "dueling": True, "noisy": True})
        assert network.noise_size == 6 + 3 + 6 + 1
        assert network(torch.randn(2, 4)).shape == (2, 3, 1)


class TestFlatParameters:
    def test_a_parameter_without_dimensions_is_one_number_of_the_vector(self) -> None:
        parameters = [nn.Parameter(torch.tensor(3.0)), nn.Parameter(torch.tensor([1.0, 2.0]))]
        flat = FlatParameters(parameters)
        assert flat.vector.tolist() == [3, 1, 2]
        (parameters[0] ** 2).backward()
        assert flat.vector.grad is not None
        assert flat.vector.grad.tolist() == [6, 0, 0]
        assert parameters[0].shape == ()

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 5, 2), nn.ReLU(), nn.Conv2d(5, 2, 3), nn.Flatten(), nn.Linear(8, 3))

    def test_the_module_computes_the_same_in_channels_last_order(self) -> None:
        network, x = self.network(), torch.randn(2, 3, 5, 5)
        expected, state = network(x), module_state(network)
        flat = FlatParameters(network.parameters())
        assert_same(module_state(network), state)
        torch.testing.assert_close(network(x), expected)
        for convolution in (network[0], network[2]):
            assert convolution.weight.is_contiguous(memory_format=torch.channels_last)
            assert convolution.weight.grad.is_contiguous(memory_format=torch.channels_last)
        assert flat.vector.numel() == sum(p.numel() for p in network.parameters())

    def test_gradients_and_steps_go_through_the_vector(self) -> None:
        network, plain = self.network(), self.network()
        load_module_state(plain, module_state(network))
        optimizer = Optimizer(network.parameters(), torch.optim.SGD, Constant(0.1), max_grad_norm=0.1)
        other = torch.optim.SGD(plain.parameters(), 0.1)
        for _ in range(3):
            x = torch.randn(2, 3, 5, 5)
            other.zero_grad()
            plain(x).square().mean().backward()
            norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
            assert norm > 0.1
            optimizer.step(network(x).square().mean(), 0)
            other.step()
            for mine, theirs in zip(network.parameters(), plain.parameters(), strict=True):
                torch.testing.assert_close(mine.detach(), theirs.detach())

    def test_one_follows_another(self) -> None:
        network, target = self.network(), self.network()
        before = [p.detach().clone() for p in target.parameters()]
        flat, other = FlatParameters(network.parameters()), FlatParameters(target.parameters())
        other.move_towards(flat.vector, 0.25)
        for old, new, aim in zip(before, target.parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(new.detach(), old + 0.25 * (aim.detach() - old))
        other.move_towards(flat.vector, 1.0)
        assert_same(module_state(target), module_state(network))


class TestToTensor:
    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.float32, np.float64])
    @pytest.mark.parametrize("view", ["whole", "strided", "backwards", "read-only"])
    def test_it_holds_the_values_of_any_array(self, dtype: Any, view: str) -> None:
        array = np.arange(24).reshape(2, 4, 3).astype(dtype)
        array = {"strided": array[:, 1:], "backwards": array[:, ::-1]}.get(view, array)
        array.flags.writeable = view != "read-only"
        tensor = to_tensor(array, "cpu")
        assert tensor.numpy().dtype == dtype
        assert np.array_equal(tensor.numpy(), array)

    def test_bytes_are_not_copied_and_floats_are(self) -> None:
        for array, shared in ((np.zeros((2, 3), np.uint8)[:, 1:], True), (np.zeros((2, 3), np.float32), False)):
            tensor = to_tensor(array, "cpu")
            array[:] = 1
            assert bool(tensor.any()) == shared

    def test_tensors_stay_where_they_are(self) -> None:
        tensor = torch.zeros(3)
        assert to_tensor(tensor, "cpu") is tensor


class TestPrecision:
    @pytest.mark.parametrize("dueling", [False, True])
    def test_in_mixed_precision_the_torso_multiplies_in_bfloat16_and_the_heads_in_float32(self, dueling: bool) -> None:
        torso = MLP(VECTOR, [8, 6], "relu", layer_norm=False)
        network, heard = QNetwork(torso, VECTOR, spaces.Discrete(3), **{**PLAIN, "dueling": dueling}), {}
        streams: dict[str, Any] = {"actions": network.actions, **({"state": network.state} if dueling else {})}
        watched = {"body": network.body[0], **{f"{n} {i}": one[i] for n, one in streams.items() for i in (0, 1)}}
        for name, layer in watched.items():
            layer.register_forward_hook(lambda layer, given, made, name=name: heard.update({name: made.dtype}))
        outputs = autocast_outputs(network, "cpu")(network.read(torch.randn(5, *VECTOR.shape)), None)
        assert outputs.dtype == torch.float32
        by_dtype = {name for name, dtype in heard.items() if dtype == torch.bfloat16}
        assert by_dtype == {"body", *(f"{n} 0" for n in streams)}
        assert {name for name, dtype in heard.items() if dtype == torch.float32} == {f"{n} 1" for n in streams}

    def test_values_near_a_hundred_keep_their_differences(self) -> None:
        # Eight bits have steps of a half there: of 64 values 0.01 apart they tell two from each other.
        torso = MLP(VECTOR, [4], "relu", layer_norm=False)
        network: Any = QNetwork(torso, VECTOR, spaces.Discrete(64), **{**PLAIN, "dueling": True})
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
            network.actions[1].bias.copy_(torch.arange(64) * 0.01)
            network.state[1].bias.fill_(100.0)
        q = autocast_outputs(network, "cpu")(torch.zeros(1, *VECTOR.shape), None)[0, :, 0]
        assert q.tolist() == pytest.approx([100 + 0.01 * (a - 31.5) for a in range(64)], abs=1e-4)

    @pytest.mark.parametrize(
        ("flags", "units"),
        [("fma avx2 amx_bf16 amx_tile", True), ("fma avx512f avx512_bf16", True), ("fma avx2 avx512f", False)],
    )
    def test_auto_takes_bfloat16_for_convolutions_and_wide_stacks_where_the_processor_has_units_for_it(
        self, flags: str, units: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Path, "exists", lambda self: True)
        monkeypatch.setattr(Path, "read_text", lambda self: f"flags : {flags}")
        assert uses_bfloat16("auto", "cpu", nn.Sequential(nn.Conv2d(1, 1, 1))) == units
        assert not uses_bfloat16("auto", "cpu", nn.Sequential(nn.Linear(1, 1)))
        assert uses_bfloat16("auto", "cpu", StackedMLP(2, 3, [256, 256], "relu")) == units
        assert not uses_bfloat16("auto", "cpu", StackedMLP(2, 300, [256, 255], "relu"))
        assert uses_bfloat16("bfloat16", "cpu", nn.Linear(1, 1))
        assert not uses_bfloat16("float32", "cpu", nn.Conv2d(1, 1, 1))

    def test_another_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(UsageError, match=r"agent.precision is 'half'; it must be one of auto, float32, bfloat16"):
            uses_bfloat16("half", "cpu", nn.Linear(1, 1))


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
    def test_an_optimizer_continues_bit_identically(self, make: Any, tmp_path: Path) -> None:
        data = [torch.randn(8, 4) for _ in range(10)]

        def learn(network: nn.Module, optimizer: Any, batches: list[Any]) -> None:
            for batch in batches:
                optimizer.zero_grad()
                network(batch).square().mean().backward()
                optimizer.step()

        network, other = (q_network() for _ in range(2))
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


def test_a_hook_on_a_layer_within_a_torso_is_called() -> None:
    torso, heard = MLP(spaces.Box(-1, 1, (3,)), [4, 5], "relu", layer_norm=False), []
    expected = torso(torch.ones(2, 3))
    torso.body[0].register_forward_hook(lambda layer, given, result: heard.append(result.shape))
    torch.testing.assert_close(torso(torch.ones(2, 3)), expected)
    assert heard == [(2, 4)]


def test_an_optimizer_s_own_rate_is_refused() -> None:
    optimizer = partial(torch.optim.SGD, lr=0.1)
    with pytest.raises(UsageError, match=r"lr is not used; give agent.learning_rate"):
        GradientSettings(optimizer=optimizer, learning_rate=0.5, anneal=False, max_grad_norm=1.0)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


class TestBlockCNN:
    def test_the_cnn_of_the_digits_has_the_published_parameters(self) -> None:
        torso = BlockCNN(box(28, 28, 1), [[32, 32]], 64, padding="valid")
        shapes, x = [], torso.reader(pixels(2, 28, 28, 1))
        for layer in torso.body:
            x = layer(x)
            shapes.append(tuple(x.shape[1:]))
        assert shapes[::2] == [(32, 26, 26), (32, 24, 24), (32, 12, 12)]
        assert shapes[-1] == (4608,)
        layers = [torso.body[0], torso.body[2], torso.top[0], nn.Linear(torso.features, 10)]
        assert [count(layer) for layer in layers] == [320, 9_248, 294_976, 650]
        assert count(torso) + 650 == 305_194

    def test_the_cnn_with_batch_normalisation_has_the_published_parameters(self) -> None:
        torso = BlockCNN(
            box(32, 32, 3),
            [[32, 32], [64, 64], [128, 128]],
            None,
            activation="elu",
            padding=["same", "same", "valid"],
            batch_norm=True,
            dropout=[0.2, 0.2, 0.5],
        )
        statistics = sum(buffer.numel() for name, buffer in torso.named_buffers() if "running" in name)
        assert statistics == 896
        assert torso.features == 512
        assert count(torso) + statistics + count(nn.Linear(512, 10)) == 293_930
        sides, x = [], torso.reader(pixels(2, 32, 32, 3))
        for layer in torso.body:
            x = layer(x)
            if isinstance(layer, (nn.MaxPool2d, nn.Conv2d)):
                sides.append(x.shape[-1])
        assert sides == [32, 32, 16, 16, 16, 8, 6, 4, 2]
        assert [layer.p for layer in torso.body if isinstance(layer, nn.Dropout)] == [0.2, 0.2, 0.5]
        kinds = [type(layer) for layer in torso.body[:3]]
        assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ELU]

    def test_making_it_shows_batch_normalisation_nothing(self) -> None:
        torso = BlockCNN(box(8, 8, 1), [[4]], 3, batch_norm=True)
        assert torso.training
        assert all(module.training for module in torso.modules())
        state = dict(torso.named_buffers())
        assert state["body.1.num_batches_tracked"] == 0
        assert state["body.1.running_mean"].tolist() == [0.0] * 4

    @pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 1), (5, 3, 2), (3, 84, 84)])
    def test_pictures_of_any_size_and_tops_of_any_kind(self, shape: tuple[int, ...]) -> None:
        torso = BlockCNN(box(*shape), [[4], [5, 6]], 7, hidden_dropout=0.5)
        assert torso(pixels(2, *shape)).shape == (2, 7)
        assert isinstance(torso.make_top(partial(NoisyLinear, scale=0.5))[0], NoisyLinear)
        assert isinstance(torso.top[2], nn.Dropout)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"activation": "rulu"}, "network.activation is 'rulu'"),
            ({"padding": "some"}, "network.padding is 'some'; each must be same or valid"),
            ({"padding": ["same"]}, "network.padding has 1 values for 2 blocks"),
            ({"dropout": [0.1, 0.2, 0.3]}, "network.dropout has 3 values for 2 blocks"),
            ({"padding": "valid"}, "network=blocks needs images of at least 9x9"),
        ],
    )
    def test_what_cannot_be_is_refused(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(UsageError, match=words):
            BlockCNN(box(7, 7, 1), [[4, 4], [4]], 3, **options)


class TestRegularisedMLP:
    def test_batch_normalisation_and_dropout_stand_where_they_are_said_to(self) -> None:
        mlp = MLP(VECTOR, [5, 3], "relu", layer_norm=False, batch_norm=True, dropout=0.5)
        assert [type(layer) for layer in mlp.body] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]
        assert [type(layer) for layer in mlp.top] == [nn.Linear, nn.BatchNorm1d, nn.ReLU, nn.Dropout]

    def test_mlps_have_the_published_parameters(self) -> None:
        def parameters(inputs: int, hidden: list[int], outputs: int) -> int:
            torso = MLP(spaces.Box(-1, 1, (inputs,)), hidden, "relu", layer_norm=False)
            return count(torso) + count(nn.Linear(torso.features, outputs))

        assert parameters(784, [100], 10) == 79_510
        assert parameters(4, [5], 3) == 43
        assert parameters(3072, [1024, 512, 512], 10) == 3_939_338


def one_parameter(optimizer: Any, rate: Any, max_norm: float | None = None) -> tuple[nn.Parameter, Optimizer]:
    parameter = nn.Parameter(torch.zeros(1))
    return parameter, Optimizer([parameter], optimizer, rate, max_norm)


def test_the_scheduled_rate_reaches_the_optimizer() -> None:
    """A gradient of 1, by SGD: the parameter moves by the rate."""
    parameter, stepping = one_parameter(torch.optim.SGD, Linear(1.0, 0.0, 10))
    moves = []
    for step in (0, 5, 10):
        before = parameter.item()
        stepping.step(parameter.sum(), step)
        moves.append(before - parameter.item())
    assert moves == [1.0, 0.5, 0.0]
    parameter, stepping = one_parameter(torch.optim.SGD, Linear(1.0, 0.0, 10))
    # A gradient that was found otherwise, with a decay of .5 times the rate: 0 - 1, then -1 * (1 - .25) - .5.
    stepping.step_along(torch.ones(1), 0, 0.5)
    stepping.step_along(torch.ones(1), 5, 0.5)
    assert parameter.item() == -1.25


def test_a_limit_of_the_norm_is_for_all_that_one_loss_moves() -> None:
    """Gradients of 3 and 4 are 5 long together: with a limit of 1 each is a fifth, at a rate of its own."""
    (first, slow), (second, fast) = (one_parameter(torch.optim.SGD, Constant(rate), 1.0) for rate in (1.0, 10.0))
    step_together((3 * first + 4 * second).sum(), [slow, fast], 0)
    assert (first.item(), second.item()) == pytest.approx((-0.6, -8.0))
    # Twice as long once it is clipped.
    step_together((3 * first).sum(), [slow], 0, scale=2.0)
    assert first.item() == pytest.approx(-0.6 - 2.0)
    assert second.item() == pytest.approx(-8.0)
    free, stepping = one_parameter(torch.optim.SGD, Constant(1.0))
    stepping.step((1e6 * free).sum(), 0)
    assert free.item() == -1e6


class TestStridedCNN:
    def test_it_has_the_layers_that_are_given(self) -> None:
        space = spaces.Box(0, 255, (4, 105, 80), np.uint8)
        torso = StridedCNN(space, [32, 64, 64], [8, 3, 3], [4, 2, 2], hidden=512, activation="elu")
        kernels = [
            (layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride) for layer in convolutions(torso)
        ]
        assert kernels == [(4, 32, (8, 8), (4, 4)), (32, 64, (3, 3), (2, 2)), (64, 64, (3, 3), (2, 2))]
        assert sum(isinstance(layer, nn.ELU) for layer in torso.modules()) == 4
        # 105x80 -> 25x19 -> 12x9 -> 5x4
        assert sum(value.numel() for value in torso.parameters()) == (
            (4 * 64 + 1) * 32 + (32 * 9 + 1) * 64 + (64 * 9 + 1) * 64 + (64 * 5 * 4 + 1) * 512
        )
        assert torso(torch.zeros(2, 4, 105, 80, dtype=torch.uint8)).shape == (2, 512)

    def test_with_the_layers_of_nature_it_is_nature(self) -> None:
        nature = NatureCNN(PICTURE, hidden=16)
        torso = StridedCNN(PICTURE, [32, 64, 64], [8, 4, 3], [4, 2, 1], hidden=16, activation="relu")
        shapes = [[value.shape for value in one.state_dict().values()] for one in (nature, torso)]
        assert shapes[0] == shapes[1]
        torso.load_state_dict(dict(zip(torso.state_dict(), nature.state_dict().values(), strict=True)))
        picture = torch.randint(0, 256, (3, 84, 84, 4), dtype=torch.uint8)
        assert torch.equal(torso(picture), nature(picture))

    def test_lists_that_differ_in_length_are_refused(self) -> None:
        with pytest.raises(
            UsageError, match=r"network\.channels are 2, kernel_sizes 1 and strides 2; give each layer one"
        ):
            StridedCNN(PICTURE, [8, 8], [3], [1, 1], hidden=16, activation="relu")

    def test_it_says_how_large_pictures_must_be(self) -> None:
        """One pixel of the last layer is 3 of the one before, those are 8 of the first, and they 36."""
        layers: Any = [32, 64, 64], [8, 4, 3], [4, 2, 1]
        with pytest.raises(UsageError, match=r"network=strided needs images of at least 36x36, not \(4, 35, 40\)"):
            StridedCNN(spaces.Box(0, 255, (4, 35, 40), np.uint8), *layers, hidden=16, activation="relu")
        torso = StridedCNN(spaces.Box(0, 255, (4, 36, 36), np.uint8), *layers, hidden=16, activation="relu")
        assert torso.features == 16


def convolutions(torso: nn.Module) -> list[nn.Conv2d]:
    return [layer for layer in torso.modules() if isinstance(layer, nn.Conv2d)]
