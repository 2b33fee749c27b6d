"""Rows in which an environment was only reset: nothing is learnt from them, in any agent of the policy gradient."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from making import made, stream_of

from rlkit.algorithms.policy_gradient.rollout_batch import RolloutBatch
from rlkit.core.loop import train
from rlkit.core.types import Transition
from rlkit.networks import module_state
from rlkit.vector.vector import VectorEnvironment
from toys import assert_same


class Short(gymnasium.Env[Any, int]):
    """Episodes of `length` steps, every other one truncated; what it shows and pays depends on what was done."""

    observation_space, action_space = spaces.Box(-np.inf, np.inf, (2,)), spaces.Discrete(2)

    def __init__(self, length: int):
        self._length, self._episode = length, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._episode, self._step, self._sum = self._episode + 1, 0, 0
        return self._seen(), {}

    def step(self, action: int) -> Any:
        self._step, self._sum = self._step + 1, self._sum + int(action)
        ended, truncates = self._step == self._length, self._episode % 2 == 0
        return self._seen(), float(self._sum + self._length), ended and not truncates, ended and truncates, {}

    def _seen(self) -> Any:
        return np.array([self._step + 0.1 * self._episode, self._sum - self._length], np.float32)


def vector(mode: AutoresetMode) -> VectorEnvironment:
    return VectorEnvironment(lambda: SyncVectorEnv([partial(Short, n) for n in (2, 5)], autoreset_mode=mode))


def rollout(mode: AutoresetMode, words: str, length: int) -> tuple[Any, RolloutBatch]:
    """Return an agent without noise, and what the first steps of two environments taught it."""
    env = vector(mode)
    agent = made(f"agent=ppo agent.n_steps={length} {words}", env)  # type: ignore[arg-type]
    agent.network.distribution.noise = lambda n, rng: np.zeros((n, 2), np.float32)
    found: list[RolloutBatch] = []
    agent._learn, agent._measured = found.append, True
    stream = stream_of(agent, env, 0)  # type: ignore[arg-type]
    while not found:
        agent.observe(next(stream))
        agent.update()
    return agent, found[0]


KINDS = ("", "agent.network.standardize=true", *(f"agent.network.recurrent={kind}" for kind in ("gru", "lstm")))


@pytest.mark.parametrize("words", KINDS)
def test_a_rollout_with_them_is_one_without_them(words: str) -> None:
    """The same two environments with resets in steps of their own, and within the step that ends an episode."""
    apart, one = rollout(AutoresetMode.NEXT_STEP, words, 5)
    within, other = rollout(AutoresetMode.SAME_STEP, words, 6)
    weight = one.weight.view(5, 2)
    assert weight.T.tolist() == [[1, 1, 0, 1, 1], [1, 1, 1, 1, 1]]
    assert (other.weight == 1).all()
    rows: dict[str, Any] = {}
    for name in ("observation", "sample", "log_prob", "value", "advantage", "target"):
        # Two episodes of the first environment, one of the second.
        found, expected = (getattr(e, name).reshape(t, 2, -1) for e, t in ((one, 5), (other, 6)))
        valid = torch.cat([found[weight[:, 0] == 1, 0], found[:, 1]])
        rows[name] = torch.cat([expected[:4, 0], expected[:5, 1]])
        torch.testing.assert_close(valid, rows[name], msg=name)
    assert one.begins.view(5, 2)[:, 0].tolist() == [False, False, True, True, False]
    assert not one.begins.view(5, 2)[:, 1].any()
    assert other.begins.view(6, 2)[:, 0].tolist() == [False, False, True, False, True, False]
    if apart._statistics is None:
        for agent, batch in ((apart, one), (within, other)):
            log_prob, _, _ = agent._evaluate(batch)
            ratio = (log_prob - batch.log_prob.flatten()).exp()[batch.weight.flatten() == 1]
            torch.testing.assert_close(ratio, torch.ones_like(ratio))
    else:
        seen = rows["observation"].double().numpy()
        [statistics] = apart._statistics._of_parts
        assert statistics.count == 9
        np.testing.assert_allclose(statistics.mean, seen.mean(0), rtol=1e-6)
        np.testing.assert_allclose(statistics.variance, seen.var(0), rtol=1e-6)


def spoilt(transition: Transition, rng: np.random.Generator) -> Transition:
    """Return a transition with anything at all in the rows that were no step, but for what is legal."""
    rows = ~transition.valid

    def other(column: Any) -> Any:
        column = np.array(column)
        noise = rng.normal(0, 100, column.shape) if column.dtype.kind == "f" else rng.integers(0, 2, column.shape)
        column[rows] = noise[rows].astype(column.dtype)
        return column

    names = ("observation", "action", "reward", "discount", "next_observation", "last")
    memory = {name: other(column) for name, column in transition.memory.items()} if transition.memory else ()
    return transition._replace(**{name: other(getattr(transition, name)) for name in names}, memory=memory)


AGENTS = [
    *("ppo agent.n_steps=8 agent.batch_size=8", "ppo agent.n_steps=8 agent.network.standardize=true"),
    "ppo agent.n_steps=8 agent.value_clip=0.2 agent.scale_rewards=true agent.network.recurrent=lstm",
    *("a2c agent.n_steps=8", "a2c agent.n_steps=8 agent.network.recurrent=gru agent.scale_rewards=true"),
    *("reinforce agent.episodes=2", "actor_critic agent.discount_weights=true"),
    *("actor_critic agent.network.action_values=true", "es agent.population=4"),
]


@pytest.mark.parametrize("words", AGENTS)
def test_whatever_they_hold_changes_no_bit(words: str) -> None:
    env, rng = vector(AutoresetMode.NEXT_STEP), np.random.default_rng(0)
    words = f"agent={words} total_steps=200"
    agents = [made(words, env) for _ in range(2)]  # type: ignore[arg-type]
    told: list[Any] = []
    resets = 0
    for transition, metrics in train(agents[0], stream_of(agents[0], env, 0), total_steps=100):  # type: ignore[arg-type]
        resets += int((~transition.valid).sum())
        agents[1].observe(spoilt(transition, rng))
        other = agents[1].update()
        assert_same(metrics, other)
        told += [metrics] * (metrics is not None)
    assert resets > 10
    assert told
    assert_same(*(module_state(agent.network) for agent in agents))
    assert_same(*(agent.state_dict() for agent in agents))
