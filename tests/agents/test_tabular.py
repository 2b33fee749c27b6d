"""Tabular control against tables computed by hand, and against plain formulas over whole episodes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import AGENTS, Walk, make, monte_carlo, stream_of
from transitions import learn, seen, transition

import rlkit
from rlkit.agents.double_q_learning import DoubleQLearning
from rlkit.agents.expected_sarsa import ExpectedSarsa
from rlkit.agents.mc_prediction import MCPrediction
from rlkit.agents.q_learning import QLearning
from rlkit.agents.sarsa import Sarsa
from rlkit.agents.td_prediction import TDPrediction
from rlkit.algorithms.fixed_policies import Uniform
from rlkit.algorithms.tabular.control import QTable, TabularControl
from rlkit.algorithms.tabular.monte_carlo import first_visits, returns_of
from rlkit.algorithms.tabular.prediction import Prediction
from rlkit.algorithms.tabular.traces import EligibilityTraces, NStepReturns, Step, make_traces
from rlkit.core.loop import train
from rlkit.core.schedules import Constant, Linear
from rlkit.core.types import UsageError
from rlkit.vector.serial import SerialEnvironment
from toys import assert_same


def table_of(shape: tuple[int, int]) -> QTable:
    """Return a table of zeros whose values go all the way to their targets."""
    return QTable(np.zeros(shape), np.zeros(shape, np.int64), 1.0, 0.0)


class Targets(QTable):
    """A table that notes what is learned in place of learning it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.targets: list[tuple[int, float]] = []

    def update(self, s: int, a: int, target: float) -> float:
        self.targets.append((s, target))
        return target


def test_only_legal_actions_are_best_or_worth_anything() -> None:
    table = table_of((2, 3))
    table.values[...] = [[0.0, 5.0, 3.0], [9.0, 1.0, -2.0]]
    masks = [np.array(mask, bool) for mask in ([1, 0, 1], [0, 1, 1], [0, 0, 0])]
    assert [table.argmax(s, None) for s in (0, 1)] == [1, 0]
    assert [table.argmax(s, mask) for s in (0, 1) for mask in masks[:2]] == [2, 1, 0, 1]
    assert [table.max_value(s, None) for s in (0, 1)] == [5.0, 9.0]
    assert [table.max_value(s, mask) for s in (0, 1) for mask in masks] == [3.0, 5.0, 0.0, 9.0, 1.0, 0.0]


class TestSarsa:
    def test_a_step_learns_from_the_next_action_taken(self) -> None:
        agent = make(Sarsa)
        agent.q.values[1] = [4.0, 8.0]
        assert learn(agent, transition([0], [1], [1.0], [1.0], [1])) is None
        learn(agent, transition([1], [0], [0.0], [1.0], [2]))
        # 0 + 0.5 (1 + 0.5 * 4 - 0), not the greedy 8.
        assert agent.q.values[0].tolist() == [0.0, 1.5]

    def test_the_last_step_learns_at_once(self) -> None:
        agent = make(Sarsa)
        agent.q.values[1] = [9.0, 9.0]
        learn(agent, transition([0], [1], [1.0], [0.0], [1]))
        assert agent.q.values[0, 1] == 0.5

    def test_after_truncation_an_action_is_drawn_at_the_true_successor(self) -> None:
        drawn = []
        for seed in range(400):
            agent = make(Sarsa, rng=np.random.default_rng(seed))
            agent.q.values[5], agent.q.values[7] = [4.0, 8.0], [100.0, 100.0]
            learn(agent, transition([4], [0], [0.0], [1.0], [5], last=[True]))
            learn(agent, transition([7], [0], [0.0], [1.0], [8]))
            drawn.append(agent.q.values[4, 0] / 0.25)
        assert set(drawn) == {4.0, 8.0}
        # Epsilon-greedy: the other action in 0.2 / 2 of the cases.
        assert np.mean(np.array(drawn) == 4.0) == pytest.approx(0.1, abs=0.045)

    def test_environments_do_not_mix(self) -> None:
        agent = make(Sarsa)
        agent.q.values[1], agent.q.values[2] = [4.0, 8.0], [16.0, 32.0]
        learn(agent, transition([0, 3], [0, 0], [0.0, 0.0], [1.0, 1.0], [1, 2]))
        learn(agent, transition([1, 2], [1, 0], [0.0, 0.0], [1.0, 1.0], [9, 9]))
        assert (agent.q.values[0, 0], agent.q.values[3, 0]) == (0.25 * 8, 0.25 * 16)


