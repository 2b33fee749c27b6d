"""Tabular control against tables computed by hand, and against plain formulas over whole episodes."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from test_agents import learn, transition

from rlkit.agents.double_q_learning import DoubleQLearning
from rlkit.agents.expected_sarsa import ExpectedSarsa
from rlkit.agents.q_learning import QLearning
from rlkit.agents.sarsa import Sarsa
from rlkit.control import TabularControl
from rlkit.core import UsageError
from rlkit.explore import Constant, Linear
from rlkit.loop import interact, train
from rlkit.tables import Step, Table, Traces, first_visits, make_credit, returns_of
from rlkit.vector import SerialEnvironment
from toys import assert_same

AGENTS = (QLearning, DoubleQLearning, Sarsa, ExpectedSarsa)


def make(kind: type[TabularControl], **keys: Any) -> Any:
    settings: dict[str, Any] = {
        "observation_space": spaces.Discrete(20),
        "action_space": spaces.Discrete(2),
        "gamma": 0.5,
        "epsilon": Constant(0.2),
        "learning_rate": 0.5,
        "learning_rate_decay": 0.0,
        "initial_value": 0.0,
        "n_step": 1,
        "trace_decay": 0.0,
        "rng": np.random.default_rng(0),
    }
    return kind(**{**settings, **keys})


class TestSarsa:
    def test_a_step_learns_from_the_next_action_taken(self) -> None:
        agent = make(Sarsa)
        agent.q[1] = [4.0, 8.0]
        assert learn(agent, transition([0], [1], [1.0], [1.0], [1])) is None
        learn(agent, transition([1], [0], [0.0], [1.0], [2]))
        # 0 + 0.5 (1 + 0.5 * 4 - 0), not the greedy 8.
        assert agent.q[0].tolist() == [0.0, 1.5]

    def test_the_last_step_learns_at_once(self) -> None:
        agent = make(Sarsa)
        agent.q[1] = [9.0, 9.0]
        learn(agent, transition([0], [1], [1.0], [0.0], [1]))
        assert agent.q[0, 1] == 0.5

    def test_after_truncation_an_action_is_drawn_at_the_true_successor(self) -> None:
        drawn = []
        for seed in range(400):
            agent = make(Sarsa, rng=np.random.default_rng(seed))
            agent.q[5], agent.q[7] = [4.0, 8.0], [100.0, 100.0]
            learn(agent, transition([4], [0], [0.0], [1.0], [5], last=[True]))
            learn(agent, transition([7], [0], [0.0], [1.0], [8]))
            drawn.append(agent.q[4, 0] / 0.25)
        assert set(drawn) == {4.0, 8.0}
        # Epsilon-greedy: the other action in 0.2 / 2 of the cases.
        assert np.mean(np.array(drawn) == 4.0) == pytest.approx(0.1, abs=0.045)

    def test_environments_do_not_mix(self) -> None:
        agent = make(Sarsa)
        agent.q[1], agent.q[2] = [4.0, 8.0], [16.0, 32.0]
        learn(agent, transition([0, 3], [0, 0], [0.0, 0.0], [1.0, 1.0], [1, 2]))
        learn(agent, transition([1, 2], [1, 0], [0.0, 0.0], [1.0, 1.0], [9, 9]))
        assert (agent.q[0, 0], agent.q[3, 0]) == (0.25 * 8, 0.25 * 16)


class TestExpectedSarsa:
    def test_the_successor_is_worth_its_mean_under_the_policy(self) -> None:
        agent = make(ExpectedSarsa)
        agent.q[1] = [4.0, 8.0]
        learn(agent, transition([0], [1], [1.0], [1.0], [1]))
        # 0.9 * 8 + 0.1 * 4 = 7.6.
        assert agent.q[0, 1] == pytest.approx(0.5 * (1 + 0.5 * 7.6))

    def test_illegal_actions_are_left_out(self) -> None:
        agent = make(ExpectedSarsa)
        agent.q[1] = [4.0, 8.0]
        learn(agent, transition([0], [1], [1.0], [1.0], [1], next_legal_actions=[[True, False]]))
        assert agent.q[0, 1] == 0.5 * (1 + 0.5 * 4)
        learn(agent, transition([3], [1], [1.0], [0.0], [1], next_legal_actions=[[False, False]]))
        assert agent.q[3, 1] == 0.5


class TestDoubleQLearning:
    def test_one_table_learns_what_the_other_says_of_its_best_action(self) -> None:
        sides = set()
        for seed in range(20):
            agent = make(DoubleQLearning, rng=np.random.default_rng(seed))
            first, second = agent._tables
            first.values[1], second.values[1] = [1.0, 2.0], [40.0, 30.0]
            learn(agent, transition([0], [0], [0.0], [1.0], [1]))
            # The first prefers action 1, which the second says is worth 30; the second prefers 0, worth 1.
            sides.add((first.values[0, 0], second.values[0, 0]))
        assert sides == {(0.25 * 30, 0.0), (0.0, 0.25 * 1)}

    def test_it_acts_on_both(self) -> None:
        agent = make(DoubleQLearning)
        first, second = agent._tables
        first.values[0], second.values[0] = [1.0, 0.0], [0.0, 3.0]
        assert agent.q[0].tolist() == [0.5, 1.5]


class TestReturns:
    def test_three_steps_are_added_up(self) -> None:
        agent = make(Sarsa, n_step=3, epsilon=Constant(0.0))
        agent.q[4] = [16.0, 0.0]
        rows = [([s], [0], [1.0], [1.0], [s + 1]) for s in range(1, 4)]
        for row in rows:
            assert learn(agent, transition(*row)) is None
        learn(agent, transition([4], [0], [0.0], [1.0], [5]))
        # 1 + 0.5 (1 + 0.5 (1 + 0.5 * 16)) = 3.75, half of it.
        assert agent.q[1, 0] == 0.5 * 3.75
        assert agent.q[2:4].any() == False  # noqa: E712 - an array's

    def test_at_an_end_all_that_wait_learn(self) -> None:
        agent = make(QLearning, n_step=3)
        for s, discount in ((1, 1.0), (2, 0.0)):
            learn(agent, transition([s], [0], [1.0], [discount], [s + 1]))
        assert agent.q[1:3, 0].tolist() == [0.5 * 1.5, 0.5]

    def test_the_greedy_policy_s_returns_end_where_an_action_was_not_greedy(self) -> None:
        agent = make(QLearning, n_step=3)
        agent.q[2] = [8.0, 0.0]
        learn(agent, transition([1], [0], [1.0], [1.0], [2]))
        learn(agent, transition([2], [1], [100.0], [0.0], [3]))
        # Not the 100, which came from an action that the greedy policy does not take.
        assert agent.q[1, 0] == 0.5 * (1 + 0.5 * 8)
        assert agent.q[2, 1] == 50.0

    @settings(max_examples=60)
    @given(data=st.data(), n_step=st.integers(1, 5), n=st.integers(1, 3))
    def test_targets_are_those_of_the_formula(self, data: st.DataObject, n_step: int, n: int) -> None:
        draw = st.lists(
            st.tuples(st.integers(0, 3), st.floats(-1, 1), st.sampled_from([0.0, 0.9]), st.booleans()),
            min_size=1, max_size=12,
        )  # fmt: skip
        episodes = [data.draw(draw) for _ in range(n)]
        table, credit, found = Table((5, 1), 0.0, 1.0, 0.0), make_credit(n_step, 0.0), []
        table.move = lambda s, a, error: found.append((s, error))  # type: ignore[method-assign]
        expected = []
        for i, rows in enumerate(episodes):
            steps = [Step(s, 0, r, d, 4, last or d == 0, None, None) for s, r, d, last in rows]
            worths = [0.25 * t for t in range(len(steps))]
            for step, worth in zip(steps, worths, strict=True):
                credit.spread(i, step, worth, table)
            for t in range(len(steps)):
                end = next((k for k in range(t, len(steps)) if steps[k].last or k == t + n_step - 1), None)
                if end is not None:
                    target = sum(
                        steps[k].r_t * np.prod([step.discount_t for step in steps[t:k]]) for k in range(t, end + 1)
                    )
                    target += worths[end] * np.prod([step.discount_t for step in steps[t : end + 1]])
                    expected.append((steps[t].s_tm1, pytest.approx(target, abs=1e-12)))
        # Within an environment in order; what ends late comes late.
        assert sorted(found) == sorted(expected, key=lambda pair: (pair[0], pair[1].expected))


class TestTraces:
    def test_earlier_steps_learn_from_a_later_error(self) -> None:
        agent = make(QLearning, trace_decay=0.8)
        learn(agent, transition([1], [0], [0.0], [1.0], [2]))
        learn(agent, transition([2], [0], [0.0], [1.0], [3]))
        learn(agent, transition([3], [0], [10.0], [0.0], [4]))
        # Traces 0.4 ** k, errors 0, 0 and 10; half of it.
        assert agent.q[1:4, 0].tolist() == pytest.approx([5 * 0.16, 5 * 0.4, 5.0])

    def test_a_state_seen_again_has_a_fresh_trace_not_a_bigger_one(self) -> None:
        agent = make(QLearning, trace_decay=0.8)
        for _ in range(3):
            learn(agent, transition([1], [0], [0.0], [1.0], [1]))
        learn(agent, transition([1], [0], [10.0], [0.0], [4]))
        assert agent.q[1, 0] == 5.0

    def test_an_exploring_action_ends_the_traces_of_q_learning_but_not_of_sarsa(self) -> None:
        for kind, value in ((QLearning, 0.0), (ExpectedSarsa, 5 * 0.4)):
            agent = make(kind, trace_decay=0.8)
            learn(agent, transition([1], [0], [0.0], [1.0], [2]))
            agent.q[2] = [0.0, 1e-12]
            learn(agent, transition([2], [0], [10.0], [0.0], [3]))
            assert agent.q[1, 0] == pytest.approx(value, abs=1e-9)

    def test_traces_end_with_the_episode(self) -> None:
        agent = make(QLearning, trace_decay=0.8)
        learn(agent, transition([1], [0], [0.0], [1.0], [2], last=[True]))
        learn(agent, transition([2], [0], [10.0], [0.0], [3]))
        assert agent.q[1, 0] == 0.0

    def test_lambda_1_at_the_end_of_an_episode_is_monte_carlo(self) -> None:
        """With every value 0 and errors learnt in full only at the end, as all rewards come there."""
        rng = np.random.default_rng(0)
        traces, table = Traces(1.0), Table((9, 2), 0.0, 1.0, 0.0)
        steps = [Step(s, int(rng.integers(2)), 0.0, 0.9, s + 1, False, None, None) for s in range(7)]
        steps.append(Step(7, 1, 3.0, 0.0, 8, True, None, None))
        for step in steps:
            traces.spread(0, step, 0.0, table)
        got = [table.values[step.s_tm1, step.a_tm1] for step in steps]
        assert got == pytest.approx(returns_of(steps, 0.0))


def test_returns_go_backwards() -> None:
    steps = [Step(0, 0, reward, 0.5, 1, False, None, None) for reward in (1.0, 2.0, 4.0)]
    assert returns_of(steps, 8.0) == [1 + 0.5 * (2 + 0.5 * (4 + 0.5 * 8)), 2 + 0.5 * 8, 8.0]


def test_first_visits_are_of_states_and_actions() -> None:
    steps = [Step(s, a, 0.0, 1.0, 0, False, None, None) for s, a in ((1, 0), (1, 1), (1, 0), (2, 0), (1, 1))]
    assert list(first_visits(steps)) == [0, 1, 3]


@pytest.mark.parametrize(("n_step", "trace_decay"), [(0, 0.0), (2, 0.5), (1, 1.5), (1, -0.1)])
def test_credit_that_cannot_be_is_refused(n_step: int, trace_decay: float) -> None:
    with pytest.raises(UsageError, match=f"agent.n_step is {n_step} and agent.trace_decay {trace_decay}"):
        make(QLearning, n_step=n_step, trace_decay=trace_decay)


VARIANTS = [{}, {"n_step": 3}, {"trace_decay": 0.7}]


def lake(n: int) -> SerialEnvironment:
    return SerialEnvironment([lambda: gymnasium.make("FrozenLake-v1", disable_env_checker=True)] * n)


def stream_of(agent: Any, env: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return interact(agent, env, explore=True, rng=rng, reset_seeds=lambda step: list(range(env.num_envs)))


@pytest.mark.parametrize("kind", AGENTS)
@pytest.mark.parametrize("variant", VARIANTS, ids=["one step", "three steps", "traces"])
def test_it_goes_on_from_its_state_as_if_there_had_been_no_break(kind: type[TabularControl], variant: Any) -> None:
    space = {"observation_space": spaces.Discrete(16), "action_space": spaces.Discrete(4)}
    agent, other = (make(kind, epsilon=Linear(1.0, 0.1, 500), **space, **variant) for _ in range(2))
    env = lake(3)
    stream = stream_of(agent, env, 0)
    for _ in train(agent, stream, total_steps=302):
        pass
    env_state, stream_state = copy.deepcopy(env.get_state()), copy.deepcopy(stream.state_dict())
    other.load_state_dict(copy.deepcopy(agent.state_dict()))
    for _ in train(agent, stream, total_steps=600):
        pass
    again = lake(3)
    stream = stream_of(other, again, 99)
    stream.load_state_dict({**stream_state, "env": env_state})
    for _ in train(other, stream, total_steps=600):
        pass
    assert_same(other.state_dict(), agent.state_dict())
    assert agent.q.any()
