"""Adversarial imitation: losses in closed form, an arm pulled as often as by an expert, and what gives rewards away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from given import recorded
from gymnasium import spaces
from making import made, stream_of
from recordings import record

import rlkit
from rlkit.agents.gail import GAIL
from rlkit.algorithms.imitation.discriminator import (
    ActionNumbers,
    Discriminator,
    discriminator_loss,
    gradient_penalty,
    reward_of,
)
from rlkit.core.loop import train
from rlkit.core.types import UsageError
from rlkit.learners.datasets.demonstrations import read_episodes
from rlkit.networks import MLP
from rlkit.vector.serial import SerialEnvironment


class Pull(gymnasium.Env[Any, Any]):
    """One state and two arms, which are worth nothing; each pull is an episode."""

    observation_space = spaces.Box(0, 1, (3,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, **kwargs: Any) -> Any:
        super().reset(seed=kwargs.get("seed"))
        return np.eye(3, dtype=np.float32)[0], {}

    def step(self, action: Any) -> Any:
        return np.eye(3, dtype=np.float32)[1], 0.0, True, False, {}


FOUR_OF_FIVE = [[(0, action, 0.0)] for action in [0, 0, 0, 0, 1] * 40]


def linear(observations: int = 2, actions: Any = None) -> Discriminator:
    """Return a discriminator without hidden layers, of vectors and of `actions`, by default two."""
    space = spaces.Box(-1, 1, (observations,), np.float32)
    torso = MLP(space, [], activation="relu", layer_norm=False)
    return Discriminator(torso, space, actions or spaces.Discrete(2), hidden=[], activation="tanh", action_limit=None)


class TestLosses:
    def test_rewards_are_logarithms_of_what_the_discriminator_says(self) -> None:
        said = torch.tensor([0.1, 0.5, 0.8], dtype=torch.float64)
        logit = said.logit()
        assert reward_of(logit, "positive").tolist() == pytest.approx((-(1 - said).log()).tolist())
        assert reward_of(logit, "negative").tolist() == pytest.approx(said.log().tolist())
        assert reward_of(logit, "difference").tolist() == pytest.approx((said.log() - (1 - said).log()).tolist())

    def test_the_loss_is_least_where_it_says_the_experts_share(self) -> None:
        # Of one step that the expert takes four times as often as the policy, D = 4 / 5 is the best answer.
        def loss(said: float) -> float:
            logit = torch.tensor([said], dtype=torch.float64).logit()
            return float(
                4 * discriminator_loss(logit, torch.tensor([-1e9])) + discriminator_loss(torch.tensor([1e9]), logit)
            )

        assert loss(0.8) == pytest.approx(-4 * np.log(0.8) - np.log(0.2))
        assert loss(0.8) < min(loss(0.79), loss(0.81))

    def test_the_penalty_of_a_plane_is_its_slope(self) -> None:
        discriminator = linear()
        slope = torch.tensor([3.0, 0.0, 4.0, 0.0])
        with torch.no_grad():
            discriminator.head.weight.copy_(slope)
        rows = torch.randn(2, 5, 4)
        assert gradient_penalty(discriminator, *rows, torch.rand(5, 1)).item() == pytest.approx((5 - 1) ** 2)

    def test_the_gradient_of_the_penalty_is_numerical(self) -> None:
        space = spaces.Box(-1, 1, (2,), np.float32)
        torch.manual_seed(0)
        discriminator = Discriminator(
            linear().encoder, space, spaces.Discrete(2), hidden=[3], activation="tanh", action_limit=None
        ).double()
        expert, policy = torch.randn(2, 4, 4, dtype=torch.float64)
        share = torch.rand(4, 1, dtype=torch.float64)
        parameters = [one for one in discriminator.parameters() if one.requires_grad]
        penalty = gradient_penalty(discriminator, expert, policy, share)
        gradients = torch.autograd.grad(penalty, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            flat = parameter.data.view(-1)
            for i in range(len(flat)):
                sides = []
                for aside in (1e-5, -1e-5):
                    flat[i] += aside
                    sides.append(gradient_penalty(discriminator, expert, policy, share).item())
                    flat[i] -= aside
                slope = (sides[0] - sides[1]) / 2e-5
                found = 0.0 if gradient is None else gradient.reshape(-1)[i].item()
                assert found == pytest.approx(slope, abs=1e-7)

    def test_a_constant_discriminator_has_a_penalty_with_finite_gradients(self) -> None:
        discriminator = linear()
        with torch.no_grad():
            discriminator.head.weight.zero_()
        gradient_penalty(discriminator, torch.ones(3, 4), torch.zeros(3, 4), torch.rand(3, 1)).backward()
        assert torch.isfinite(discriminator.head.weight.grad).all()


class TestActions:
    def test_discrete_ones_are_one_hot(self) -> None:
        read = ActionNumbers(spaces.Discrete(3), None)
        assert read.numbers(torch.from_numpy(read.stored(np.array([2, 0])))).tolist() == [[0, 0, 1], [1, 0, 0]]

    def test_those_of_a_box_are_between_its_bounds(self) -> None:
        read = ActionNumbers(spaces.Box(np.float32([-2, 0]), np.float32([2, 10])), None)
        stored = torch.from_numpy(read.stored(np.array([[2, 0], [-1, 5]], np.float32)))
        assert read.numbers(stored).tolist() == [[1, -1], [-0.5, 0]]

    def test_others_are_refused(self) -> None:
        with pytest.raises(UsageError, match="reads Discrete or Box actions"):
            ActionNumbers(spaces.MultiBinary(3), None)


BANDIT = (
    "agent=gail agent.any_length=true network.hidden=[] agent.policy.n_steps=4 agent.policy.batch_size=64 "
    "agent.policy.epochs=2 agent.policy.learning_rate=0.01 agent.policy.anneal=false agent.every=64 "
    "agent.gradient_steps=8 agent.learning_rate=0.01 agent.buffer.capacity=256 agent.reward=difference"
)


class TestBandit:
    def played(self, path: Path, words: str = "") -> tuple[list[float], Any]:
        """Return the policy's shares of the first arm while it learned, and the agent."""
        env = SerialEnvironment([Pull] * 16)
        agent = made(f"{BANDIT} {words} agent.episodes={path}", env)
        shares, start = [], torch.eye(3)[:1]
        for step, _ in enumerate(train(agent, stream_of(agent, env, 0), total_steps=16_000)):
            if step % 15 == 0:
                with torch.no_grad():
                    parameters = agent.policy.network(start, torch.zeros(1, 0)).parameters
                shares.append(float(torch.softmax(parameters, 1)[0, 0]))
        return shares, agent

    def test_the_arm_is_pulled_as_often_as_the_expert_does(self, tmp_path: Path) -> None:
        shares, agent = self.played(recorded(tmp_path / "e", FOUR_OF_FIVE, Pull, final=1))
        assert np.mean(shares[len(shares) // 2 :]) == pytest.approx(0.8, abs=0.05)
        # What it cannot tell apart it calls even.
        rows = torch.eye(3)[[0, 0]], torch.tensor([0, 1])
        with torch.no_grad():
            assert agent.discriminator(*rows).sigmoid().tolist() == pytest.approx([0.5, 0.5], abs=0.15)

    def test_it_is_not_where_nothing_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(GAIL, "_gradient_step", lambda self: {"told": torch.zeros(())})
        shares, _ = self.played(recorded(tmp_path / "e", FOUR_OF_FIVE, Pull, final=1))
        assert abs(np.mean(shares[len(shares) // 2 :]) - 0.8) > 0.1


class TestRefusals:
    def test_episodes_of_several_lengths(self, tmp_path: Path) -> None:
        path = record(tmp_path / "e", "env=cartpole", episodes=3)
        agent = made(f"agent=gail agent.episodes={path}", SerialEnvironment([lambda: gymnasium.make("CartPole-v1")]))
        with pytest.raises(UsageError, match=r"episodes have \d+ to \d+ steps, and a length gives reward away"):
            agent._expert.recorded  # noqa: B018

    def test_episodes_that_end_by_themselves(self, tmp_path: Path) -> None:
        path = recorded(tmp_path / "e", FOUR_OF_FIVE, Pull)
        agent = made(f"agent=gail agent.episodes={path}", SerialEnvironment([Pull]))
        with pytest.raises(UsageError, match="episodes end by themselves"):
            agent._expert.recorded  # noqa: B018

    def test_another_environment(self, tmp_path: Path) -> None:
        path = record(tmp_path / "e", "env=pendulum", episodes=2)
        agent = made(f"agent=gail agent.episodes={path}", SerialEnvironment([Pull]))
        with pytest.raises(UsageError, match="choose the env= in which they were recorded"):
            agent._expert.recorded  # noqa: B018


def test_its_observations_are_standardized_as_the_experts(tmp_path: Path) -> None:
    path = record(tmp_path / "e", "env=pendulum", episodes=2)
    env = SerialEnvironment([lambda: gymnasium.make("Pendulum-v1")])
    agent = made(f"agent=gail agent.episodes={path}", env)
    for _ in train(agent, stream_of(agent, env, 0), total_steps=1):
        pass
    seen = read_episodes(path).observation
    assert agent.discriminator.standardize.mean.numpy() == pytest.approx(seen.mean(0), abs=1e-5)
    assert 1 / agent.discriminator.standardize.inverse_std.numpy() == pytest.approx(seen.std(0), rel=1e-3)


def test_the_policy_never_sees_the_environments_rewards(tmp_path: Path) -> None:
    path = record(tmp_path / "e", "env=pendulum", episodes=2)
    env = SerialEnvironment([lambda: gymnasium.make("Pendulum-v1")])
    agent, seen = made(f"agent=gail agent.episodes={path}", env), []
    agent.policy.observe = lambda transition: seen.append((transition.reward, transition.info.raw_reward))
    for _ in train(agent, stream_of(agent, env, 0), total_steps=20):
        pass
    given, raw = map(np.concatenate, zip(*seen, strict=True))
    assert (given > 0).all()
    assert (raw <= 0).all()


@pytest.mark.parametrize("policy", ["a2c", "reinforce", "actor_critic"])
def test_any_agent_of_a_policy_imitates(policy: str, tmp_path: Path) -> None:
    path = record(tmp_path / "e", "env=pendulum", episodes=2)
    words = f"agent=gail agent@agent.policy={policy} env=pendulum agent.episodes={path} agent.every=128"
    run = rlkit.train(
        *words.split(), "tuned=none", "total_steps=600", "eval.every=0", "video=none", run_dir=tmp_path / "run"
    )
    assert np.isfinite(run.metrics["loss/discriminator"]).any()
