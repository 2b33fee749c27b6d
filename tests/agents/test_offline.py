"""Agents that learn from recorded episodes: known answers, what fills the replay, and from there online."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from given import HALF_GOOD, Fork, recorded, seen
from gymnasium import spaces
from making import made, stream_of
from pushed import Pushed
from recordings import record
from scipy.optimize import fsolve
from scipy.special import softmax

from rlkit.agents.iql import expectile_loss
from rlkit.algorithms.off_policy.given_data import transitions
from rlkit.core.loop import train
from rlkit.core.types import UsageError
from rlkit.learners.datasets.demonstrations import read_episodes
from rlkit.networks import Minibatch
from rlkit.networks.actors import GaussianPolicy
from rlkit.networks.clipped_actor import ClippedGaussianPolicy
from rlkit.replay import UniformReplay
from rlkit.vector.serial import SerialEnvironment

TABLE = "agent.actor.hidden=[] agent.critics.hidden=[] agent.gamma=0.9 agent.learning_rate=0.03"
IQL = f"agent=iql {TABLE} agent.value.hidden=[] agent.anneal_actor=false agent.tau=0.1 agent.batch_size=32"


class Three(Fork):
    """A `Fork` with a third action."""

    action_space = spaces.Discrete(3)


def batch_of(*rows: tuple[int, int, float]) -> Minibatch:
    """Return steps that end their episodes: state, action and reward of each."""
    states, actions, rewards = zip(*rows, strict=True)
    s = torch.from_numpy(np.stack([seen(state) for state in states]))
    return Minibatch(s, torch.tensor(actions), torch.tensor(rewards), torch.zeros(len(s)), s, None, torch.ones(len(s)))


def table_of(agent: Any) -> Any:
    """Return the values [3, A] of the three states: of the first critic, or of a Q-network."""
    states = torch.eye(3)
    with torch.no_grad():
        if hasattr(agent, "critics"):
            return agent.critics(agent.critics.encode(states), None)[0, :, :, 0].numpy()
        return agent.network.outputs(agent.network.read(states), None)[:, :, 0].numpy()


def test_the_expectile_of_a_fair_coin_is_tau() -> None:
    coin = torch.tensor([0.0, 1.0])
    for tau in (0.1, 0.5, 0.7, 0.95):
        value = torch.tensor(tau, requires_grad=True)
        expectile_loss(coin - value, tau).mean().backward()  # type: ignore[no-untyped-call]
        assert value.grad is not None
        assert value.grad.item() == pytest.approx(0, abs=1e-6)
        for aside in (-0.05, 0.05):
            assert expectile_loss(coin - tau - aside, tau).mean() > expectile_loss(coin - tau, tau).mean()


class TestStitching:
    """Of two half-good trajectories the good halves make a good one; who imitates gets half of it."""

    def chances(self, words: str, tmp_path: Path) -> tuple[Any, Any]:
        """Return the policy's probabilities [3, 2] and the agent."""
        path = recorded(tmp_path / "e", HALF_GOOD)
        env = SerialEnvironment([Fork])
        agent = made(f"{IQL} {words} agent.episodes={path}", env)
        for _ in train(agent, stream_of(agent, env, 0), total_steps=250):
            pass
        with torch.no_grad():
            return agent.actor(agent.actor.encode(torch.eye(3)), None).prob.numpy(), agent

    def test_iql_joins_them(self, tmp_path: Path) -> None:
        prob, agent = self.chances("agent.expectile=0.9 agent.beta=10", tmp_path)
        assert prob[0, 0] * prob[1, 1] > 0.95
        with torch.no_grad():
            values = agent.value(torch.eye(3))
        # In state 1 the actions taken are a fair coin; before it, one step's discount.
        assert values[1].item() == pytest.approx(0.9, abs=0.05)
        assert values[0].item() == pytest.approx(0.81, abs=0.06)

    def test_without_advantages_it_clones(self, tmp_path: Path) -> None:
        prob, _ = self.chances("agent.expectile=0.9 agent.beta=0", tmp_path)
        assert prob[0, 0] * prob[1, 1] == pytest.approx(0.5, abs=0.08)

    def test_cloning_gets_half(self, tmp_path: Path) -> None:
        path = recorded(tmp_path / "e", HALF_GOOD)
        env = SerialEnvironment([Fork])
        words = "agent=cloning learner@agent.estimator=tree prepare@agent.prepare=none agent.held_out=0"
        agent = made(f"{words} agent.episodes={path}", env)
        agent.update()
        prob = agent.model.predict_proba(np.eye(3))
        assert prob[0, 0] * prob[1, 1] == pytest.approx(0.5)


