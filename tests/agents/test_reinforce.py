"""REINFORCE: which episodes it learns from, and what they are compared with."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from exact_gradients import assert_within_standard_errors, begun, gradient_of, with_bias
from gymnasium import spaces
from making import made, stream_of

from rlkit.core.loop import train
from rlkit.vector.serial import SerialEnvironment
from toys import Counting, assert_same


class Detour(gymnasium.Env[int, int]):
    """The first action earns 1 and ends the episode, or earns 2 and makes ten steps more, which are worth nothing."""

    observation_space, action_space = spaces.Discrete(2), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._steps = 0
        return 0, {}

    def step(self, action: int) -> Any:
        first, self._steps = self._steps == 0, self._steps + 1
        return 1, float(1 + action) if first else 0.0, bool(first and not action) or self._steps > 10, False, {}


@pytest.mark.parametrize("episodes", [1, 6])
def test_short_episodes_are_not_favoured(episodes: int) -> None:
    """Of four environments that begin together, those with short episodes are ready first."""
    env = SerialEnvironment([Detour] * 4)
    words = f"agent=reinforce ~agent.optimizer.fused agent.baseline=false agent.episodes={episodes}"
    agent, logits = begun(words, env, 1.0)
    (logits.softmax(1)[0] * torch.tensor([1.0, 2.0], dtype=logits.dtype)).sum().backward()
    assert logits.grad is not None
    saved, head, steps = agent.state_dict(), agent.network.policy, []
    before = {"weight": head.weight.detach().clone(), "bias": head.bias.detach().clone()}
    for seed in range(400):
        agent.load_state_dict(saved)
        stream = train(agent, stream_of(agent, env, seed), total_steps=10**9)
        next(metrics for _, metrics in stream if metrics)
        steps.append(gradient_of(agent, before))
    assert_within_standard_errors(np.array(steps), with_bias(logits.grad.numpy()))


@pytest.mark.parametrize("words", ["agent.episodes=5 agent.baseline_episodes=2", "agent.baseline=false"])
def test_what_is_learnt_was_drawn_by_the_policy_that_learns(words: str) -> None:
    env = SerialEnvironment([Counting] * 3)
    agent = made(f"agent=reinforce {words} agent.network.standardize=true agent.learning_rate=0.05", env)
    seen: list[np.ndarray] = []
    found: list[int] = []
    observe, add, learn = agent.observe, agent._store.add, agent._learn_policy

    def compare() -> Any:
        rows = {name: torch.from_numpy(np.concatenate([k[name] for k in agent._kept])) for name in agent._kept[0]}
        outputs = agent.network(rows["observation"], torch.zeros(len(rows["observation"]), 0))
        now = agent.network.distribution.log_prob(outputs.parameters, rows["sample"])
        torch.testing.assert_close(now, rows["log_prob"], rtol=1e-4, atol=1e-5)
        found.append(int(rows["last"].sum()))
        return learn()

    agent.observe = lambda transition: seen.append(transition.memory["log_prob"]) or observe(transition)
    agent._store.add = lambda rows, valid, last: add({**rows, "log_prob": seen[-1]}, valid, last)
    agent._learn_policy = compare
    for _ in train(agent, stream_of(agent, env, 0), total_steps=900):
        pass
    assert len(found) > 15
    assert set(found) == {5 if "episodes" in words else 3}


class Paying(gymnasium.Env[int, int]):
    """Two arms of noise."""

    observation_space, action_space = spaces.Discrete(1), spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> Any:
        return 0, float(3 + self.np_random.normal()), True, False, {}


def test_values_are_those_from_before_they_learn_from_the_same_returns() -> None:
    """In one state, by hand: the policy moves by (return - value) times (action - probabilities), the mean of three."""
    env = SerialEnvironment([Paying])
    agent, logits = begun("agent=reinforce agent.episodes=3 agent.baseline_episodes=2 ~agent.optimizer.fused", env, 1.0)
    head, value = agent.network.policy, agent.network.value
    before = {"weight": head.weight.detach().clone(), "bias": head.bias.detach().clone()}
    with torch.no_grad():
        values = [float(value.weight + value.bias)] * 2
    transitions = [t for t, _ in train(agent, stream_of(agent, env, 0), total_steps=3)]
    rewards = [float(t.reward[0]) for t in transitions]
    # Weight and bias both move by the error's mean over the first two.
    values.append(values[0] + 2 * (np.mean(rewards[:2]) - values[0]))
    probabilities = logits.detach().softmax(1).numpy()[0]
    steps = [
        (reward - v) * (np.eye(2)[t.action[0]] - probabilities)
        for reward, v, t in zip(rewards, values, transitions, strict=True)
    ]
    np.testing.assert_allclose(gradient_of(agent, before), [np.mean(steps, 0)] * 2, rtol=1e-4, atol=1e-6)


def test_its_state_goes_on_in_the_middle_of_episodes() -> None:
    env, words = SerialEnvironment([Counting] * 3), "agent=reinforce agent.episodes=5 agent.baseline_episodes=2"
    agent, other = made(words, env), made(words, env)
    halves = 0
    for transition, _ in train(agent, stream_of(agent, env, 0), total_steps=600):
        halves += bool(agent.state_dict()["kept"])
        other.load_state_dict(agent.state_dict())
        assert_same(agent.state_dict(), other.state_dict())
        following = transition._replace(last=~transition.last)
        for one in (agent, other):
            one.observe(following)
            one.update()
        assert_same(agent.state_dict(), other.state_dict())
    assert halves > 5
