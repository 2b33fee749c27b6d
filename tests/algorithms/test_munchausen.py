"""Munchausen: numbers by hand, soft Q-learning where its weight is 0, and what does not go with it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from making import made
from scipy.special import logsumexp

from rlkit.algorithms.off_policy.munchausen import Munchausen, require_no_masks
from rlkit.core.types import UsageError
from rlkit.networks import Minibatch
from rlkit.networks.return_distributions import Expected, ImplicitQuantile, Quantile
from rlkit.vector.serial import SerialEnvironment

VALUES = np.array([[0.0, 0.03, -0.03], [1.0, 1.0, 0.9], [5.0, -5.0, 0.0]])


class TestByHand:
    def test_the_policy_is_a_softmax_of_values_over_the_temperature(self) -> None:
        scaled = Munchausen(0.9, 0.03, -1.0).scaled_log_policy(torch.tensor(VALUES)).numpy()
        assert scaled == pytest.approx(VALUES - 0.03 * logsumexp(VALUES / 0.03, axis=1, keepdims=True))
        # Of 0, tau and -tau: e^0, e and 1 / e, which are 4.0862 together, and the logarithm of that is 1.4076.
        assert scaled[0] / 0.03 == pytest.approx([-1.4076, 1 - 1.4076, -1 - 1.4076], abs=1e-4)

    def test_what_is_added_is_cut_off_and_weighted(self) -> None:
        added = Munchausen(0.9, 0.03, -1.0).bonus(torch.tensor(VALUES), torch.tensor([0, 1, 1])).tolist()
        # The last action is 10 below the best: of -10 the limit is left.
        assert added == pytest.approx(
            [-0.9 * 0.03 * 1.40761, -0.9 * 0.03 * np.log(2 + np.exp(-10 / 3)), -0.9], abs=1e-6
        )

    def test_what_follows_is_the_soft_maximum(self) -> None:
        for tau in (0.03, 1.0):
            found = Munchausen(0.9, tau, -1.0).following(Expected(), torch.tensor(VALUES)[..., None])
            assert found[:, 0].numpy() == pytest.approx(tau * logsumexp(VALUES / tau, axis=1))

    @pytest.mark.parametrize("kind", [Quantile(4), ImplicitQuantile(4, 4, 8)], ids=["quantile", "implicit"])
    def test_quantiles_follow_as_their_mean_does(self, kind: Any) -> None:
        draws = torch.Generator().manual_seed(0)
        returns = torch.randn(3, 5, 4, dtype=torch.float64, generator=draws)
        levels = torch.rand(3, 1, 4, dtype=torch.float64, generator=draws).expand_as(returns)
        outputs = torch.cat((returns, levels), -1) if kind.levels else returns
        rule = Munchausen(0.9, 0.5, -1.0)
        found, plain = rule.following(kind, outputs), rule.following(Expected(), returns.mean(-1, keepdim=True))
        assert kind.mean(found).tolist() == pytest.approx(plain[:, 0].tolist())
        if kind.levels:
            torch.testing.assert_close(found[:, 4:], levels[:, 0])


class Still(gymnasium.Env[Any, Any]):
    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(3)


def agent_of(words: str) -> Any:
    return made(f"agent=dqn network=mlp network.hidden=[] {words}", SerialEnvironment([Still]))


class TestAgent:
    @pytest.mark.parametrize("weight", [0.0, 0.9])
    def test_the_loss_is_that_of_its_target(self, weight: float) -> None:
        agent = agent_of(f"agent.double=false agent.munchausen={weight} agent.temperature=0.2")
        draws, rng = torch.Generator().manual_seed(1), np.random.default_rng(0)
        with torch.no_grad():
            for parameter in agent.target_network.parameters():
                parameter.normal_(generator=draws)
        before, after = torch.tensor(rng.normal(size=(2, 6, 2)), dtype=torch.float32)
        action, reward = rng.integers(0, 3, 6), rng.normal(size=6)
        discount, rows = np.array([1.0, 1, 0, 1, 0, 1]), np.arange(6)
        given = (torch.tensor(action), torch.tensor(reward).float(), torch.tensor(discount).float())
        loss, _ = agent.loss(Minibatch(before, *given, after, None, torch.ones(6)))

        with torch.no_grad():
            q = agent.network(before)[:, :, 0].double().numpy()
            old, new = (agent.target_network(seen)[:, :, 0].double().numpy() for seen in (before, after))
        log_policy = old - 0.2 * logsumexp(old / 0.2, axis=1, keepdims=True)
        target = reward + weight * np.clip(log_policy[rows, action], -1, 0)
        target += 0.99 * discount * 0.2 * logsumexp(new / 0.2, axis=1)
        error = np.abs(target - q[rows, action])
        assert loss.item() == pytest.approx(np.where(error < 1, error**2 / 2, error - 0.5).mean(), rel=1e-5)

    @pytest.mark.parametrize(
        ("words", "remedy"),
        [
            ("", "set agent.double=false"),
            ("agent.double=false distribution=c51", "take expected, quantile or implicit_quantile"),
            ("agent.double=false agent.offline=bcq agent.episodes=x", "take cql, or none"),
            ("agent.double=false replay.n_step=3", "set replay.n_step=1"),
        ],
    )
    def test_what_does_not_go_with_it_is_refused(self, words: str, remedy: str) -> None:
        with pytest.raises(UsageError, match=f"agent.munchausen=0.9: .*{remedy}"):
            agent_of(f"agent.munchausen=0.9 {words}")

    def test_so_are_masks(self) -> None:
        require_no_masks(None)
        with pytest.raises(UsageError, match=r"set agent\.munchausen=null"):
            require_no_masks(torch.ones(2, 3, dtype=torch.bool))