TRUTH = np.array([0.5, 1.0, 0.8])
DATA = [(0, 0, 0.5), (0, 0, 0.5), (0, 1, 1.0)]
"""Rewards of the three actions, of which the last is in no data."""


class TestConservative:
    def learned(self, words: str, steps: int = 400) -> Any:
        agent = made(f"{words} agent.episodes=x agent.learning_rate=0.03", SerialEnvironment([Three]))
        for _ in range(steps):
            agent._gradient_step(batch_of(*DATA))
        return table_of(agent)[0]

    @pytest.mark.parametrize(
        "words",
        [
            "agent=cql agent.conservatism=0.2 agent.critics.hidden=[] agent.critics.count=1",
            "agent=dqn agent.offline=cql agent.conservatism=0.2 network=mlp network.hidden=[]",
        ],
    )
    def test_values_are_below_the_truth_on_a_table(self, words: str) -> None:
        q = self.learned(words)
        assert q[2] < TRUTH[2]
        policy = softmax(q)
        assert policy @ q < policy @ TRUTH
        assert policy @ q < 0.95 * (policy @ TRUTH)

        # The loss is least where its slope is 0; the value of what nobody did falls on and on.
        def slope(seen_q: Any) -> Any:
            share = np.array([2 / 3, 1 / 3])
            return share * (seen_q - TRUTH[:2]) + 0.2 * (softmax([*seen_q, q[2]])[:2] - share)

        assert q[:2] == pytest.approx(fsolve(slope, TRUTH[:2]), abs=0.01)

    def test_without_the_term_nobody_says_anything_of_it(self) -> None:
        words = "agent=dqn network=mlp network.hidden=[] agent.offline="
        before, after = (self.learned(f"{words}none", steps) for steps in (0, 400))
        assert after[:2] == pytest.approx(TRUTH[:2], abs=0.02)
        assert after[2] == before[2]
        assert self.learned(f"{words}cql")[2] < before[2]

    def test_the_integral_over_continuous_actions_is_estimated(self) -> None:
        agent = made("agent=cql agent.episodes=x agent.samples=3000", SerialEnvironment([Pushed]))
        with torch.no_grad():
            agent.critics.head.weight.mul_(6)
        s = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
        batch = batch_of(*DATA[:2])._replace(s_tm1=s, s_t=s)
        with torch.no_grad():
            found = agent.soft_maximum(batch, agent.critics.encode(s))
            grid = torch.linspace(-0.99, 0.99, 100)
            actions = torch.cartesian_prod(grid, grid)
            for i in range(2):
                x = agent.critics.encode(s[i : i + 1]).expand(len(actions), -1)
                q = agent.critics(x, actions)[:, :, 0, 0]
                exact = q.exp().mean(1).mul(4).log()
                assert found[:, i].tolist() == pytest.approx(exact.tolist(), abs=0.05)


RARELY = [*[(0, 0, 0.5)] * 9, (0, 1, 1.0)]
"""The better action is rare."""


