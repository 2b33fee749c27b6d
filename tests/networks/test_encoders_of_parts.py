"""An encoder for each part of an observation, and where the channels of images are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import made
from torch import Tensor, nn

from rlkit.core import tree
from rlkit.core.spaces import space_tree
from rlkit.core.texts import Tokens, Words
from rlkit.core.types import UsageError
from rlkit.networks import (
    MLP,
    ActorCritic,
    Embedding,
    ImpalaCNN,
    Joined,
    NatureCNN,
    QNetwork,
    ResidualBoard,
    SmallCNN,
    SymbolGrid,
    TextEncoder,
    Torso,
    auto,
    channels_last,
    split_rows,
    to_tensor,
)
from rlkit.networks.return_distributions import Expected
from rlkit.networks.tensors import flattened_steps
from rlkit.vector.serial import SerialEnvironment
from toys import Nested

OPTIONS: Any = ([8, 6], "tanh", False)
PARTS = {
    "large": spaces.Box(0, 255, (40, 36, 3), np.uint8),
    "medium": spaces.Box(0, 255, (3, 22, 24), np.uint8),
    "little": spaces.Box(0, 255, (8, 9, 3), np.uint8),
    "board": spaces.Box(0, 1, (3, 5, 5), np.uint8),
    "mask": spaces.Box(0, 1, (7,), np.uint8),
    "vector": spaces.Box(-1, 1, (4,)),
    "few": spaces.Discrete(5),
    "choices": spaces.MultiDiscrete([3, 4]),
    "many": spaces.Discrete(65),
    "flags": spaces.MultiBinary(3),
    "text": Tokens(6, 50),
}
WHOLE = spaces.Dict([("inner", spaces.Tuple([PARTS["vector"], PARTS["few"]])), *PARTS.items()])
KINDS = {
    **{"large": NatureCNN, "medium": SmallCNN, "little": ImpalaCNN, "board": ResidualBoard, "mask": MLP},
    **{"vector": MLP, "few": MLP, "choices": MLP, "many": Embedding, "flags": MLP, "text": TextEncoder},
}


def sampled(space: Any, n: int = 4) -> Any:
    space.seed(1)
    drawn = [space.sample() for _ in range(n)]
    return tree.map(torch.as_tensor, tree.stack(drawn))


def encoders(torso: Torso) -> list[Any]:
    return list(torso.body.encoders)


def test_each_part_has_the_encoder_of_its_kind() -> None:
    torso = auto(WHOLE, *OPTIONS, joint=10)
    assert isinstance(torso, Joined)
    assert [type(one) for one in encoders(torso)] == [MLP, MLP, *KINDS.values()]
    assert torso.features == 10
    assert torso(sampled(WHOLE)).shape == (4, 10)
    one_hot = encoders(torso)[1]
    assert one_hot.features == 5
    assert torch.equal(one_hot(torch.tensor([3])), torch.eye(5)[3:4])


def test_features_of_all_parts_are_joined_before_the_top() -> None:
    torso, shown = auto(WHOLE, *OPTIONS, joint=10), sampled(WHOLE)
    flat = [shown["inner"][0], shown["inner"][1], *(shown[name] for name in PARTS)]
    features = torch.cat([one(part) for one, part in zip(encoders(torso), flat, strict=True)], 1)
    assert torch.equal(torso(shown), torso.top(features))


def test_only_images_are_scaled_and_only_once() -> None:
    torso = auto(WHOLE, *OPTIONS)
    full = tree.map(lambda part: torch.as_tensor(np.full((1, *part.shape), high(part), part.dtype)), space_tree(WHOLE))
    read = dict(zip(["v", "f", *PARTS], torso.reader(full), strict=True))
    assert {name: float(read[name].max()) for name in ("large", "medium", "little", "board", "mask", "vector")} == {
        **dict.fromkeys(("large", "medium", "little", "board", "mask"), 1.0),
        "vector": 1.0,
    }
    assert float(SymbolGrid(PARTS["little"], 4, 4, 4).reader(full["little"]).max()) == 3 * 256 - 1


def high(part: Any) -> Any:
    return part.high.max() if isinstance(part, spaces.Box) else 0


class Plain(nn.Module):
    """A module of anybody's, whose input is a tree of floats."""

    def __init__(self) -> None:
        super().__init__()
        self.features = 2

    def forward(self, x: Any) -> Tensor:
        return torch.stack([x[0].sum(1), x[1]], 1)


def test_modules_of_ones_own_are_encoders_also_of_parts_that_are_tuples() -> None:
    torso = auto(WHOLE, *OPTIONS, encoders={"inner": Plain(), "large": MLP(PARTS["large"], [3], "relu", False)})
    shown = sampled(WHOLE)
    first, second, *others = encoders(torso)
    assert (first.features, second.features, len(others)) == (2, 3, len(PARTS) - 1)
    expected = torch.stack([shown["inner"][0].sum(1), shown["inner"][1].float()], 1)
    assert torch.equal(torso.body(torso.reader(shown))[:, :2], expected)