class TestExpectedSarsa:
    def test_the_successor_is_worth_its_mean_under_the_policy(self) -> None:
        agent = make(ExpectedSarsa)
        agent.q.values[1] = [4.0, 8.0]
        learn(agent, transition([0], [1], [1.0], [1.0], [1]))
        # 0.9 * 8 + 0.1 * 4 = 7.6.
        assert agent.q.values[0, 1] == pytest.approx(0.5 * (1 + 0.5 * 7.6))

    def test_illegal_actions_are_left_out(self) -> None:
        agent = make(ExpectedSarsa)
        agent.q.values[1] = [4.0, 8.0]
        learn(agent, transition([0], [1], [1.0], [1.0], [1], next_legal_actions=[[True, False]]))
        assert agent.q.values[0, 1] == 0.5 * (1 + 0.5 * 4)
        learn(agent, transition([3], [1], [1.0], [0.0], [1], next_legal_actions=[[False, False]]))
        assert agent.q.values[3, 1] == 0.5


class TestDoubleQLearning:
    def test_one_table_learns_what_the_other_says_of_its_best_action(self) -> None:
        sides = set()
        for seed in range(20):
            agent = make(DoubleQLearning, rng=np.random.default_rng(seed))
            first, second = agent.tables
            first.values[1], second.values[1] = [1.0, 2.0], [40.0, 30.0]
            learn(agent, transition([0], [0], [0.0], [1.0], [1]))
            # The first prefers action 1, which the second says is worth 30; the second prefers 0, worth 1.
            sides.add((first.values[0, 0], second.values[0, 0]))
        assert sides == {(0.25 * 30, 0.0), (0.0, 0.25 * 1)}

    def test_it_acts_on_both(self) -> None:
        agent = make(DoubleQLearning)
        first, second = agent.tables
        first.values[0], second.values[0] = [1.0, 0.0], [0.0, 3.0]
        assert agent.q_values[0].tolist() == [0.5, 1.5]


