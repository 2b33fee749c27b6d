"""A torso can be any module that has `forward` and says how wide its features are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

import rlkit
from rlkit.core.types import FromRun, UsageError
from rlkit.networks import MLP, ActorCritic, PolicyValue, QNetwork, as_torso
from rlkit.networks.return_distributions import Expected

NUMBERS = spaces.Box(-1, 1, (3,), np.float64)


class Plain(nn.Module):
    """One layer and nothing that rlkit asks for but `features`."""

    def __init__(self, observation_space: FromRun[spaces.Space[Any]], width: int):
        super().__init__()
        assert observation_space.shape is not None
        self.layer = nn.Linear(observation_space.shape[0], width)
        self.features = width

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).tanh()  # type: ignore[no-any-return]


def q_network(torso: nn.Module, **options: Any) -> QNetwork:
    return QNetwork(
        torso,
        NUMBERS,
        spaces.Discrete(2),
        **{"distribution": Expected(), "dueling": False, "noisy": False, "noise_scale": 0.5, **options},
    )


def test_action_values_are_linear_in_its_features() -> None:
    torso = Plain(NUMBERS, 5)
    network, x = q_network(torso), torch.rand(4, 3, dtype=torch.float64)
    head = network.actions[1]
    expected = torso.layer(x.float()).tanh() @ head.weight.T + head.bias
    torch.testing.assert_close(network(x)[:, :, 0], expected)


@pytest.mark.parametrize("options", [{"dueling": True}, {"noisy": True}, {"dueling": True, "noisy": True}])
def test_streams_and_noise_have_heads_of_their_own(options: dict[str, bool]) -> None:
    network = q_network(Plain(NUMBERS, 5), **options)
    network(torch.rand(4, 3), torch.randn(1, network.noise_size)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_policies_and_values_take_it() -> None:
    values = rlkit.defaults("policy_network/actor_critic")
    network = ActorCritic(Plain(NUMBERS, 5), Plain(NUMBERS, 7), NUMBERS, spaces.Discrete(2), **values)
    outputs = network(torch.rand(4, 3), torch.zeros(4, 0))
    assert (outputs.parameters.shape, outputs.values.shape) == ((4, 2), (4,))
    logits, value = PolicyValue(Plain(NUMBERS, 5), NUMBERS, spaces.Discrete(2))(torch.rand(4, 3))
    assert (logits.shape, value.shape) == ((4, 2), (4,))


class Pair(nn.Module):
    """Any observation as two features."""

    features = 2

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)[:, :1].repeat(1, 2)


def test_bytes_are_scaled_and_indices_are_their_numbers() -> None:
    for highest in (255, 1, 6):
        reader = as_torso(Pair(), spaces.Box(0, highest, (2,), np.uint8)).reader
        assert reader(torch.tensor([[0, highest]], dtype=torch.uint8)).tolist() == [[0.0, 1.0]]
    assert as_torso(Pair(), spaces.Discrete(9)).reader(torch.tensor([7])).tolist() == [7.0]


def test_a_torso_stays_itself() -> None:
    torso = MLP(NUMBERS, **rlkit.defaults("network/mlp"))
    assert as_torso(torso, NUMBERS) is torso


@pytest.mark.parametrize("module", [nn.Linear(3, 5), nn.Sequential(nn.Linear(3, 5))])
def test_without_a_width_the_remedy_is_named(module: nn.Module) -> None:
    with pytest.raises(UsageError, match=r"is no torso: set self\.features in its constructor"):
        as_torso(module, NUMBERS)


@pytest.mark.parametrize(
    "agent",
    [("agent=dqn", "agent.learning_starts=40"), ("agent=a2c", "agent.anneal=false")],
    ids=lambda words: words[0],
)
def test_a_run_with_it_resumes_exactly(agent: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/network").mkdir(parents=True)
    (tmp_path / "mine/network/plain.yaml").write_text(f"_target_: {__name__}.Plain\nwidth: 8\n")
    often = ("eval.every=0", "checkpoint.every=100", "log.every=50", "video=none")
    words = (*agent, "network=plain", "tuned=none", f"hydra.searchpath=[file://{tmp_path}/mine]", *often)
    whole = rlkit.train(*words, name="whole", total_steps=200)
    rlkit.train(*words, name="parts", total_steps=100)
    parts = rlkit.train(resume="runs/parts", total_steps=200, trust=__name__)
    for file in ("metrics.csv", "episodes.csv"):
        assert (whole.directory / file).read_bytes() == (parts.directory / file).read_bytes()


def test_an_option_that_a_tuned_file_sets_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine/network").mkdir(parents=True)
    (tmp_path / "mine/network/plain.yaml").write_text(f"_target_: {__name__}.Plain\nwidth: 8\n")
    words = ("agent=dqn", "env=cartpole", "network=plain", f"hydra.searchpath=[file://{tmp_path}/mine]", "video=none")
    remedy = r"hidden is not an option of Plain; .*; conf/tuned/dqn_cartpole\.yaml sets it: tuned=none leaves that"
    with pytest.raises(UsageError, match=remedy):
        rlkit.train(*words, total_steps=100)
    with pytest.raises(UsageError, match=r"depth is not an option of Plain; did you mean width\?$"):
        rlkit.train(*words, "tuned=none", "+network.depth=2", total_steps=100)
    assert not list(tmp_path.glob("runs/*"))


class Wrong(Plain):
    """Says another width than it returns, or does not return at all."""

    def __init__(self, observation_space: Any, width: int, features: int):
        super().__init__(observation_space, width)
        self.features = features
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(super().forward(x))  # type: ignore[no-any-return]


class Own(MLP):
    """A torso of rlkit's kind, with another top than it says."""

    def __init__(self) -> None:
        super().__init__(NUMBERS, [4], "relu", False)
        self.features = 5


