"""Evolution strategies: members beside networks that are moved there, scores, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import made, stream_of

import rlkit
from rlkit.agents.es import centered_ranks
from rlkit.core.loop import train
from rlkit.core.types import UsageError
from rlkit.vector.serial import SerialEnvironment
from toys import assert_same


class Shown(gymnasium.Env[Any, Any]):
    """Shows what its space draws."""

    action_space = spaces.Discrete(3)

    def __init__(self, space: spaces.Box):
        self.observation_space = space

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 1.0, False, False, {}


SHOWN = {
    "numbers": ("network=mlp network.hidden=[8]", spaces.Box(-1, 1, (4,), np.float32)),
    "a board": ("network=residual network.filters=4 network.hidden=8", spaces.Box(0, 1, (2, 3, 4), np.float32)),
    "a picture": ("network=small network.hidden=8", spaces.Box(0, 255, (24, 20, 3), np.uint8)),
    "a stack": ("network=small network.hidden=8", spaces.Box(0, 255, (2, 24, 20, 1), np.uint8)),
    "pooled": ("network=impala network.hidden=8 network.depths=[4]", spaces.Box(0, 255, (9, 8, 3), np.uint8)),
}


@pytest.mark.parametrize("what", SHOWN)
def test_a_member_is_the_network_moved_by_its_perturbation(what: str) -> None:
    words, space = SHOWN[what]
    env = SerialEnvironment([lambda: Shown(space)] * 5)
    agent = made(f"agent=es {words} agent.network.orthogonal=false agent.population=4", env)
    observation = torch.from_numpy(env.reset([0, 1, 2, 3, 4]).observation)
    mean, noise = agent._optimizer.vector.clone(), agent.state_dict()["generation"]["noise"]
    with torch.no_grad():
        found = agent._population(agent._perturbed(), agent.network.read(observation))
        moves = [noise[0], -noise[0], noise[1], -noise[1], np.zeros_like(noise[0])]
        for i, move in enumerate(moves):
            agent._optimizer.vector.copy_(mean + 0.1 * torch.from_numpy(move))
            expected = agent.network(observation[i : i + 1], torch.zeros(1, 0)).parameters
            torch.testing.assert_close(found[i : i + 1], expected, rtol=1e-4, atol=1e-5)
    assert (found.std(0) > 1e-3).all()


def test_it_trains_on_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = "agent=es env=catch env.rows=5 network=small network.hidden=16 agent.population=4 num_envs=3 total_steps=60"
    run = rlkit.train(*words.split(), "eval.every=30", "logger=[csv]", "video=none")
    state = run.load_agent("last").state_dict()
    assert state["steps"] == 60
    assert state["optimizer"]["state"]


class Fifty(gymnasium.Env[int, int]):
    """Episodes of 1 to 12 steps, each of which is worth 50."""

    observation_space, action_space = spaces.Discrete(1), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._left = self._length = int(self.np_random.integers(1, 13))
        return 0, {}

    def step(self, action: int) -> Any:
        self._left -= 1
        return 0, 50 / self._length, self._left == 0, False, {}


def test_a_member_whose_episode_was_cut_plays_again() -> None:
    env = SerialEnvironment([Fifty] * 3)
    agent = made("agent=es agent.population=6", env)
    found, cuts = [], 0
    for transition, metrics in train(agent, stream_of(agent, env, 0, truncate_every=20), total_steps=1200):
        cuts += int(transition.info.truncated_by_checkpoint.sum())
        found += [(metrics["population/mean"], metrics["population/best"])] if metrics else []
    assert cuts > 100
    assert len(found) > 10
    np.testing.assert_allclose(found, 50, rtol=1e-5)


class First(gymnasium.Env[int, int]):
    """Episodes of one step, worth 1 in the first environment and 0 in the others."""

    observation_space, action_space = spaces.Discrete(1), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._first = seed == 0 if seed is not None else self._first
        return 0, {}

    def step(self, action: int) -> Any:
        return 0, float(self._first), True, False, {}


def test_a_generation_moves_by_its_noise_and_the_next_one_has_another() -> None:
    """Two members score 1 and 0: ranks .5 and -.5, whose difference times the noise, over 2 sigma, is the noise."""
    env = SerialEnvironment([First] * 2)
    plain = "agent.optimizer._target_=torch.optim.SGD agent.learning_rate=1 agent.weight_decay=0"
    agent = made(f"agent=es agent.population=2 agent.sigma=0.5 {plain}", env)
    noises, moves = [], []
    stream = stream_of(agent, env, 0)
    for _ in range(3):
        noises.append(agent.state_dict()["generation"]["noise"][0])
        before = agent._optimizer.vector.clone()
        agent.observe(next(stream))
        assert agent.update() is not None
        moves.append((agent._optimizer.vector - before).numpy())
    np.testing.assert_allclose(moves, noises, rtol=1e-4, atol=1e-5)
    assert all(abs(np.corrcoef(noises[i], noises[j])[0, 1]) < 0.2 for i, j in ((0, 1), (1, 2), (0, 2)))
    assert np.std(noises) == pytest.approx(1, abs=0.05)


def test_it_goes_on_from_its_state() -> None:
    one, other = (made("agent=es agent.population=4", SerialEnvironment([Fifty] * 2)) for _ in range(2))
    for transition, _ in train(one, stream_of(one, SerialEnvironment([Fifty] * 2), 0), total_steps=50):
        assert transition.valid.all()
    other.load_state_dict(one.state_dict())
    assert_same(other.state_dict(), one.state_dict())
    assert one.state_dict()["steps"] == 50


def test_ranks_are_centred_and_equal_scores_share_theirs() -> None:
    assert centered_ranks(np.array([3.0, 9.0, -1.0])).tolist() == [0.0, 0.5, -0.5]
    assert centered_ranks(np.array([1.0, 1.0, 5.0, 0.0])).tolist() == pytest.approx([0, 0, 0.5, -0.5])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("agent.population=5", r"agent.population is 5; it must be even and at least 2"),
        ("agent.population=0", r"agent.population is 0; it must be at least 2"),
        ("agent.sigma=0", r"agent.sigma is 0; it must be more than 0"),
        ("agent.sigma=-0.1", r"agent.sigma is -0.1; it must be more than 0"),
        ("agent.weight_decay=-1", r"agent.weight_decay is -1; it must be at least 0"),
        ("agent.network.standardize=true", r"agent=es neither remembers nor standardizes"),
    ],
)
def test_what_cannot_be_is_refused(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made(f"agent=es {words}", SerialEnvironment([Fifty]) if "network" not in words else numbers())


def numbers() -> SerialEnvironment:
    return SerialEnvironment([lambda: Shown(SHOWN["numbers"][1])])