class TestReturns:
    def test_three_steps_are_added_up(self) -> None:
        agent = make(Sarsa, n_step=3, epsilon=Constant(0.0))
        agent.q.values[4] = [16.0, 0.0]
        rows = [([s], [0], [1.0], [1.0], [s + 1]) for s in range(1, 4)]
        for row in rows:
            assert learn(agent, transition(*row)) is None
        learn(agent, transition([4], [0], [0.0], [1.0], [5]))
        # 1 + 0.5 (1 + 0.5 (1 + 0.5 * 16)) = 3.75, half of it.
        assert agent.q.values[1, 0] == 0.5 * 3.75
        assert agent.q.values[2:4].any() == False  # noqa: E712 - an array's

    def test_at_an_end_all_that_wait_learn(self) -> None:
        agent = make(QLearning, n_step=3)
        for s, discount in ((1, 1.0), (2, 0.0)):
            learn(agent, transition([s], [0], [1.0], [discount], [s + 1]))
        assert agent.q.values[1:3, 0].tolist() == [0.5 * 1.5, 0.5]

    def test_the_greedy_policy_s_returns_end_where_an_action_was_not_greedy(self) -> None:
        agent = make(QLearning, n_step=3)
        agent.q.values[2] = [8.0, 0.0]
        learn(agent, transition([1], [0], [1.0], [1.0], [2]))
        learn(agent, transition([2], [1], [100.0], [0.0], [3]))
        # Not the 100, which came from an action that the greedy policy does not take.
        assert agent.q.values[1, 0] == 0.5 * (1 + 0.5 * 8)
        assert agent.q.values[2, 1] == 50.0

    def test_one_step_alone_waits_for_nothing(self) -> None:
        made = [type(make_traces(*words)) for words in ((1, 0.0), (2, 0.0), (1, 0.5))]
        assert made == [type(None), NStepReturns, EligibilityTraces]

    @settings(max_examples=60)
    @given(data=st.data(), n_step=st.integers(1, 5), n=st.integers(1, 3))
    def test_targets_are_those_of_the_formula(self, data: st.DataObject, n_step: int, n: int) -> None:
        draw = st.lists(
            st.tuples(st.integers(0, 3), st.floats(-1, 1), st.sampled_from([0.0, 0.9, -0.9]), st.booleans()),
            min_size=1, max_size=12,
        )  # fmt: skip
        episodes = [data.draw(draw) for _ in range(n)]
        table, traces = Targets(np.zeros((5, 1)), np.zeros((5, 1), np.int64), 1.0, 0.0), NStepReturns(n_step)
        expected = []
        for i, rows in enumerate(episodes):
            steps = [Step(s, 0, r, d, 4, last or d == 0, None, None) for s, r, d, last in rows]
            worths = [0.25 * t for t in range(len(steps))]
            for step, worth in zip(steps, worths, strict=True):
                traces.update(table, i, step, step.r_t + step.discount_t * worth)
            for t in range(len(steps)):
                end = next((k for k in range(t, len(steps)) if steps[k].last or k == t + n_step - 1), None)
                if end is not None:
                    target = sum(
                        steps[k].r_t * np.prod([step.discount_t for step in steps[t:k]]) for k in range(t, end + 1)
                    )
                    target += worths[end] * np.prod([step.discount_t for step in steps[t : end + 1]])
                    expected.append((steps[t].s_tm1, pytest.approx(target, abs=1e-12)))
        # Within an environment in order; what ends late comes late.
        assert sorted(table.targets) == sorted(expected, key=lambda pair: (pair[0], pair[1].expected))


