"""Actions of several kinds at once: beside torch's distributions of the parts, and learned."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import distributions

import rlkit
from rlkit.core import tree
from rlkit.core.types import UsageError
from rlkit.networks import action_distribution

ALL_KINDS = spaces.Dict(
    turn=spaces.Discrete(3),
    force=spaces.Box(np.array([-2.0, 0.0], np.float32), np.array([2.0, 1.0], np.float32)),
    inner=spaces.Tuple((spaces.MultiBinary(2), spaces.MultiDiscrete([2, 4]), spaces.Box(0, 5, (2, 1), np.int64))),
)
# 3 logits, 2 means, 2 switches, 2 and 4 logits, 2 means; then 2 and 2 logarithms of standard deviations.
HEADS = 3 + 2 + 2 + 6 + 2
CHOICES = spaces.Tuple((spaces.Discrete(3), spaces.MultiBinary(1), spaces.MultiDiscrete([2, 2])))


def drawn(space: Any, n: int, *, squash: bool = False) -> tuple[Any, torch.Tensor, torch.Tensor]:
    ours = action_distribution(space, squash=squash)
    parameters = torch.randn(1, ours.parameters, generator=torch.Generator().manual_seed(1)).expand(n, -1)
    return ours, parameters, ours.sample(parameters, torch.from_numpy(ours.noise(n, np.random.default_rng(0))))


def normal(mean: torch.Tensor, log_std: torch.Tensor) -> Any:
    return distributions.Independent(distributions.Normal(mean, log_std.exp()), 1)


def test_probabilities_and_entropies_are_those_of_independent_parts() -> None:
    ours, parameters, sample = drawn(ALL_KINDS, 20)
    assert ours.parameters == HEADS + 4
    assert ours.log_stds == 4
    columns = [sample[:, 0], sample[:, 1:3], sample[:, 3:5], sample[:, 5], sample[:, 6], sample[:, 7:9]]
    truth = [
        distributions.Categorical(logits=parameters[:, :3]),
        normal(parameters[:, 3:5], parameters[:, HEADS : HEADS + 2]),
        distributions.Independent(distributions.Bernoulli(logits=parameters[:, 5:7]), 1),
        distributions.Categorical(logits=parameters[:, 7:9]),
        distributions.Categorical(logits=parameters[:, 9:13]),
        normal(parameters[:, 13:15], parameters[:, HEADS + 2 :]),
    ]
    log_prob = sum(one.log_prob(column) for one, column in zip(truth, columns, strict=True))
    torch.testing.assert_close(ours.log_prob(parameters, sample), log_prob)
    torch.testing.assert_close(ours.entropy(parameters), sum(one.entropy() for one in truth))


def test_actions_are_rows_of_the_space_and_the_mode_is_the_parts_own() -> None:
    ours, parameters, sample = drawn(ALL_KINDS, 50)
    actions = ours.actions(sample.numpy())
    assert all(ALL_KINDS.contains(_own(tree.take(actions, i))) for i in range(50))
    assert actions["turn"].dtype == np.int64
    mode = ours.actions(ours.mode(parameters).numpy())
    assert mode["turn"][0] == parameters[0, :3].argmax()
    assert np.allclose(mode["force"][0], np.clip(parameters[0, 3:5].numpy(), [-2, 0], [2, 1]))


def _own(row: Any) -> Any:
    """Return a row with its discrete part as Gymnasium's spaces want it."""
    return {**row, "turn": int(row["turn"])}


def test_parts_are_drawn_independently() -> None:
    ours, parameters, sample = drawn(CHOICES, 30_000)
    first, second, third = ours.actions(sample.numpy())
    found = Counter(zip(first.tolist(), second[:, 0].tolist(), third[:, 1].tolist(), strict=True))
    p = [parameters[0, :3].softmax(0), parameters[0, 3:4].sigmoid(), parameters[0, 6:8].softmax(0)]
    for (a, b, c), times in found.items():
        expected = float(p[0][a] * (p[1][0] if b else 1 - p[1][0]) * p[2][c])
        assert abs(times / 30_000 - expected) < 5 * (expected / 30_000) ** 0.5


