"""Rewards for what is new: counts by hand, errors that fall where they were learned, returns that go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import made, stream_of

import rlkit
from rlkit.algorithms.policy_gradient.intrinsic import endless_gae
from rlkit.algorithms.policy_gradient.novelty import RandomNetworkDistillation, VisitCounts
from rlkit.core.csv_tables import read_table
from rlkit.core.loop import train
from rlkit.core.types import UsageError
from rlkit.networks import MLP
from rlkit.vector.serial import SerialEnvironment
from toys import Counting, assert_same

ALL = np.ones(3, bool)


def test_a_count_bonus_is_one_by_the_root_of_the_visits() -> None:
    counts = VisitCounts()
    first = counts.observe(np.array([[1, 2], [1, 2], [3, 4]]), ALL)
    np.testing.assert_allclose(first, [1, 2**-0.5, 1])
    second = counts.observe(np.array([[1, 2], [3, 4], [5, 6]]), np.array([True, False, True]))
    np.testing.assert_allclose(second, [3**-0.5, 0, 1])
    other = VisitCounts()
    other.load_state_dict(counts.state_dict())
    assert_same(other.state_dict(), counts.state_dict())
    np.testing.assert_allclose(other.observe(np.array([[1, 2], [3, 4], [9, 9]]), ALL), [4**-0.5, 2**-0.5, 1])


def test_trees_are_told_apart_by_all_of_their_parts() -> None:
    counts = VisitCounts()
    found = counts.observe({"a": np.array([1, 1, 2]), "b": np.array([[1.0], [2.0], [1.0]])}, ALL)
    assert found.tolist() == [1, 1, 1]


def distillation(space: Any, share: float) -> RandomNetworkDistillation:
    torch.manual_seed(0)
    target, predictor = (MLP(space, [32], "relu", False) for _ in range(2))
    return RandomNetworkDistillation(target, predictor, space, "cpu", share)


def test_the_error_falls_where_it_was_learned_and_stays_elsewhere() -> None:
    novelty, rng = distillation(spaces.Discrete(6), 1.0), np.random.default_rng(0)
    before = novelty.observe(np.arange(6), np.ones(6, bool))
    optimizer = torch.optim.Adam(novelty.module.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        novelty.loss(torch.tensor([0, 1, 2] * 4), rng).backward()
        optimizer.step()
    after = novelty.observe(np.arange(6), np.ones(6, bool))
    assert (after[:3] < 0.01 * before[:3]).all()
    assert (after[3:] > 5 * after[:3].max()).all()


def test_numbers_have_no_bonus_before_they_were_measured_and_then_by_their_own_scale() -> None:
    """What is a thousand times as large is the same after it was measured."""
    found = []
    for scale in (1.0, 1000.0):
        novelty = distillation(spaces.Box(-np.inf, np.inf, (2,), np.float32), 0.25)
        seen = scale * np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
        assert not novelty.observe(seen, np.ones(50, bool)).any()
        assert novelty.loss(torch.from_numpy(seen), np.random.default_rng(0)).item() == 0
        novelty.adapt()
        found.append(novelty.observe(seen, np.ones(50, bool)))
    assert found[0].all()
    np.testing.assert_allclose(*found, rtol=1e-3)


def test_the_predictor_learns_from_a_share() -> None:
    novelty, observation = distillation(spaces.Discrete(6), 0.25), torch.arange(6)
    kept = np.random.default_rng(3).random(6) < 0.25
    errors = novelty.observe(np.arange(6), np.ones(6, bool))
    assert 0 < kept.sum() < 6
    assert novelty.loss(observation, np.random.default_rng(3)).item() == pytest.approx(errors[kept].mean(), rel=1e-5)


def test_returns_of_bonuses_go_on_where_an_episode_ends() -> None:
    """The second row of the first column was no step: an environment began again there."""
    valid = np.array([[True, True], [False, True], [True, True]])
    reward = np.where(valid, [[1.0, 1.0], [9.0, 2.0], [3.0, 3.0]], 0)
    value, end = np.array([[0.5, 1.0], [7.0, 2.0], [4.0, 3.0]]), np.array([10.0, 20.0])
    found = endless_gae(value, reward, valid, end, 0.5, 1.0)
    # With a lambda of 1 returns minus values.
    assert found[:, 0].tolist() == [1 + 0.5 * (3 + 0.5 * 10) - 0.5, 0, 3 + 0.5 * 10 - 4]
    last = 3 + 0.5 * 20
    assert found[:, 1].tolist() == [1 + 0.5 * (2 + 0.5 * last) - 1, 2 + 0.5 * last - 2, last - 3]
    one_step = endless_gae(value, reward, valid, end, 0.5, 0.0)
    assert one_step[:, 0].tolist() == [1 + 0.5 * 4 - 0.5, 0, 3 + 0.5 * 10 - 4]


@pytest.mark.parametrize("agent", ["ppo", "a2c"])
@pytest.mark.parametrize("kind", ["count", "rnd"])
def test_its_state_is_restored(agent: str, kind: str) -> None:
    env = SerialEnvironment([Counting] * 2)
    words = f"agent={agent} +intrinsic@agent.intrinsic={kind} agent.n_steps=8 total_steps=300"
    learner, other = (made(words, env) for _ in range(2))
    told = [metrics for _, metrics in train(learner, stream_of(learner, env, 0), total_steps=100) if metrics]
    assert told[-1]["bonus"] > 0
    assert (told[-1]["loss/novelty"] > 0) == (kind == "rnd")
    other.load_state_dict(learner.state_dict())
    assert_same(other.state_dict(), learner.state_dict())


def test_the_weight_of_what_is_new_may_be_0_and_then_the_agent_learns_as_without() -> None:
    env, found = SerialEnvironment([Counting] * 2), []
    for more in ("", "+intrinsic@agent.intrinsic=count agent.intrinsic.weight=0"):
        agent = made(f"agent=a2c agent.n_steps=8 {more} total_steps=300", env)
        batches: list[Any] = []
        agent._learn = lambda batch, batches=batches: batches.append(batch.advantage.clone()) or {}
        agent.network.load_state_dict({name: torch.full_like(p, 0.1) for name, p in agent.network.state_dict().items()})
        for _ in train(agent, stream_of(agent, env, 0), total_steps=16):
            pass
        found.append(batches[0])
    assert torch.equal(*found)


def test_a_number_out_of_its_range_is_refused() -> None:
    with pytest.raises(UsageError, match=r"agent.intrinsic.gamma is 1.5"):
        made(
            "agent=ppo +intrinsic@agent.intrinsic=count agent.intrinsic.gamma=1.5 total_steps=99",
            SerialEnvironment([Counting]),
        )


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "solved"), [("count", True), ("rnd", True), ("", False)])
def test_the_deep_sea_of_10_rows_is_solved_by_what_is_new_and_not_without(
    kind: str, solved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most 10,000 episodes; random actions find the treasure in one of 1,024."""
    monkeypatch.chdir(tmp_path)
    more = [f"+intrinsic@agent.intrinsic={kind}"] if kind else []
    run = rlkit.train("agent=ppo", "env=deep_sea", "env.mapping_seed=1", *more, seed=0, video="none", logger="[csv]")
    best = read_table(run.directory / "evaluations.csv")["return/raw"].max()
    assert (best == pytest.approx(0.99)) == solved
