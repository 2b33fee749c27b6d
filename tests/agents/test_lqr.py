"""A linear system whose best control and values are known exactly, and what agents learn there."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest
import torch
from making import made, stream_of
from torch import Tensor, nn

import rlkit
from rlkit.agents.ddpg import DDPG
from rlkit.core.loop import train
from rlkit.core.types import Transition
from rlkit.envs.lqr import LQR, riccati
from rlkit.networks.return_distributions import Expected
from rlkit.vector.serial import SerialEnvironment

K, P = 2.227062, 2.113531
MISTAKEN = (1.551333, 1.775666)
"""K and P where each third step, a time limit, is taken for a termination."""


def env_of(max_steps: int, **keys: Any) -> LQR:
    given = {"dimensions": 1, "decay": 1.0, "push": 0.2, "effort": 0.1, "noise": 0.0, "max_state": 2.0}
    return LQR(**{**given, "max_control": 3.0, "max_steps": max_steps, **keys})


class TestTheEnvironment:
    def test_its_solution_is_the_known_one(self) -> None:
        gain, cost = env_of(20).solution(0.95)
        assert (gain.item(), cost.item()) == pytest.approx((K, P), abs=1e-6)
        # Taking the limit of three steps for a termination leaves two thirds of the discounts.
        gain, cost = env_of(3).solution(0.95 * 2 / 3)
        assert (gain.item(), cost.item()) == pytest.approx(MISTAKEN, abs=1e-6)

    def test_the_solution_of_several_dimensions_satisfies_bellmans_equation(self) -> None:
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(3, 3)) / 2, rng.normal(size=(3, 2))
        q, r = np.diag([1.0, 2.0, 3.0]), np.diag([0.5, 0.2])
        gain, cost = riccati(a, b, q, r, 0.9)
        for _ in range(5):
            x = rng.normal(size=3)

            def value(u: Any, x: Any = x) -> float:
                after = a @ x + b @ u
                return float(-(x @ q @ x + u @ r @ u) - 0.9 * after @ cost @ after)

            best = -gain @ x
            assert value(best) == pytest.approx(-x @ cost @ x)
            assert all(value(best + 0.01 * rng.normal(size=2)) < value(best) for _ in range(5))

    def test_with_a_horizon_nothing_follows(self) -> None:
        assert env_of(20).solution(0.95, 0).cost.item() == 0
        assert env_of(20).solution(0.95, 1).cost.item() == 1  # x x, and no control

    def test_rewards_of_the_best_control_add_up_to_its_value(self) -> None:
        env = env_of(200)
        env.reset(seed=3)
        begun, total = env.state.item(), 0.0
        for t in range(200):
            _, reward, terminated, truncated, _ = env.step(np.array([-K * env.state.item()]))
            total += 0.95**t * reward
            assert not terminated
            assert truncated == (t == 199)
        assert total == pytest.approx(-P * begun**2, rel=1e-5)


class Unread(nn.Module):
    """In the place of an encoder."""

    hidden_size = 0


class Straight(nn.Module):
    """The control -k x, in units of the largest."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.encoder = Unread()
        self.k = nn.Parameter(torch.zeros(1))

    def encode(self, observation: Tensor) -> Tensor:
        return observation

    def forward(self, features: Tensor) -> Tensor:
        return -self.k * features / 3


class Quadratic(nn.Module):
    """Values that are a quadratic form of state and control."""

    distribution, count = Expected(), 1

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.encoder = Unread()
        self.w = nn.Parameter(torch.zeros(3))

    def encode(self, observation: Tensor) -> Tensor:
        return observation

    def forward(self, features: Tensor, action: Tensor, members: Any = None) -> Tensor:
        x, u = features[:, 0], 3 * action[:, 0]
        return (torch.stack([x * x, x * u, u * u], 1) @ self.w)[None, :, None, None]

    def of_taken(self, features: Tensor, action: Tensor) -> Tensor:
        return self(features, action)[:, :, 0]