def test_a_module_of_ones_own_reads_the_whole_tree() -> None:
    space = spaces.Tuple([PARTS["vector"], PARTS["few"]])
    network = QNetwork(
        Plain(),
        space,
        spaces.Discrete(3),
        distribution=Expected(),
        dueling=False,
        noisy=False,
        noise_scale=0.5,
    )
    assert network(sampled(space)).shape == (4, 3, 1)


def test_encoders_without_parts_and_parts_without_encoders_are_named() -> None:
    with pytest.raises(UsageError, match=r"no part 'imag'; name one of its parts: inner/0, inner/1, large,"):
        auto(WHOLE, *OPTIONS, encoders={"imag": Plain()})
    with pytest.raises(UsageError, match=r"network.encoders is for Dict and Tuple observations, not Box"):
        auto(PARTS["vector"], *OPTIONS, encoders={"x": Plain()})
    with pytest.raises(UsageError, match=r"network.encoders lacks one for b; every part needs an encoder"):
        Joined(spaces.Dict(a=PARTS["vector"], b=PARTS["few"]), {"a": MLP(PARTS["vector"], *OPTIONS)}, 4, "relu")
    for torso, line in ((Embedding, "discrete"), (TextEncoder, "texts"), (SymbolGrid, "grids")):
        with pytest.raises(UsageError, match=f"needs {line}"):
            torso(PARTS["vector"], **dict(OWN)[torso])
    with pytest.raises(UsageError, match=r"network=mlp needs numbers, not the texts of Tokens\(6, 50\); network=auto"):
        MLP(PARTS["text"], *OPTIONS)


OWN: Any = [
    (Embedding, {"size": 2}),
    (TextEncoder, {"size": 2, "hidden": 3, "pooling": "gru"}),
    (SymbolGrid, {"size": 2, "filters": 2, "hidden": 2}),
]


def test_options_of_a_part_are_given_in_yaml_and_on_the_command_line() -> None:
    env = SerialEnvironment([lambda: Nested(spaces.Discrete(3))])
    node = "{_target_:rlkit.networks.MLP,hidden:[7],activation:tanh,layer_norm:false}"
    agent = made(f"agent=dqn network.encoders={{image:{node},where/0:{node}}}", env)
    assert [one.features for one in encoders(agent.network)] == [7, 32, 7, 64, 17]
    agent = made("agent=ppo +network@network.encoders.image=mlp network.encoders.image.hidden=[5]", env)
    assert [one.features for one in agent.network.policy_torso[0].encoders] == [64, 32, 5, 64, 17]


class TestTexts:
    def test_neither_what_follows_a_text_nor_the_texts_beside_it_matter(self) -> None:
        encoder = TextEncoder(Tokens(9, 50), size=4, hidden=5, pooling="gru")
        text = torch.tensor([[3, 7, 9, 0, 0, 0, 0, 0, 0]], dtype=torch.int16)
        others = torch.tensor([[3, 7, 9, 2, 2, 2, 2, 2, 2], [0] * 9], dtype=torch.int16)
        together = encoder(torch.cat([text, others]))
        assert torch.allclose(together[:1], encoder(text), atol=1e-6)
        assert not torch.allclose(together[0], together[1], atol=1e-3)
        assert torch.equal(together[2], torch.zeros(5))

    @pytest.mark.parametrize(("pooling", "same"), [("gru", False), ("mean", True)])
    def test_the_order_of_words_matters_to_a_gru(self, pooling: Any, same: bool) -> None:
        words = Words(5)
        encoder = TextEncoder(words.space, size=4, hidden=5, pooling=pooling)
        first, second = (encoder(torch.as_tensor(words(text))[None]) for text in ("put red on blue", "put blue on red"))
        assert torch.allclose(first, second, atol=1e-5) == same
        assert first.shape == (1, 5)

    def test_a_gru_computes_what_torchs_own_does(self) -> None:
        features = TextEncoder(Tokens(4, 9), size=3, hidden=5, pooling="gru").body
        gru = nn.GRU(3, 5, batch_first=True)
        gru.load_state_dict({f"{name}_l0": value for name, value in features.cell.state_dict().items()})
        tokens = torch.tensor([[1, 4, 8, 2]])
        assert torch.allclose(features(tokens), gru(features.tokens(tokens))[1][0], atol=1e-6)


def test_an_embedding_has_numbers_for_each_value_of_each_choice() -> None:
    embedding = Embedding(spaces.MultiDiscrete([[3], [4]]), size=2)
    table = embedding.body[0].weight
    assert table.shape == (7, 2)
    assert torch.equal(embedding(torch.tensor([[[2], [1]]])), torch.cat([table[2], table[4]])[None])