class TestBatchConstrained:
    @pytest.mark.parametrize(("threshold", "best"), [(0.3, 0), (0.05, 1)])
    def test_rare_actions_are_never_chosen(self, threshold: float, best: int) -> None:
        words = f"agent=dqn agent.offline=bcq agent.behavior_threshold={threshold} network=mlp network.hidden=[]"
        env = SerialEnvironment([Three])
        agent = made(f"{words} agent.learning_rate=0.03 agent.episodes=x", env)
        for _ in range(400):
            agent._gradient_step(batch_of(*RARELY))
        assert table_of(agent)[0, :2] == pytest.approx([0.5, 1.0], abs=0.05)
        with torch.no_grad():
            agent.network.actions[-1].bias[2] = 50.0  # whatever it is thought to be worth
        action, _ = agent.act(env.reset([0]), (), explore=False, rng=np.random.default_rng(0))
        assert action.tolist() == [best]

    def test_targets_keep_to_them_too(self) -> None:
        words = "agent=dqn agent.offline=bcq network=mlp network.hidden=[] agent.gamma=0.5 agent.episodes=x"
        agent = made(f"{words} agent.learning_rate=0.03", SerialEnvironment([Three]))
        for _ in range(200):
            agent._rule.learn(batch_of(*RARELY), 0)
        with torch.no_grad():
            for network in (agent.network, agent.target_network):
                network.actions[-1].weight.zero_()
                network.actions[-1].bias.copy_(torch.tensor([2.0, 4.0, 50.0]))
        batch = batch_of((0, 0, 0.0))._replace(discount_t=torch.ones(1))
        assert agent.loss(batch)[1]["priorities"].item() == pytest.approx(abs(2.0 - 0.5 * 2.0))


def test_td3_bc_weighs_values_by_their_size() -> None:
    agent = made("agent=td3_bc agent.episodes=x agent.alpha=2", SerialEnvironment([Pushed]))
    value, action, taken = torch.tensor([[3.0], [-1.0]]), torch.tensor([[0.5, 0.0], [0.0, 1.0]]), torch.zeros(2, 2)
    # lambda = 2 / 2; the mean value is 1; the squares are 0.25 and 1 of four numbers.
    for scale in (1.0, 10.0):
        assert agent.actor_loss(scale * value, action, taken).item() == pytest.approx(-1.0 + 1.25 / 4)


@pytest.mark.parametrize("kind", [GaussianPolicy, ClippedGaussianPolicy])
def test_the_density_of_an_action_is_that_with_which_it_is_drawn(kind: type[GaussianPolicy]) -> None:
    policy = kind(2, -5.0, 2.0)
    parameters = torch.tensor([[0.2, -0.4, -1.5, -2.0]])
    decision = policy.decide(parameters, torch.Generator().manual_seed(0), None)
    assert decision.action is not None
    assert policy.log_prob(parameters, decision.action).item() == pytest.approx(decision.log_prob.item(), abs=1e-4)
    grid = torch.linspace(-3, 3, 1201) if kind is ClippedGaussianPolicy else torch.linspace(-0.9995, 0.9995, 2001)
    points = torch.cartesian_prod(grid, grid[::4])
    density = policy.log_prob(parameters.expand(len(points), -1), points).exp()
    cell = float(grid[1] - grid[0]) * float(grid[4] - grid[0])
    assert density.sum().item() * cell == pytest.approx(1, abs=0.01)


