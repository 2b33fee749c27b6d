"""Agents that learn together: a central critic, and values that are mixed."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import made

from rlkit.cli.main import main
from rlkit.core.joint import joint
from rlkit.core.loop import interact, train
from rlkit.core.types import UsageError
from rlkit.envs.two_step import make
from rlkit.networks import MonotonicMixer, SumMixer
from rlkit.runs.run import Run
from rlkit.vector.vector import VectorEnvironment

DECOMPOSED = (
    "env=two_step num_envs=4 network.hidden=[32] agent.learning_starts=100 agent.batch_size=32 agent.target_every=50 "
    "agent.learning_rate=0.005 schedule@agent.epsilon=constant agent.epsilon.value=1"
)


def two_step(games: int) -> Any:
    return VectorEnvironment(lambda: make(agent_id=True, num_envs=games))


def learned(words: str, games: int, steps: int) -> Any:
    env = two_step(games)
    agent = made(words, env)
    for _ in train(agent, interact(agent, env, explore=True, rng=np.random.default_rng(0)), total_steps=steps):
        pass
    return agent


def joint_values(agent: Any, state: int) -> dict[tuple[int, int], float]:
    """Return what an agent holds the four joint actions in a state to be worth."""
    seen = np.zeros((1, 2, 5), np.float32)
    seen[0, :, state], seen[0, 0, 3], seen[0, 1, 4] = 1, 1, 1
    with torch.no_grad():
        values = agent.team.values(torch.from_numpy(seen[0]), (1, 2))[0]
        return {
            (a, b): agent.team.mixer(
                torch.stack([values[0, a], values[1, b]])[None], torch.from_numpy(seen).flatten(1)
            ).item()
            for a, b in product((0, 1), repeat=2)
        }


@pytest.mark.slow
def test_qmix_finds_8_and_vdn_only_7(tmp_path: Path) -> None:
    # Full exploration, as in the paper: 20,000 decisions are 5,000 games.
    for agent, won in (("vdn", 7.0), ("qmix", 8.0)):
        for seed in range(3):
            folder = tmp_path / f"{agent}{seed}"
            words = f"train agent={agent} seed={seed} {DECOMPOSED} total_steps=20000 eval.every=0 video=none logger=csv"
            assert main([*words.split(), f"run_dir={folder}"]) == 0
            assert Run(folder).evaluate(episodes=4, checkpoint="last")["return/raw"]["mean"] == won


def test_qmix_learns_what_the_second_games_pay() -> None:
    agent = learned(f"agent=qmix {DECOMPOSED}", 4, 5000)
    found = joint_values(agent, 2)
    assert found[1, 1] == pytest.approx(8, abs=0.8)
    assert max(found[0, 0], found[0, 1], found[1, 0]) < 2.5
    assert all(value == pytest.approx(7, abs=0.8) for value in joint_values(agent, 1).values())


def test_vdn_cannot_say_what_the_second_game_pays() -> None:
    found = joint_values(learned(f"agent=vdn {DECOMPOSED}", 4, 4000), 2)
    # The best sum of two values for 0, 1, 1 and 8 by least squares: -1.5, 2.5, 2.5 and 6.5.
    assert [found[pair] for pair in ((0, 0), (0, 1), (1, 0), (1, 1))] == pytest.approx([-1.5, 2.5, 2.5, 6.5], abs=1.0)


class TestMixers:
    def test_a_sum(self) -> None:
        assert SumMixer()(torch.tensor([[1.0, 2], [3, -4]]), None).tolist() == [3, -1]

    def test_a_mixture_rises_in_every_value(self) -> None:
        torch.manual_seed(0)
        mixer = MonotonicMixer(spaces.Box(-1, 1, (4,)), 3, hidden=8)
        values = torch.randn(50, 3, requires_grad=True)
        mixer(values, torch.randn(50, 12)).sum().backward()
        assert values.grad is not None
        assert (values.grad >= 0).all()
        assert (values.grad > 0).any(0).all()

    def test_a_mixture_by_hand(self) -> None:
        mixer = MonotonicMixer(spaces.Box(-1, 1, (1,)), 2, hidden=1)
        with torch.no_grad():
            for parameter in mixer.parameters():
                parameter.zero_()
            mixer.first.bias.copy_(torch.tensor([2.0, -3.0]))  # taken absolute
            mixer.first_bias.bias.fill_(-1.0)
            mixer.second.bias.fill_(-2.0)
            mixer.second_bias[2].bias.fill_(5.0)
        # elu(2 * 1 + 3 * 2 - 1) = 7, times 2, plus 5.
        assert mixer(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)).tolist() == [19.0]

    def test_observations_that_are_no_vectors_are_refused(self) -> None:
        with pytest.raises(UsageError, match="take agent=vdn"):
            MonotonicMixer(spaces.Discrete(3), 2, hidden=8)


def test_steps_of_games_are_stored() -> None:
    env = two_step(2)
    agent = made("agent=vdn env=two_step num_envs=2 network.hidden=[4]", env)
    stream = interact(agent, env, explore=False, rng=np.random.default_rng(0))
    for _ in range(3):
        agent.observe(next(stream))
    # Two steps of each game; the third of the environment only began the next ones.
    assert len(agent._replay) == 4
    batch = agent._replay.everything()
    assert batch.observation.shape == (4, 2, 5)
    assert batch.action.shape == (4, 2)
    assert sorted(batch.discount.tolist()) == [0, 0, 1, 1]


def test_a_team_goes_on_while_one_of_it_does() -> None:
    env = two_step(1)
    agent = made("agent=vdn env=two_step network.hidden=[4]", env)
    step = next(interact(agent, env, explore=False, rng=np.random.default_rng(0)))
    died = step._replace(
        reward=np.float32([2, 6]),
        discount=np.float32([0, 1]),
        last=np.array([True, False]),
        valid=np.array([True, True]),
    )
    game = agent._of_games(died)
    assert (game.reward.tolist(), game.discount.tolist(), game.last.tolist()) == ([4], [1], [False])
    alone = agent._of_games(died._replace(valid=np.array([False, True]), last=np.array([True, True])))
    assert (alone.reward.tolist(), alone.last.tolist(), alone.valid.tolist()) == ([6], [True], [True])


class TestCentralCritic:
    def test_it_acts_by_the_own_observation_and_values_by_all(self) -> None:
        agent = made("agent=mappo env=two_step num_envs=2 network.hidden=[8]", two_step(2))
        own = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
        other = own.copy()
        other[1] += 1
        seen = [{"own": torch.from_numpy(rows), "joint": torch.from_numpy(joint(rows, 2))} for rows in (own, other)]
        outputs = [agent.network(one, torch.zeros(4, 0)) for one in seen]
        changed = [(first != second).reshape(4, -1).any(1).tolist() for first, second in zip(*outputs, strict=True)][:2]
        assert changed == [[False, True, False, False], [True, True, False, False]]
        decided, values, _ = agent.network.decide(torch.from_numpy(own), torch.zeros(4, 0))
        assert torch.equal(decided, outputs[0].parameters)
        assert values is None

    def test_it_learns_to_coordinate(self) -> None:
        words = (
            "agent=mappo env=two_step num_envs=8 total_steps=6000 network.hidden=[32] agent.batch_size=64 "
            "agent.learning_rate=0.003 agent.entropy_weight=0.02"
        )
        agent, env = learned(words, 8, 6000), two_step(1)
        stream = interact(agent, env, explore=False, rng=np.random.default_rng(0))
        assert [next(stream).reward.tolist() for _ in range(2)][1][0] >= 7