def test_symbols_of_a_cell_are_looked_up_by_channel_and_added() -> None:
    grid = SymbolGrid(spaces.Box(0, 9, (2, 3, 2), np.uint8), size=4, filters=3, hidden=5)
    cells, table = torch.randint(0, 10, (1, 2, 3, 2), dtype=torch.uint8), grid.body[0].table.weight
    summed = grid.body[0](grid.reader(cells))
    expected = table[int(cells[0, 1, 2, 0])] + table[10 + int(cells[0, 1, 2, 1])]
    assert torch.equal(summed[0, :, 1, 2], expected)
    assert grid(cells).shape == (1, 5)


class TestChannelOrder:
    @pytest.mark.parametrize("order", ["first", "last"])
    def test_a_network_reads_both_layouts_alike(self, order: str) -> None:
        shape = (3, 20, 24) if order == "first" else (20, 24, 3)
        torsos = [SmallCNN(spaces.Box(0, 255, shape, np.uint8), 8, channel_order=one) for one in (order, "auto")]
        torsos[1].load_state_dict(torsos[0].state_dict())
        image = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)
        assert torch.equal(torsos[0](image), torsos[1](image))
        assert torsos[0].reader.channels == 3

    def test_the_option_settles_what_a_shape_does_not_say(self) -> None:
        space = spaces.Box(0, 255, (24, 20, 22), np.uint8)
        first, last = (SmallCNN(space, 8, channel_order=order).reader for order in ("first", "last"))
        assert (first.channels, first.size) == (24, (20, 22))
        assert (last.channels, last.size) == (22, (24, 20))
        with pytest.warns(UserWarning, match=r"\[24, 20, 22\] do not say which axis.*last is taken: set network.chan"):
            assert SmallCNN(space, 8).reader.channels == 22
        with pytest.raises(UsageError, match=r"network.channel_order is 'front'; it must be one of auto, first, last"):
            SmallCNN(space, 8, channel_order="front")

    @pytest.mark.parametrize(
        ("shape", "last"), [((4, 84, 84), False), ((84, 84, 3), True), ((7, 7, 3), True), ((1, 1, 1), True)]
    )
    def test_the_shortest_axis_needs_no_word(self, shape: tuple[int, ...], last: bool) -> None:
        assert channels_last(shape) == last

    def test_it_reaches_the_images_among_the_parts(self) -> None:
        space = spaces.Dict(image=spaces.Box(0, 255, (24, 20, 22), np.uint8), vector=PARTS["vector"])
        torso = auto(space, *OPTIONS, channel_order="first")
        assert torso.body.encoders[0].reader.channels == 24


def network(space: Any, **options: Any) -> ActorCritic:
    torsos = [auto(space, *OPTIONS) for _ in range(2)]
    plain: Any = {
        **{"shared": "auto", "action_values": False, "recurrent": "none", "recurrent_size": 1, "orthogonal": False},
        **{"squash": False, "log_std": 0.0, "standardize": False},
    }
    return ActorCritic(*torsos, space, spaces.Discrete(3), **{**plain, **options})


def test_numbers_among_the_parts_are_standardized_and_nothing_else() -> None:
    actor_critic = network(WHOLE, standardize=True)
    assert actor_critic.standardize is not None
    for part in actor_critic.standardize.parts:
        part.mean.fill_(2.0)
        part.inverse_std.fill_(0.5)
    shown = sampled(WHOLE)
    scaled = actor_critic.standardize(shown)
    assert torch.equal(scaled["inner"][0], (shown["inner"][0] - 2) / 2)
    changed = [name for name in PARTS if not torch.equal(scaled[name].float(), shown[name].float())]
    assert changed == ["board", "mask", "vector"]
    assert len(actor_critic.standardize.select(shown)) == 4
    with pytest.raises(UsageError, match=r"standardize=true is for numbers, not Dict"):
        network(spaces.Dict(image=PARTS["large"], few=PARTS["few"]), standardize=True)


@pytest.mark.parametrize(
    ("names", "shared"), [(["vector", "few"], False), (["large", "few"], True), (["text", "few"], True)]
)
def test_values_share_the_torso_where_there_are_images_or_texts(names: list[str], shared: bool) -> None:
    assert (network(spaces.Dict({name: PARTS[name] for name in names})).value_torso is None) == shared


def test_trees_of_tensors_are_split_and_flattened_as_their_leaves_are() -> None:
    rows = torch.arange(24).view(6, 4)
    column = {"a": rows, "b": (rows[:, 0],)}
    split = split_rows(column, 2)
    assert [part["a"][:, 0].tolist() for part in split] == [[0, 4], [8, 12], [16, 20]]
    assert [part["b"][0].tolist() for part in split] == [[0, 4], [8, 12], [16, 20]]
    steps = tree.map(lambda leaf: leaf.view(2, 3, *leaf.shape[1:]), column)
    assert torch.equal(flattened_steps(steps)["a"], rows)
    assert torch.equal(flattened_steps(rows.view(2, 3, 4)), rows)
    arrays = {"a": np.ones((2, 3)), "b": (np.zeros(2, np.int64),)}
    tensors = to_tensor(arrays, "cpu")
    assert (tensors["a"].shape, tensors["b"][0].dtype) == ((2, 3), torch.int64)