class TestGivenData:
    @pytest.mark.parametrize("num_envs", [1, 3])
    @pytest.mark.parametrize("n_step", [1, 3])
    def test_the_replay_holds_each_recorded_step_and_what_came_of_it(
        self, num_envs: int, n_step: int, tmp_path: Path
    ) -> None:
        found = read_episodes(record(tmp_path / "e", "env=cartpole", episodes=5, max_steps=14))
        replay = UniformReplay(1000, np.random.default_rng(0), n_step=n_step)
        for transition in transitions(found, num_envs):
            replay.add(transition)
        gamma, following = 0.5, found.next_observation
        expected = []
        for i in range(len(found.last)):
            # Whole episodes: a return of n steps ends with its episode.
            last = min(i + n_step - 1, i + int(found.last[i:].argmax()))
            reward = sum(gamma ** (k - i) * float(found.reward[k]) for k in range(i, last + 1))
            discount = gamma ** (last - i) * float(found.discount[last])
            expected.append((found.observation[i].tobytes(), int(found.action[i]), reward, discount))
            expected[-1] += (following[last].tobytes(),)
        held = replay.everything(gamma)
        rows = zip(held.observation, held.action, held.reward, held.discount, held.next_observation, strict=True)
        got = [(s.tobytes(), int(a), float(r), float(d), t.tobytes()) for s, a, r, d, t in rows]
        assert Counter(got) == Counter(expected)

    def test_own_steps_are_stored_from_offline_steps_on(self, tmp_path: Path) -> None:
        path = recorded(tmp_path / "e", HALF_GOOD)
        env = SerialEnvironment([Fork, Fork])
        agent = made(f"{IQL} agent.episodes={path} agent.offline_steps=10", env)
        sizes = [len(agent._replay) for _ in train(agent, stream_of(agent, env, 0), total_steps=16)]
        assert sizes == [4, 4, 4, 4, 4, 6, 8, 10]

    def test_any_agent_with_a_replay_can_begin_with_data(self, tmp_path: Path) -> None:
        path = recorded(tmp_path / "e", HALF_GOOD)
        for words in ("agent=sac agent.batch_size=8", "agent=dqn agent.batch_size=8"):
            env = SerialEnvironment([Fork])
            agent = made(f"{words} agent.learning_starts=0 agent.episodes={path} agent.offline_steps=0", env)
            found = [metrics for _, metrics in train(agent, stream_of(agent, env, 0), total_steps=3)]
            assert None not in found
            assert len(agent._replay) == 7

    def test_where_actions_have_masks_all_recorded_ones_are_legal(self, tmp_path: Path) -> None:
        class Masked(Fork):
            def reset(self, **kwargs: Any) -> Any:
                return super().reset(**kwargs)[0], {"action_mask": np.array([1, 0], np.int8)}

            def step(self, action: Any) -> Any:
                return *super().step(action)[:4], {"action_mask": np.array([1, 0], np.int8)}

        path = recorded(tmp_path / "e", HALF_GOOD)
        env = SerialEnvironment([Masked], action_mask=True)
        agent = made(f"agent=dqn agent.offline=cql agent.episodes={path} agent.learning_starts=0", env)
        for _, metrics in train(agent, stream_of(agent, env, 0), total_steps=4):
            assert metrics is not None
        masks = agent._replay.everything().next_legal_actions
        assert masks.shape == (4, 2)
        assert masks.all()


class TestRefusals:
    def refused(self, words: str, env: SerialEnvironment) -> str:
        def begun() -> None:
            agent = made(words, env)
            next(iter(train(agent, stream_of(agent, env, 0), total_steps=4)))

        with pytest.raises(UsageError) as caught:
            begun()
        return str(caught.value)

    def test_what_does_not_fit_is_one_line(self, tmp_path: Path) -> None:
        path = recorded(tmp_path / "e", HALF_GOOD)
        fork, three = SerialEnvironment([Fork]), SerialEnvironment([Three])
        given = f"agent.episodes={path}"
        assert "say where they are: agent.episodes=" in self.refused("agent=iql", fork)
        assert "set agent.episodes, too" in self.refused("agent=dqn agent.offline_steps=5", fork)
        assert "of which the replay keeps 3; set replay.capacity=8 or more" in self.refused(
            f"agent=iql {given} replay.capacity=3", fork
        )
        assert "action space is Discrete(2), the environment's is Discrete(3)" in self.refused(
            f"agent=iql {given}", three
        )
        more = recorded(tmp_path / "more", [[(0, 2, 0.0)]], Three)
        assert "has actions up to 2, the environment only 2" in self.refused(f"agent=dqn agent.episodes={more}", fork)
        assert "an observation is" in self.refused(f"agent=dqn {given}", SerialEnvironment([Pair]))
        assert "leave out recurrent networks" in self.refused(
            f"agent=dqn {given} agent.network.recurrent=gru replay=sequences replay.length=4 replay.burn_in=0", fork
        )
        assert "set agent.target_network=true" in self.refused(f"agent=iql {given} agent.target_network=false", fork)


class Pair(Fork):
    """A `Fork` that shows two numbers."""

    observation_space = spaces.Box(0, 1, (2,), np.float32)

    def reset(self, **kwargs: Any) -> Any:
        return super().reset(**kwargs)[0][:2], {}

    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        return observation[:2], *rest