class Flat(nn.Module):
    features = 3

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten()


MISMATCH = [
    (
        Wrong(NUMBERS, 32, 33),
        r"^Wrong: its forward returns \[2, 32\] for two observations, and its features is 33",
    ),
    (Own(), r"^Own: its forward returns \[2, 4\] for two observations, and its features is 5; let it return \[B, 5\]"),
    (Flat(), r"^Flat: its forward returns \[6\] for two observations"),
    (Wrong(spaces.Box(-1, 1, (9,)), 3, 3), r"^Wrong: its forward raised RuntimeError: mat1 and mat2 .* batch of two"),
]


@pytest.mark.parametrize(("torso", "says"), MISMATCH)
def test_features_that_are_others_than_it_says_are_refused_before_training(torso: nn.Module, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        as_torso(torso, NUMBERS)


def test_looking_at_the_features_leaves_no_trace() -> None:
    torso = nn.Sequential(nn.Dropout(), Wrong(NUMBERS, 4, 4))
    torso.features = 4  # type: ignore[assignment]
    torso[0].eval()
    before, generator = {k: v.clone() for k, v in torso.state_dict().items()}, torch.get_rng_state()
    as_torso(torso, NUMBERS)
    assert all(torch.equal(value, before[name]) for name, value in torso.state_dict().items())
    assert torch.equal(torch.get_rng_state(), generator)
    assert [torso.training, torso[0].training, torso[1].training] == [True, False, True]


class Forgetful(nn.Module):
    def __init__(self, observation_space: FromRun[spaces.Space[Any]]):
        self.layer = nn.Linear(4, 2)
        self.features = 2


def test_a_forgotten_constructor_of_the_base_is_named() -> None:
    words = ("agent=dqn", f"network={__name__}:Forgetful", "total_steps=4", "video=none", "eval.every=0", "tuned=none")
    with pytest.raises(UsageError, match=r"^network: the constructor of Forgetful must begin with super\(\)\.__init__"):
        rlkit.train(*words)
