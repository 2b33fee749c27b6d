"""IMPALA: targets by hand, where the policies are equal and where they are not, and what it has in common with A2C."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from making import made, stream_of

from rlkit.core.loop import train
from rlkit.vector.serial import SerialEnvironment
from toys import Counting, Line, assert_same


def corrected(words: str, value: float, ratio: float) -> tuple[Any, Any]:
    """Return targets and advantages [4, 2] of a rollout on two lines, whose states are worth `value` by the network.

    The first line ends after 3 steps, the second is cut off after 2: rewards are 1. The policy that learns does what
    was done with `ratio` times the chance of the one that acted.
    """
    env = SerialEnvironment([lambda: Line(3, terminates=True), lambda: Line(2)])
    agent = made(f"agent=impala agent.n_steps=4 agent.gamma=0.5 {words}", env)
    with torch.no_grad():
        agent.network.value.weight.zero_()
        agent.network.value.bias.fill_(value)
    found: list[Any] = []

    def look(rollout: Any) -> None:
        parts = agent._corrected(torch.full((8,), value), torch.full((8,), ratio), agent._successor)
        found.extend(part.view(4, 2).tolist() for part in parts)

    agent._learn = look
    for _ in train(agent, stream_of(agent, env, 0), total_steps=8):
        pass
    return found[0], found[1]


def test_equal_policies_give_the_n_step_return() -> None:
    target, advantage = corrected("", 8.0, 1.0)
    # Backwards in each column: 1 + .5 V at the end of the rollout and where it is cut off, 1 at the end of the episode.
    assert target == [[1.75, 3.5], [1.5, 5.0], [1.0, 3.5], [5.0, 5.0]]
    assert advantage == [[1.75 - 8, 3.5 - 8], [1.5 - 8, 5.0 - 8], [1.0 - 8, 3.5 - 8], [5.0 - 8, 5.0 - 8]]


def test_what_the_learning_policy_does_less_counts_less_and_what_it_does_more_no_more() -> None:
    target, advantage = corrected("", 8.0, 0.5)
    # V + rho delta + rho gamma (v' - V'), with rho = c = .5; delta is -3, and -7 at the end of the episode.
    first = [8 - 1.5 + 0.25 * (8 - 1.5 + 0.25 * -3.5 - 8), 8 - 1.5 + 0.25 * -3.5, 8 - 3.5, 6.5]
    second = [8 - 1.5 + 0.25 * -1.5, 6.5, 8 - 1.5 + 0.25 * -1.5, 6.5]
    assert target == [[a, b] for a, b in zip(first, second, strict=True)]
    assert advantage[0] == [0.5 * (1 + 0.5 * first[1] - 8), 0.5 * (1 + 0.5 * second[1] - 8)]
    assert corrected("", 8.0, 7.0) == corrected("", 8.0, 1.0)
    assert corrected("agent.clip=2", 8.0, 7.0) == corrected("agent.clip=2", 8.0, 2.0) != corrected("", 8.0, 2.0)


@pytest.mark.parametrize("kind", ["none", "gru"])
def test_in_one_process_it_learns_as_a2c(kind: str) -> None:
    """The policy that acted is the one that learns: the first step is the same, but for the rounding of V-trace."""
    words = f"agent.n_steps=6 agent.gae_lambda=1 agent.gamma=0.9 agent.network.recurrent={kind} total_steps=1000"
    found = []
    for agent in ("a2c", "impala"):
        env = SerialEnvironment([Counting] * 3)
        learner = made(f"agent={agent} {words}", env)
        for _, metrics in train(learner, stream_of(learner, env, 0), total_steps=18):
            if metrics is not None:
                found.append((learner.network.policy.weight.detach().numpy(), metrics))
    (weights, metrics), (others, more) = found
    np.testing.assert_allclose(others, weights, rtol=1e-4, atol=1e-6)
    assert more["ratio"] == pytest.approx(1, abs=1e-4)
    assert {name: more[name] for name in metrics} == pytest.approx(metrics, rel=1e-3, abs=1e-4)


def test_its_state_is_restored() -> None:
    env = SerialEnvironment([Counting] * 2)
    agent, other = (made("agent=impala agent.n_steps=8 total_steps=300", env) for _ in range(2))
    for _ in train(agent, stream_of(agent, env, 0), total_steps=50):
        pass
    other.load_state_dict(agent.state_dict())
    assert_same(other.state_dict(), agent.state_dict())