class TestTraces:
    def test_earlier_steps_learn_from_a_later_error(self) -> None:
        agent = make(QLearning, trace_decay=0.8)
        learn(agent, transition([1], [0], [0.0], [1.0], [2]))
        learn(agent, transition([2], [0], [0.0], [1.0], [3]))
        learn(agent, transition([3], [0], [10.0], [0.0], [4]))
        # Traces 0.4 ** k, errors 0, 0 and 10; half of it.
        assert agent.q.values[1:4, 0].tolist() == pytest.approx([5 * 0.16, 5 * 0.4, 5.0])

    def test_a_state_seen_again_has_a_fresh_trace_not_a_bigger_one(self) -> None:
        agent = make(QLearning, trace_decay=0.8)
        for _ in range(3):
            learn(agent, transition([1], [0], [0.0], [1.0], [1]))
        learn(agent, transition([1], [0], [10.0], [0.0], [4]))
        assert agent.q.values[1, 0] == 5.0

    @pytest.mark.parametrize("kind", [QLearning, DoubleQLearning])
    @pytest.mark.parametrize("credit", [{"trace_decay": 0.8}, {"n_step": 3}], ids=["traces", "three steps"])
    def test_an_illegal_action_is_no_greedier_one(self, kind: Any, credit: Any) -> None:
        agent = make(kind, **credit)
        agent.values[:, 2] = [-1.0, 9.0]
        learn(agent, transition([1], [0], [0.0], [1.0], [2], next_legal_actions=[[True, False]]))
        before = agent.values[:, 1, 0].sum()
        row = transition([2], [0], [10.0], [0.0], [3])
        learn(agent, row._replace(legal_actions=np.array([[True, False]])))
        # The first step learns from the second, as nothing better could have been done.
        assert agent.values[:, 1, 0].sum() > before + 1

    def test_an_exploring_action_ends_the_traces_of_q_learning_but_not_of_sarsa(self) -> None:
        for kind, value in ((QLearning, 0.0), (ExpectedSarsa, 5 * 0.4)):
            agent = make(kind, trace_decay=0.8)
            learn(agent, transition([1], [0], [0.0], [1.0], [2]))
            agent.q.values[2] = [0.0, 1e-12]
            learn(agent, transition([2], [0], [10.0], [0.0], [3]))
            assert agent.q.values[1, 0] == pytest.approx(value, abs=1e-9)

    def test_traces_end_with_the_episode(self) -> None:
        agent = make(QLearning, trace_decay=0.8)
        learn(agent, transition([1], [0], [0.0], [1.0], [2], last=[True]))
        learn(agent, transition([2], [0], [10.0], [0.0], [3]))
        assert agent.q.values[1, 0] == 0.0

    def test_lambda_1_at_the_end_of_an_episode_is_monte_carlo(self) -> None:
        """With every value 0 and errors learnt in full only at the end, as all rewards come there."""
        rng = np.random.default_rng(0)
        traces, table = EligibilityTraces(1.0), table_of((9, 2))
        steps = [Step(s, int(rng.integers(2)), 0.0, 0.9, s + 1, False, None, None) for s in range(7)]
        steps.append(Step(7, 1, 3.0, 0.0, 8, True, None, None))
        for step in steps:
            traces.update(table, 0, step, step.r_t)
        got = [table.values[step.s_tm1, step.a_tm1] for step in steps]
        assert got == pytest.approx(returns_of(steps, 0.0))


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_a_schedule_by_episodes_counts_every_end(end: str) -> None:
    agent = make(QLearning, epsilon=Linear(1.0, 0.0, 4), epsilon_counts="episodes")
    rows = ([0, 1, 2], [0, 0, 0], [0.0, 0.0, 0.0], [float(end == "truncated")] * 2 + [1.0], [1, 2, 3])
    # The second row is no step, and the third does not end an episode.
    metrics = learn(agent, transition(*rows, last=[True, True, False], valid=[True, False, True]))
    assert (agent.episodes, agent.steps) == (1, 2)
    assert metrics["epsilon"] == 0.75
    other = make(QLearning, epsilon=Linear(1.0, 0.0, 4), epsilon_counts="episodes")
    other.load_state_dict(agent.state_dict())
    assert learn(other, transition(*rows, last=[True, False, True]))["epsilon"] == 0.25


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
    assert agent.q_values.any()


def play_episode(agent: Any, steps: list[tuple[int, int, float]], *, end: str = "terminates") -> Any:
    """Let the agent see an episode of (state, action, reward), which ends in state 9; return the last metrics."""
    metrics = None
    for t, (s, a, reward) in enumerate(steps):
        final = t == len(steps) - 1
        following = 9 if final else steps[t + 1][0]
        discount = 0.0 if final and end == "terminates" else 1.0
        metrics = learn(agent, transition([s], [a], [reward], [discount], [following], last=[final]))
    return metrics