def test_each_part_has_its_own_flags_of_a_mask() -> None:
    ours, parameters, _ = drawn(CHOICES, 200)
    legal = torch.tensor([[False, True, False, False, True, True, False, False, True]]).expand(200, -1)
    masked = ours.masked(parameters, legal)
    sample = ours.sample(masked, torch.from_numpy(ours.noise(200, np.random.default_rng(0))))
    first, second, third = ours.actions(sample.numpy())
    assert set(first.tolist()) == {1}
    assert set(second[:, 0].tolist()) == {1}
    assert set(map(tuple, third.tolist())) == {(0, 1)}
    assert ours.masked(parameters, None) is parameters


def test_squashing_is_for_the_numbers_among_the_parts() -> None:
    ours, parameters, sample = drawn(spaces.Tuple((spaces.Discrete(2), spaces.Box(0, 1, (1,)))), 20, squash=True)
    inside = ours.actions(sample.numpy())[1]
    assert np.allclose(inside, (np.tanh(sample[:, 1:].numpy()) + 1) / 2, atol=1e-6)
    assert torch.isfinite(ours.log_prob(parameters, sample)).all()
    with pytest.raises(UsageError, match=r"squash=true is for Box actions, not Discrete"):
        action_distribution(CHOICES, squash=True)
    with pytest.raises(UsageError, match=r"squash=true needs bounds"):
        action_distribution(spaces.Dict(a=spaces.Box(-np.inf, np.inf, (1,))), squash=True)


class Match(gymnasium.Env[Any, Any]):
    """Pays 1 for the shown key, and as much again for the shown number: a policy of one part alone makes half."""

    state_fields = ("_shown", "_steps")
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Dict(key=spaces.Discrete(2, start=3), number=spaces.Box(-1, 1, (1,)))

    def _show(self) -> np.ndarray[Any, Any]:
        self._shown = np.array([self.np_random.choice([-1, 1]), self.np_random.uniform(-1, 1)], np.float32)
        return self._shown.copy()

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._steps = 0
        return self._show(), {}

    def step(self, action: Any) -> Any:
        assert action in self.action_space
        right = float(action["key"] == (4 if self._shown[0] > 0 else 3))
        reward = right / 10 + max(0.0, 1 - abs(float(action["number"][0]) - float(self._shown[1]))) / 10
        self._steps += 1
        return self._show(), reward, False, self._steps == 10, {}


gymnasium.register("Match-v0", Match)
WORDS = ["env=gym", "env.id=Match-v0", "tuned=none", "logger=[csv]", "eval.every=0"]


def test_ppo_learns_both_parts(tmp_path: Path) -> None:
    run = rlkit.train(
        *("agent=ppo", *WORDS, "total_steps=3000", "num_envs=4", "agent.n_steps=64", "agent.batch_size=64"),
        *("agent.learning_rate=0.005", "agent.anneal=false", "agent.gamma=0.5", "video=none"),
        run_dir=str(tmp_path / "run"),
    )
    # The mean of a number beside a uniform one is 0.5, of a drawn key 0.5: chance makes 1.0, both parts 2.
    assert run.evaluate(20)["return/raw"]["mean"] > 1.7


@pytest.mark.parametrize("agent", ["a2c", "ppo", "reinforce", "actor_critic", "es", "random"])
def test_every_policy_trains_and_resumes_exactly(agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    steps = ["agent.n_steps=8", "agent.anneal=false"] if agent in ("a2c", "ppo") else []
    words = [f"agent={agent}", *WORDS, *steps, "checkpoint.every=20", "checkpoint.keep=5", "video=none"]
    rlkit.train(*words, "total_steps=60", "name=whole")
    rlkit.train(*words, "total_steps=40", "name=parted")
    rlkit.train("resume=runs/parted", "total_steps=60")
    whole, parted = (rlkit.load(f"runs/{name}") for name in ("whole", "parted"))
    assert np.array_equal(whole.episodes["return/raw"], parted.episodes["return/raw"])
    assert parted.policy()(np.zeros(2, np.float32)) in Match.action_space
