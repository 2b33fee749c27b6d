"""Agents learn from every part of Dict and Tuple observations, and resume exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import kills
import numpy as np
import pytest
import torch
from gymnasium import spaces
from locations import TESTS
from making import configured, made
from sights import Sights

from rlkit.agents.random import Random
from rlkit.core.loop import interact, train
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment
from rlkit.learners.datasets.demonstrations import EpisodeFolder
from rlkit.play.demonstrate import Noise, record_episodes
from rlkit.preprocess import FrameStack, Part
from rlkit.runs import build
from rlkit.testing.agents import resumed_equals_uninterrupted
from rlkit.testing.training import AgentCase
from rlkit.vector.serial import SerialEnvironment
from toys import Nested


class Talking(Nested):
    """A `Nested` with a text, a state of many, and images large enough to be known as such."""

    observation_space = spaces.Dict(
        {
            **Nested.observation_space.spaces,
            "image": spaces.Box(0, 255, (6, 7, 3), np.uint8),
            "text": spaces.Text(5, min_length=0),
            "many": spaces.Discrete(99),
        }
    )

    def _observation(self) -> Any:
        image = np.full((6, 7, 3), self._count * 9, np.uint8)
        text = "abcde"[: self._count % 5 + 1]
        return {**super()._observation(), "image": image, "text": text, "many": self._total % 99}


DEEP = {
    "dqn": "agent.learning_starts=8 agent.batch_size=8 agent.network.noisy=true agent.network.dueling=true",
    "ppo": "agent.n_steps=8 agent.batch_size=8 agent.epochs=2 agent.network.standardize=true",
    "a2c": "agent.network.recurrent=gru",
    "reinforce": "agent.episodes=2 agent.baseline_episodes=1 agent.network.shared=false",
    "actor_critic": "agent.network.shared=false",
    "es": "agent.population=2",
}


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("agent", DEEP)
def test_deep_agents_learn_from_every_part(agent: str) -> None:
    env = SerialEnvironment([lambda: Talking(spaces.Discrete(3))] * 2)
    learner = made(f"agent={agent} {DEEP[agent]}", env)
    body = learner.network.body if agent == "dqn" else learner.network.policy_torso[0]
    before = {name: value.clone() for name, value in body.encoders.state_dict().items()}
    stream = interact(learner, env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda _: [1, 2])
    metrics = [found for _, found in train(learner, stream, total_steps=60) if found]
    assert metrics
    assert all(np.isfinite(list(found.values())).all() for found in metrics)
    moved = {
        name.split(".")[0] for name, value in before.items() if not torch.equal(value, body.encoders.state_dict()[name])
    }
    learned = {str(i) for i, encoder in enumerate(body.encoders) if any(True for _ in encoder.parameters())}
    assert moved == learned
    assert len(learned) >= 6


@pytest.mark.parametrize(
    "agent",
    [
        "fitted_q agent.learning_starts=20 agent.fit_every=30 agent.iterations=2 agent.estimator.n_estimators=3",
        "bandit",
    ],
)
def test_estimators_learn_from_all_parts_in_one_row(agent: str) -> None:
    env = SerialEnvironment([lambda: Nested(spaces.Discrete(3))] * 2)
    learner = made(f"agent={agent}", env)
    stream = interact(learner, env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda _: [1, 2])
    assert any(found for _, found in train(learner, stream, total_steps=60))


def test_a_clone_acts_by_the_part_that_its_player_goes_by(tmp_path: Path) -> None:
    env = SerialEnvironment([lambda: Sights("vector")])
    spaces_of = {name: str(getattr(env, name)) for name in ("observation_space", "action_space")}
    folder = EpisodeFolder(tmp_path / "episodes", spaces_of, 30)
    keys: Any = {"name": "x", "episodes": 30, "seed": 0, "noise": Noise(0, 1), "max_steps": 50}
    list(record_episodes(ByVector(), env, folder, **keys))
    folder.save()
    clone = made(f"agent=cloning agent.episodes={folder.path} learner@agent.estimator=tree", env)
    clone.update()
    timestep, right = env.reset([5]), 0
    for _ in range(60):
        action, _ = clone.act(timestep, (), explore=False, rng=np.random.default_rng(0))
        right += int(action[0] == ByVector().act(timestep, (), explore=False, rng=None)[0][0])
        timestep = env.step(action)
    assert right >= 57


class ByVector(Random):
    """Plays by the sign of the first number of the vector."""

    def __init__(self) -> None:
        super().__init__(spaces.Discrete(2))

    def act(self, timestep: Any, memory: Any, *, explore: bool, rng: Any) -> Any:
        return (timestep.observation["vector"][:, 0] > 0).astype(np.int64), memory


def stacked() -> gymnasium.Env[Any, Any]:
    return Part(Sights("image"), "image", lambda part: FrameStack(part, 3))


FRAMES = "{_target_:rlkit.preprocess.FrameStack,size:3,_part_:image}"
RESUMED = {
    "dqn": "agent=dqn agent.learning_starts=20 agent.batch_size=8 agent.train_freq=8 agent.target_every=3 "
    "network.joint=16 replay.capacity=60",
    "dqn prioritized": "agent=dqn replay=prioritized replay.n_step=2 agent.learning_starts=20 agent.batch_size=8 "
    "agent.train_freq=8 network.joint=16 replay.capacity=60",
    "ppo": "agent=ppo agent.n_steps=8 agent.batch_size=16 agent.epochs=2 network.joint=16 "
    "agent.network.standardize=true",
}


@pytest.mark.parametrize("case", RESUMED)
def test_training_resumed_with_frames_of_a_part_equals_uninterrupted(case: str) -> None:
    def agent(env: Environment, seeds: Seeds) -> Any:
        assert env.frame_stack == {"image": 3, "vector": 1}
        config = configured(f"device=cpu num_envs={env.num_envs} {RESUMED[case]}")
        return build.make_agent(config.agent_config, env, seeds)

    examined = AgentCase(agent, stacked, 0, 100, 2, False)
    resumed_equals_uninterrupted(examined)
    assert examined.lesson.learned


@pytest.mark.slow
@pytest.mark.parametrize("case", ["dqn", "ppo"])
def test_killed_runs_end_as_if_they_had_not_been(case: str, tmp_path: Path) -> None:
    words = (
        f"{RESUMED[case]} env=cartpole env._target_=sights.Sights ~env.id ~env.kwargs +env.cue=image tuned=none "
        f"preprocess=[{FRAMES}] num_envs=2 total_steps=3000"
    )
    rows = kills.run_case(words, tmp_path, kills=3, writing=1, pythonpath=str(TESTS), trust="sights")
    assert [row["different"] for row in rows] == [""] * len(rows)