class TestPrediction:
    EPISODE: ClassVar = [(1, 0, 0.0), (2, 1, 1.0), (1, 1, 2.0)]

    @pytest.mark.parametrize(("first", "value"), [(True, 1.0), (False, 1.5)])
    def test_monte_carlo_takes_first_or_every_visit(self, first: bool, value: float) -> None:
        agent = predict(MCPrediction, first_visit=first)
        assert play_episode(agent, self.EPISODE)
        # Returns 1.0 (= 0.5 (1 + 0.5 * 2)), 2.0 and 2.0; state 1 is seen first and last.
        assert agent.v[1] == pytest.approx(value)
        assert agent.v[2] == 2.0
        assert agent.table.visits[[1, 2], 0].tolist() == [1 if first else 2, 1]

    def test_monte_carlo_takes_means_over_episodes(self) -> None:
        agent = predict(MCPrediction, first_visit=True)
        for reward in (1.0, 2.0, 6.0):
            play_episode(agent, [(3, 0, reward)])
        assert agent.v[3] == pytest.approx(3.0)

    def test_a_truncated_return_goes_on_with_the_value_of_where_it_was_broken_off(self) -> None:
        agent = predict(MCPrediction, first_visit=True)
        agent.v[9] = 8.0
        play_episode(agent, [(1, 0, 1.0)], end="is truncated")
        assert agent.v[1] == 1 + 0.5 * 8

    def test_td_0_bootstraps(self) -> None:
        agent = predict(TDPrediction, n_step=1, trace_decay=0.0, learning_rate=0.5, learning_rate_decay=0.0)
        agent.v[2] = 4.0
        learn(agent, transition([1], [1], [1.0], [1.0], [2]))
        assert agent.v[1] == 0.5 * (1 + 0.5 * 4)

    def test_they_act_as_the_policy_does(self) -> None:
        agent = predict(TDPrediction, n_step=1, trace_decay=0.0)
        for explore in (False, True):
            rng = np.random.default_rng(0)
            action, _ = agent.act(seen([0] * 600), (), explore=explore, rng=rng)
            assert np.bincount(action).tolist() == pytest.approx([300, 300], abs=60)

    KINDS: ClassVar[dict[str, tuple[type[Prediction], dict[str, Any]]]] = {
        "td": (TDPrediction, {"n_step": 1, "trace_decay": 0.0, "learning_rate_decay": 0.7}),
        "three steps": (TDPrediction, {"n_step": 3, "trace_decay": 0.0, "learning_rate_decay": 0.8}),
        "traces": (TDPrediction, {"n_step": 1, "trace_decay": 0.6, "learning_rate_decay": 0.8}),
        "first visit": (MCPrediction, {"first_visit": True}),
        "every visit": (MCPrediction, {"first_visit": False}),
    }
    WORTH: ClassVar = np.arange(1, 6) / 6
    """Of a random walk over five states, to the left for nothing, to the right for 1."""

    def walked(self, kind: str, initial_value: float, steps: int, seed: int) -> Any:
        made, keys = self.KINDS[kind]
        agent = predict(made, observation_space=spaces.Discrete(7), gamma=1.0, initial_value=initial_value, **keys)
        agent.v[[0, 6]] = 0  # never left, and worth nothing
        for _ in train(agent, stream_of(agent, SerialEnvironment([Walk] * 8), seed), total_steps=steps):
            pass
        return agent.v[1:6]

    @pytest.mark.parametrize("kind", KINDS)
    def test_it_converges_to_the_linear_solution(self, kind: str) -> None:
        assert self.walked(kind, 0.0, 40_000, 0) == pytest.approx(self.WORTH, abs=0.03)

    @pytest.mark.parametrize("kind", KINDS)
    def test_over_seeds_it_is_within_its_standard_error(self, kind: str) -> None:
        found = [self.walked(kind, 0.5, 5_000, seed) for seed in range(12)]
        error = np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
        assert error.max() < 0.015
        np.testing.assert_array_less(abs(np.mean(found, axis=0) - self.WORTH), 3 * error)


def predict(kind: type[Prediction], **keys: Any) -> Any:
    settings: dict[str, Any] = {
        "observation_space": spaces.Discrete(20),
        "policy": Uniform(spaces.Discrete(2)),
        "gamma": 0.5,
        "learning_rate": 1.0,
        "learning_rate_decay": 1.0,
        "initial_value": 0.0,
    }
    return kind(**{**settings, **keys})


