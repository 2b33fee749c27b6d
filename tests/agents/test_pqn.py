"""PQN: targets against a plain loop, where episodes are cut off too; gradients by hand; a task that it solves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from exact_gradients import Bandit
from hypothesis import given
from hypothesis import strategies as st
from making import made, stream_of

from rlkit.agents.pqn import RolloutTargets
from rlkit.core.loop import train
from rlkit.core.targets import q_lambda, td_target
from rlkit.core.types import UsageError
from rlkit.vector.serial import SerialEnvironment
from toys import Counting, Line, assert_same


def plain_loop(r: Any, discount: Any, v: Any, last: Any, lambda_: float) -> list[float]:
    """Return Q(lambda)'s targets of one environment, as they are defined."""
    found: list[float] = []
    for t in reversed(range(len(r))):
        after = v[t] if last[t] or not found else (1 - lambda_) * v[t] + lambda_ * found[0]
        found.insert(0, r[t] + discount[t] * after)
    return found


NUMBERS = st.floats(-10, 10)
STEP = st.tuples(
    NUMBERS, st.sampled_from([0.9, -0.9]), NUMBERS, st.sampled_from(["goes on", "terminated", "truncated"])
)


@given(steps=st.lists(STEP, min_size=1, max_size=12), lambda_=st.floats(0, 1), first=NUMBERS)
def test_targets_are_those_of_a_plain_loop(steps: list[Any], lambda_: float, first: float) -> None:
    """Inside an episode a successor is the next state; where one ends, it is a state that was never acted in."""
    r, discount, v, how = map(np.array, zip(*steps, strict=True))
    discount, last = np.where(how == "terminated", 0.0, discount), how != "goes on"
    v_tm1 = np.array([first, *np.where(last, 3.0, v)[:-1]])
    found = q_lambda(v_tm1, r, discount, v, last, lambda_)
    np.testing.assert_allclose(found, plain_loop(r, discount, v, last, lambda_), atol=1e-6)
    np.testing.assert_allclose(q_lambda(v_tm1, r, discount, v, last, 0.0), td_target(r, discount, v), atol=1e-9)


def learnt_from(agent: Any, env: SerialEnvironment, steps: int) -> tuple[list[Any], list[RolloutTargets]]:
    """Return transitions and the targets of their rollouts, from which the agent does not learn."""
    transitions, found, targets = [], [], agent._targets

    def noted(end: Any) -> RolloutTargets:
        found.append(RolloutTargets._make(column.clone() for column in targets(end)))
        return found[-1]

    agent._targets, agent._optimizer.step = noted, lambda *_: None
    for transition, _ in train(agent, stream_of(agent, env, 1), total_steps=steps * env.num_envs):
        transitions.append(transition)
    return transitions, found


def best(agent: Any, observation: Any, legal: Any) -> float:
    with torch.no_grad():
        q = agent.network(torch.from_numpy(observation[None]))[0, :, 0].numpy()
    return float(q.max() if legal is None else q[legal].max())


@pytest.mark.parametrize("lambda_", [0.0, 0.65, 1.0])
def test_a_rollout_s_targets_are_those_of_each_episode_alone(lambda_: float) -> None:
    """Episodes of `Counting` end terminated or truncated, and its masks change: the true successor's value counts."""
    env = SerialEnvironment([Counting] * 3)
    agent = made(f"agent=pqn agent.n_steps=30 agent.gamma=0.9 agent.trace_decay={lambda_} total_steps=999", env)
    transitions, (first, second) = learnt_from(agent, env, 60)
    assert any((t.last & (t.discount > 0)).any() for t in transitions)
    for batch, steps in ((first, transitions[:30]), (second, transitions[30:])):
        for i in range(3):
            legal = [None if t.next_legal_actions is None else t.next_legal_actions[i] for t in steps]
            v = [best(agent, t.next_observation[i], mask) for t, mask in zip(steps, legal, strict=True)]
            r, discount, last = (
                [column[i] for column in columns]
                for columns in zip(*((t.reward, 0.9 * t.discount, t.last) for t in steps), strict=True)
            )
            valid = np.array([t.valid[i] for t in steps])
            expected = np.array(plain_loop(r, discount, v, last, lambda_))
            np.testing.assert_allclose(batch.target.view(30, 3)[valid, i], expected[valid], rtol=1e-3, atol=1e-3)
            np.testing.assert_array_equal(batch.weight.view(30, 3)[:, i], valid)


def test_a_truncated_line_is_worth_what_follows_it_and_a_terminated_one_nothing() -> None:
    """Two lines with rewards of 1, of 3 steps that terminate and of 2 that are cut off; every value is 8."""
    env = SerialEnvironment([lambda: Line(3, terminates=True), lambda: Line(2)])
    agent = made("agent=pqn agent.n_steps=4 agent.gamma=0.5 agent.trace_decay=1 total_steps=99", env)
    head = agent.network.actions[1]
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(8.0)
    _, (batch,) = learnt_from(agent, env, 4)
    # Backwards in each column: 1 + .5 * 8 at the rollout's end and where a line is cut off, 1 where it terminates.
    assert batch.target.view(4, 2).tolist() == [[1.75, 3.5], [1.5, 5.0], [1.0, 3.5], [5.0, 5.0]]


def test_the_gradient_goes_through_the_action_that_was_taken_and_through_no_target() -> None:
    agent = made("agent=pqn total_steps=9999", SerialEnvironment([Bandit]))
    head, observation = agent.network.actions[1], torch.zeros(3, dtype=torch.int64)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([1.0, 5.0]))
    batch = RolloutTargets(
        observation, torch.tensor([0, 0, 1]), torch.tensor([2.0, 4.0, 9.0]), torch.tensor([1.0, 1.0, 0.0])
    )
    loss, metrics = agent.loss(batch)
    loss.backward()
    # Squared errors 1 and 9; the third row was no step.
    assert loss.item() == 5.0
    assert metrics["q/mean"].item() == 1.0
    assert head.bias.grad.tolist() == [2 * (1 - 3.0), 0.0]


def test_it_finds_the_better_arm() -> None:
    env = SerialEnvironment([Bandit] * 4)
    agent = made("agent=pqn agent.n_steps=16 agent.batch_size=16 agent.learning_rate=0.005 total_steps=3000", env)
    for _ in train(agent, stream_of(agent, env, 0), total_steps=3000):
        pass
    values = agent.network(torch.zeros(1, dtype=torch.int64))[0, :, 0]
    assert values.argmax() == 1


def test_epsilon_falls_over_half_of_the_run() -> None:
    agent = made("agent=pqn total_steps=1000", SerialEnvironment([Bandit]))
    assert [agent.settings.epsilon(step) for step in (0, 250, 500, 1000)] == pytest.approx([1, 0.525, 0.05, 0.05])


def test_its_state_is_restored() -> None:
    env = SerialEnvironment([Counting] * 2)
    agent, other = (made("agent=pqn agent.n_steps=8 agent.batch_size=8 total_steps=300", env) for _ in range(2))
    for _ in train(agent, stream_of(agent, env, 0), total_steps=50):
        pass
    other.load_state_dict(agent.state_dict())
    assert_same(other.state_dict(), agent.state_dict())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("agent.network.noisy=true", "PQN explores by epsilon; leave it false"),
        ("+agent.network.recurrent=gru", "PQN has no memory"),
        ("distribution@agent.network.distribution=quantile", "agent=pqn learns expected returns"),
    ],
)
def test_networks_that_it_does_not_learn_with_are_refused(words: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        made(f"agent=pqn {words} total_steps=99", SerialEnvironment([Counting]))