class TakesLimitsForEnds:
    """The mistake: nothing follows the last step of an episode, whatever ended it."""

    def observe(self, transition: Transition) -> None:
        ended = transition._replace(discount=np.where(transition.last, np.float32(0), transition.discount))
        super().observe(ended)  # type: ignore[misc]


class MistakenDDPG(TakesLimitsForEnds, DDPG):
    """Of `DDPG`."""


def straight(kind: type[DDPG]) -> tuple[float, float]:
    """Return K and P of an agent whose actor and critic have the form of the solution, after a while of chance.

    Episodes of three steps begin so near to 0 that none reaches the bound of the states.
    """
    env = SerialEnvironment([lambda: env_of(3, max_state=4.0)] * 16)
    agent: Any = made(
        f"agent=ddpg agent._target_={__name__}.{kind.__name__} agent.gamma=0.95 agent.learning_rate=0.03 "
        "agent.tau=0.05 agent.batch_size=128 agent.learning_starts=960 agent.train_freq=960 agent.gradient_steps=700 "
        f"agent.actor._target_={__name__}.Straight agent.critics._target_={__name__}.Quadratic",
        env,
    )
    for _ in train(agent, stream_of(agent, env, 0), total_steps=960):
        pass
    k = agent.actor.k.item()
    w = agent.critics.w.tolist()
    return k, -(w[0] - w[1] * k + w[2] * k * k)


def test_with_a_limit_of_three_steps_the_answer_is_the_same() -> None:
    assert straight(DDPG) == pytest.approx((K, P), rel=0.02)


def test_a_copy_that_takes_the_limit_for_an_end_finds_another_answer() -> None:
    k, p = straight(MistakenDDPG)
    assert k < 0.8 * K
    assert p < 0.9 * P


LEARNERS = {
    "ddpg": "agent=ddpg",
    "td3": "agent=td3",
    "sac": "agent=sac",
    "tqc": "agent=sac distribution=quantile distribution.quantiles=25 agent.drop=2",
}


@pytest.mark.slow
@pytest.mark.parametrize("max_steps", [20, 3])
@pytest.mark.parametrize("name", LEARNERS)
def test_networks_learn_the_best_control_and_its_values(name: str, max_steps: int, tmp_path: Any) -> None:
    words = (
        f"{LEARNERS[name]} env=lqr env.max_steps={max_steps} agent.gamma=0.95 agent.batch_size=128 agent.tau=0.01 "
        "agent.learning_rate=0.001 agent.learning_starts=500 agent.actor.hidden=[64,64] agent.critics.hidden=[64,64] "
        f"total_steps=6000 eval.every=0 video=none logger=[csv] tuned=none run_dir={tmp_path / 'run'} log.every=500"
    )
    run = rlkit.train(*words.split())
    agent: Any = run.agent
    x = torch.linspace(-1, 1, 41)[:, None]
    with torch.no_grad():
        features = agent.actor.encode(x)
        action = agent.actor.act(features, None, None) if "sac" in LEARNERS[name] else agent.actor(features)
        values = agent.critics.distribution.mean(agent.critics.of_taken(agent.critics.encode(x), action)).mean(0)
    k = -np.polyfit(x[:, 0].numpy(), 3 * action[:, 0].numpy(), 1)[0]
    p = -np.polyfit(x[:, 0].numpy(), values.numpy(), 2)[0]
    assert k == pytest.approx(K, rel=0.1)
    assert p == pytest.approx(P, rel=0.1)


@pytest.mark.slow
def test_at_the_end_a_learned_temperature_keeps_the_target_entropy(tmp_path: Any) -> None:
    words = "agent=sac env=pendulum total_steps=10000 eval.every=0 video=none logger=[csv] log.every=500"
    run = rlkit.train(*words.split(), f"run_dir={tmp_path / 'run'}")
    with (run.directory / "metrics.csv").open() as file:
        entropies = [float(row["entropy"]) for row in csv.DictReader(file) if row.get("entropy")]
    assert np.mean(entropies[-4:]) == pytest.approx(-1, abs=0.1)