class TestMonteCarloControl:
    def test_states_and_actions_learn_from_their_returns(self) -> None:
        agent = monte_carlo()
        play_episode(agent, [(1, 0, 0.0), (2, 1, 1.0), (1, 1, 2.0)])
        assert agent.q.values[1].tolist() == [1.0, 2.0]
        assert agent.q.values[2].tolist() == [0.0, 2.0]

    def test_an_exploring_start_is_uniform_and_only_the_start(self) -> None:
        agent = monte_carlo(exploring_starts=True, epsilon=Constant(0.0))
        agent.q.values[:, 1] = 1.0
        rng = np.random.default_rng(0)
        many, first = seen([0] * 600), agent.initial_memory(600)
        action, memory = agent.act(many, first, explore=True, rng=rng)
        assert action.mean() == pytest.approx(0.5, abs=0.08)
        assert agent.act(many, memory, explore=True, rng=rng)[0].all()
        assert agent.act(many, first, explore=False, rng=rng)[0].all()

    def test_weighted_importance_sampling_by_hand(self) -> None:
        agent = monte_carlo(off_policy=True, gamma=1.0)
        agent.q.values[2] = [0.0, 0.5]
        # In state 2 action 1 is greedy: likely 0.9. In state 1 both tie: 0.5 each.
        play_episode(agent, [(1, 0, 1.0), (2, 1, 3.0)])
        assert agent.q.values[2, 1] == 3.0
        # The weight of what came before it is 1 / 0.9; the first return is the mean whatever its weight.
        assert agent.q.values[1, 0] == 4.0
        assert agent._weights[1, 0] == pytest.approx(1 / 0.9)
        assert agent._weights[2, 1] == 1.0
        play_episode(agent, [(1, 0, 1.0), (2, 1, 0.0)])
        assert agent.q.values[2, 1] == 1.5
        # Now action 0 is the greedy one in state 1.
        assert agent.q.values[1, 0] == pytest.approx((4.0 + 1.0) / 2)

    def test_off_policy_what_was_not_greedy_ends_it(self) -> None:
        agent = monte_carlo(off_policy=True, gamma=1.0)
        agent.q.values[2] = [9.0, 0.0]
        play_episode(agent, [(1, 0, 1.0), (2, 1, 3.0)])
        assert agent.q.values[2].tolist() == [9.0, 3.0]
        assert agent.q.values[1].tolist() == [0.0, 0.0]

    @pytest.mark.parametrize("options", [{}, {"first_visit": False}, {"off_policy": True}])
    def test_it_goes_on_from_its_state_in_the_middle_of_an_episode(self, options: Any) -> None:
        agent, other = monte_carlo(**options), monte_carlo(**options)
        for each in (agent, other):
            play_episode(each, [(1, 0, 0.0), (2, 1, 1.0), (1, 1, 2.0)])
            learn(each, transition([3], [1], [1.0], [1.0], [4]))
        fresh = monte_carlo(**options)
        fresh.load_state_dict(copy.deepcopy(other.state_dict()))
        for each in (agent, fresh):
            play_episode(each, [(4, 1, 2.0), (2, 0, 1.0)])
        assert_same(fresh.state_dict(), agent.state_dict())


def test_the_policy_of_a_run_can_be_predicted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    quiet = ("logger=[csv]", "video=none", "eval.every=0", "total_steps=400")
    rlkit.train("agent=q_learning", "env=frozen_lake", *quiet, name="walker")
    words = ("agent=td_prediction", "policy@agent.policy=of_run", "agent.policy.run=runs/walker", "env=frozen_lake")
    run = rlkit.train(*words, *quiet)
    walker, predictor = rlkit.load("runs/walker").agent, run.agent
    states = seen(list(range(16)))
    rng = [np.random.default_rng(0) for _ in range(2)]
    actions = [agent.act(states, (), explore=False, rng=rng[i])[0] for i, agent in enumerate((walker, predictor))]
    assert (actions[0] == actions[1]).all()
    with pytest.raises(UsageError, match="there is no run runs/waker"):
        rlkit.train(*words[:2], "agent.policy.run=runs/waker", "env=frozen_lake", *quiet)
