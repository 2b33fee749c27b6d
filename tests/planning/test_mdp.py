from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.core import resources
from rlkit.core.resources import MemoryShortageError
from rlkit.core.types import RunError, UsageError
from rlkit.envs.tabular import TabularEnv
from rlkit.planning.mdp import (
    FiniteMDP,
    action_value_iteration,
    action_values,
    evaluation,
    evaluation_sweeps,
    exact_values,
    from_environment,
    from_gymnasium,
    from_table,
    greedy_policy,
    ordered_value_iteration,
    policy_evaluation,
    policy_improvement,
    policy_iteration,
    prioritized_sweeping,
    uniform_policy,
    value_iteration,
)
from rlkit.planning.mdp import sweeping as sweeping_module
from toys import Counting, Line


def gridworld() -> FiniteMDP:
    """Return the 4x4 grid of Sutton & Barto, example 4.1: up, right, down, left; both ends are cells of their own."""
    table = []
    for state in range(16):
        row, column = divmod(state, 4)
        moves = []
        for down, right in ((-1, 0), (0, 1), (1, 0), (0, -1)):
            successor = 4 * min(max(row + down, 0), 3) + min(max(column + right, 0), 3)
            ended = state in (0, 15)
            moves.append([(1.0, state, 0.0, True) if ended else (1.0, successor, -1.0, successor in (0, 15))])
        table.append(moves)
    return from_table(table, np.full(16, 1 / 16))


CONVERGED = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]


class TestGridworld:
    def test_the_first_sweep_in_place_uses_what_it_has_just_found(self) -> None:
        mdp = gridworld()
        values = next(evaluation_sweeps(mdp, uniform_policy(mdp), gamma=1.0, in_place=True))
        assert values[1:4].tolist() == [-1.0, -1.25, -1.3125]

    def test_the_first_sweep_with_two_arrays_does_not(self) -> None:
        mdp = gridworld()
        sweeps = evaluation_sweeps(mdp, uniform_policy(mdp), gamma=1.0, in_place=False)
        assert next(sweeps).tolist() == [0.0] + [-1.0] * 14 + [0.0]
        assert next(sweeps)[1:4].tolist() == [-1.75, -2.0, -2.0]

    @pytest.mark.parametrize("in_place", [True, False])
    def test_evaluation_converges_to_the_table(self, in_place: bool) -> None:
        mdp = gridworld()
        found = policy_evaluation(mdp, uniform_policy(mdp), gamma=1.0, theta=1e-10, in_place=in_place)
        np.testing.assert_allclose(found.values, CONVERGED, atol=1e-7)

    def test_sweeps_in_place_need_fewer(self) -> None:
        mdp = gridworld()
        counts = [
            policy_evaluation(mdp, uniform_policy(mdp), gamma=1.0, theta=1e-10, in_place=in_place).sweeps
            for in_place in (True, False)
        ]
        assert counts[0] < 0.7 * counts[1]

    def test_the_linear_solve_gives_the_table(self) -> None:
        mdp = gridworld()
        np.testing.assert_allclose(exact_values(mdp, uniform_policy(mdp), gamma=1.0), CONVERGED, atol=1e-10)

    def test_from_cell_6_up_and_left_are_best_and_share_the_policy(self) -> None:
        mdp = gridworld()
        values = exact_values(mdp, uniform_policy(mdp), gamma=1.0)
        np.testing.assert_allclose(action_values(mdp, values, gamma=1.0)[5], [-15, -21, -21, -15], atol=1e-10)
        assert policy_improvement(mdp, values, gamma=1.0)[5].tolist() == [0.5, 0.0, 0.0, 0.5]

    @pytest.mark.parametrize("theta", [None, 1e-10])
    def test_iterations_find_the_distance_to_the_nearer_end(self, theta: float | None) -> None:
        mdp = gridworld()
        distance = [min(r + c, 6 - r - c) for r in range(4) for c in range(4)]
        for plan in (
            policy_iteration(mdp, gamma=1.0, theta=theta),
            value_iteration(mdp, gamma=1.0, theta=1e-10),
            action_value_iteration(mdp, gamma=1.0, theta=1e-10),
            prioritized_sweeping(mdp, gamma=1.0, theta=1e-10),
            ordered_value_iteration(mdp, gamma=1.0, theta=1e-10),
        ):
            np.testing.assert_allclose(-plan.values, distance, atol=1e-9)
            assert plan.policy[5].tolist() == [0.5, 0.0, 0.0, 0.5]


def naive_sweep(table: Any, policy: Any, v: Any, gamma: float, *, in_place: bool) -> list[float]:
    """Sweep as the book writes it."""
    after = list(v)
    for state in range(len(after)):
        source, total = (after if in_place else v), 0.0
        for action in range(len(table[state])):
            for probability, successor, reward, terminated in table[state][action]:
                total += policy[state][action] * probability * (reward + gamma * (not terminated) * source[successor])
        after[state] = total
    return after


def naive_optimum(table: Any, gamma: float, sweeps: int) -> list[float]:
    v = [0.0] * len(table)
    for _ in range(sweeps):
        v = [
            max(
                sum(p * (r + gamma * (0.0 if ended else v[s])) for p, s, r, ended in table[state][action])
                for action in range(len(table[state]))
            )
            for state in range(len(table))
        ]
    return v


@st.composite
def tables(draw: Any) -> Any:
    """Draw small tables with any number of outcomes, ends and rewards."""
    states, actions = draw(st.integers(1, 6)), draw(st.integers(1, 3))
    outcome = st.tuples(
        st.integers(1, 5), st.integers(0, states - 1), st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]), st.booleans()
    )
    cells = draw(
        st.lists(
            st.lists(st.lists(outcome, min_size=1, max_size=4), min_size=actions, max_size=actions),
            min_size=states,
            max_size=states,
        )
    )
    return [
        [[(w / sum(x[0] for x in cell), s, r, t) for w, s, r, t in cell] for cell in actions_of] for actions_of in cells
    ]


def weights(table: Any) -> np.ndarray:
    """Return some policy that is different in each state."""
    drawn = 1.0 + (np.arange(len(table) * len(table[0])) * 7 % 5).reshape(len(table), -1)
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


class TestAgainstNaive:
    @given(tables(), st.sampled_from([0.0, 0.5, 0.9, 1.0]), st.booleans())
    @settings(max_examples=60)
    def test_sweeps(self, table: Any, gamma: float, in_place: bool) -> None:
        mdp, policy = from_table(table, np.eye(len(table))[0]), weights(table)
        sweeps = evaluation_sweeps(mdp, policy, gamma=gamma, in_place=in_place)
        v = [0.0] * len(table)
        for _ in range(4):
            v = naive_sweep(table, policy, v, gamma, in_place=in_place)
            np.testing.assert_allclose(next(sweeps), v, atol=1e-9)

    @given(tables(), st.sampled_from([0.0, 0.5, 0.9]))
    @settings(max_examples=60)
    def test_solvers(self, table: Any, gamma: float) -> None:
        mdp = from_table(table, np.eye(len(table))[0])
        optimum = naive_optimum(table, gamma, 300)
        for plan in (
            value_iteration(mdp, gamma=gamma, theta=1e-12),
            action_value_iteration(mdp, gamma=gamma, theta=1e-12),
            policy_iteration(mdp, gamma=gamma, theta=None),
            policy_iteration(mdp, gamma=gamma, theta=1e-12, in_place=False),
            prioritized_sweeping(mdp, gamma=gamma, theta=1e-12, compiled=False),
            ordered_value_iteration(mdp, gamma=gamma, theta=1e-12, compiled=False),
        ):
            np.testing.assert_allclose(plan.values, optimum, atol=1e-7)
            np.testing.assert_allclose(plan.policy.sum(axis=1), 1.0)
            np.testing.assert_allclose(exact_values(mdp, plan.policy, gamma=gamma), optimum, atol=1e-5)

    @given(tables())
    @settings(max_examples=40)
    def test_the_linear_solves_agree_with_sweeps(self, table: Any) -> None:
        mdp, policy = from_table(table, np.eye(len(table))[0]), weights(table)
        swept = policy_evaluation(mdp, policy, gamma=0.9, theta=1e-12, in_place=True).values
        np.testing.assert_allclose(exact_values(mdp, policy, gamma=0.9), swept, atol=1e-9)

    def test_a_solution_that_does_not_fit_is_refused_before_its_library_ends_the_process(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mdp = gridworld()
        monkeypatch.setattr(evaluation, "DENSE", 0)
        for free, refused in ((10**6, False), (5000, True)):
            monkeypatch.setattr(resources, "available_memory", lambda free=free: free)
            if refused:
                with pytest.raises(MemoryShortageError, match=r"^the exact values of \d+ states needs .* are free"):
                    exact_values(mdp, uniform_policy(mdp), gamma=0.9)
            else:
                exact_values(mdp, uniform_policy(mdp), gamma=0.9)

    @given(tables(), st.sampled_from([0.5, 0.9]))
    @settings(max_examples=25)
    def test_what_is_compiled_is_its_twin_in_python(self, table: Any, gamma: float) -> None:
        mdp = from_table(table, np.eye(len(table))[0])
        for solve in (prioritized_sweeping, ordered_value_iteration):
            ours, twin = (solve(mdp, gamma=gamma, theta=1e-9, compiled=compiled) for compiled in (True, False))
            assert ours.iterations == twin.iterations
            np.testing.assert_allclose(ours.values, twin.values, rtol=0, atol=1e-12)


TOY_TEXT: list[tuple[str, dict[str, Any], float]] = [
    ("FrozenLake-v1", {"map_name": "4x4"}, 0.99),
    ("FrozenLake-v1", {"map_name": "8x8"}, 0.99),
    ("Taxi-v4", {}, 0.99),
    ("CliffWalking-v1", {}, 1.0),
]


class TestToyText:
    @pytest.mark.parametrize(("id", "kwargs", "gamma"), TOY_TEXT)
    def test_the_optimum_is_that_of_a_naive_computation(self, id: str, kwargs: dict[str, Any], gamma: float) -> None:
        env: Any = gymnasium.make(id, **kwargs)
        mdp = from_gymnasium(env)
        expected = naive_optimum(env.unwrapped.P, gamma, 1500 if "Lake" in id else 60)
        for plan in (
            value_iteration(mdp, gamma=gamma, theta=1e-10),
            policy_iteration(mdp, gamma=gamma, theta=1e-10) if gamma < 1 else None,
            prioritized_sweeping(mdp, gamma=gamma, theta=1e-12),
            ordered_value_iteration(mdp, gamma=gamma, theta=1e-12),
        ):
            if plan is not None:
                np.testing.assert_allclose(plan.values, expected, atol=1e-6)

    def test_known_returns(self) -> None:
        lake = value_iteration(from_gymnasium(gymnasium.make("FrozenLake-v1")), gamma=1.0, theta=1e-12)
        assert lake.values[0] == pytest.approx(14 / 17)
        cliff = value_iteration(from_gymnasium(gymnasium.make("CliffWalking-v1")), gamma=1.0, theta=1e-12)
        assert cliff.values[36] == -13.0
        taxi = from_gymnasium(gymnasium.make("Taxi-v4"))
        assert taxi.start @ value_iteration(taxi, gamma=1.0, theta=1e-12).values == pytest.approx(7.93, abs=0.005)

    def test_taxis_mask_says_what_is_legal(self) -> None:
        env: Any = gymnasium.make("Taxi-v4")
        observation, info = env.reset(seed=0)
        mdp = from_gymnasium(env)
        assert mdp.legal is not None
        assert mdp.legal[observation].tolist() == info["action_mask"].astype(bool).tolist()

    def test_an_environment_without_a_table_is_refused(self) -> None:
        with pytest.raises(UsageError, match="CartPoleEnv has no table P and initial_state_distrib; use from_env"):
            from_gymnasium(gymnasium.make("CartPole-v1"))

    def test_a_fickle_passenger_is_not_in_the_table(self) -> None:
        with pytest.raises(UsageError, match=r"fickle_passenger=True is not in its table P; set it to False"):
            from_gymnasium(gymnasium.make("Taxi-v4", fickle_passenger=True))


class TestFromEnvironment:
    @pytest.mark.parametrize("id", ["Taxi-v4", "CliffWalking-v1"])
    def test_where_nothing_is_drawn_it_is_the_table(self, id: str) -> None:
        env = gymnasium.make(id, disable_env_checker=True)
        expected, found = from_gymnasium(env), from_environment(env, samples=1, seed=0)
        reached = np.flatnonzero(~found.terminated.all(axis=(1, 2)))
        assert len(reached) > 30
        for name in ("next_state", "reward", "terminated", "probability"):
            assert getattr(found, name)[reached].tolist() == getattr(expected, name)[reached].tolist(), name
        assert (expected.legal is None) == (found.legal is None)

    def test_where_something_is_drawn_it_comes_near(self) -> None:
        env = gymnasium.make("FrozenLake-v1", disable_env_checker=True)
        expected, found = from_gymnasium(env), from_environment(env, samples=200, seed=3)
        assert found.start.tolist() == expected.start.tolist()
        ours, theirs = (value_iteration(mdp, gamma=0.95, theta=1e-9).values for mdp in (found, expected))
        np.testing.assert_allclose(ours, theirs, atol=0.1)

    def test_outcomes_are_as_likely_as_they_were_drawn(self) -> None:
        outcomes = {0: {0: [(0.9, 1, 2.0, False), (0.1, 0, -1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
        env = TabularEnv(from_table(outcomes, np.array([1.0, 0.0])), max_steps=None, render_mode=None)
        found = from_environment(env, samples=1000, seed=0)
        chances = dict(zip(found.reward[0, 0].tolist(), found.probability[0, 0].tolist(), strict=True))
        assert chances == {2.0: pytest.approx(0.9, abs=0.03), -1.0: pytest.approx(0.1, abs=0.03)}

    def test_what_cannot_be_read_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"read: toys.Line declares no state_fields and offers no get_state\(\)"):
            from_environment(Line(3), samples=1, seed=0)
        with pytest.raises(UsageError, match="from_environment needs discrete observations"):
            from_environment(gymnasium.make("CartPole-v1", disable_env_checker=True), samples=1, seed=0)
        assert not hasattr(Counting, "P")


def table(**changes: Any) -> FiniteMDP:
    arrays: dict[str, Any] = {
        "probability": np.ones((2, 1, 1)),
        "next_state": np.ones((2, 1, 1), np.int64),
        "reward": np.zeros((2, 1, 1)),
        "terminated": np.zeros((2, 1, 1), bool),
        "start": np.array([1.0, 0.0]),
    }
    return FiniteMDP(**{**arrays, **changes})


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"probability": np.full((2, 1, 1), 0.5)}, "the probabilities of state 0, action 0 sum to 0.5"),
        ({"start": np.array([2.0, -1.0])}, "the start probabilities sum to 1, the least is -1; they must be at least"),
        ({"start": np.array([1.0])}, r"start has the shape \[1\]; with these probabilities it is \[2\]"),
        ({"next_state": np.full((2, 1, 1), 2)}, "state 0, action 0 leads to state 2; states are 0 to 1"),
        ({"legal": np.array([[True], [False]])}, "state 1 has no legal action; every state needs one"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        table(**changes)


class TestEndless:
    def test_an_illegal_action_is_no_way_out(self) -> None:
        # Action 1 would end it, and earn as much as can be; only action 0, which stays, is legal.
        mdp = FiniteMDP(
            probability=np.ones((1, 2, 1)),
            next_state=np.zeros((1, 2, 1), np.int64),
            reward=np.array([[[-1.0], [-1e6]]]),
            terminated=np.array([[[False], [True]]]),
            start=np.ones(1),
            legal=np.array([[True, False]]),
        )
        with pytest.raises(UsageError, match=r"gamma is 1 and no policy ends from state 0; set a gamma below 1"):
            prioritized_sweeping(mdp, gamma=1.0, theta=1e-9)

    def test_the_linear_solve_names_the_state(self) -> None:
        mdp = table(reward=np.full((2, 1, 1), -1.0))
        with pytest.raises(UsageError, match=r"gamma is 1 and the policy never ends from state 0 \(2 such states\)"):
            exact_values(mdp, uniform_policy(mdp), gamma=1.0)

    def test_sweeps_give_up(self) -> None:
        mdp = table(reward=np.full((2, 1, 1), -1.0))
        with pytest.raises(RunError, match="policy evaluation still changes values by 1 after 50 sweeps"):
            policy_evaluation(mdp, uniform_policy(mdp), gamma=1.0, theta=0.1, in_place=True, max_sweeps=50)
        with pytest.raises(RunError, match="value iteration still changes values by 1 after 50 sweeps"):
            value_iteration(mdp, gamma=1.0, theta=0.1, max_sweeps=50)
        with pytest.raises(RunError, match="value iteration still changes values by 1 after 50 sweeps"):
            action_value_iteration(mdp, gamma=1.0, theta=0.1, max_sweeps=50)

    def test_sweeping_by_priority_names_the_state_or_gives_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(UsageError, match="gamma is 1 and no policy ends from state 0"):
            prioritized_sweeping(table(), gamma=1.0, theta=0.1)
        with pytest.raises(UsageError, match="gamma is 1 and no policy ends from state 0"):
            ordered_value_iteration(table(), gamma=1.0, theta=0.1)
        loop = from_table([[[(1.0, 0, 1.0, False)], [(1.0, 0, 0.0, True)]]], np.ones(1))
        monkeypatch.setattr(sweeping_module, "BACKUPS_PER_STATE", 20)
        with pytest.raises(RunError, match=r"backed up a state 20 times and did not reach theta 0\.1"):
            prioritized_sweeping(loop, gamma=1.0, theta=0.1, compiled=False)
        with pytest.raises(RunError, match="value iteration still changes values by 1 after 20 sweeps"):
            ordered_value_iteration(loop, gamma=1.0, theta=0.1, max_sweeps=20, compiled=False)


def test_illegal_actions_are_never_chosen() -> None:
    cells = [[[(1.0, 0, 1.0, True)], [(1.0, 0, 9.0, True)]]]
    mdp = from_table(cells, np.ones(1), legal=np.array([[True, False]]))
    assert uniform_policy(mdp).tolist() == [[1.0, 0.0]]
    for plan in (
        value_iteration(mdp, gamma=0.9, theta=1e-9),
        policy_iteration(mdp, gamma=0.9, theta=None),
        prioritized_sweeping(mdp, gamma=0.9, theta=1e-9, compiled=False),
        ordered_value_iteration(mdp, gamma=0.9, theta=1e-9, compiled=False),
    ):
        assert (plan.values.tolist(), plan.policy.tolist()) == ([1.0], [[1.0, 0.0]])
    assert greedy_policy(mdp, np.array([[0.0, 5.0]])).tolist() == [[1.0, 0.0]]


class TestSampling:
    @given(tables(), st.integers(0, 2**31 - 1))
    @settings(max_examples=40)
    def test_only_what_is_possible_is_drawn(self, table: Any, seed: int) -> None:
        mdp, rng = from_table(table, np.eye(len(table))[-1]), np.random.default_rng(seed)
        assert mdp.sample_start(5, rng).tolist() == [len(table) - 1] * 5
        state, action = rng.integers(len(table), size=50), rng.integers(len(table[0]), size=50)
        for s, a, *outcome in zip(state, action, *mdp.sample(state, action, rng), strict=True):
            assert tuple(outcome) in [tuple(known[1:]) for known in table[s][a] if known[0] > 0]

    def test_as_often_as_the_probabilities_say(self) -> None:
        cells = [[[(0.0, 0, 7.0, False), (0.2, 0, 1.0, False), (0.0, 0, 8.0, False), (0.8, 1, 2.0, True)]]] * 2
        mdp, rng = from_table(cells, np.array([0.3, 0.7])), np.random.default_rng(0)
        zeros = np.zeros(40_000, np.int64)
        state, reward, ended = mdp.sample(zeros, zeros, rng)
        assert np.bincount(state) / 40_000 == pytest.approx([0.2, 0.8], abs=0.01)
        assert ((reward == 2.0) == ended).all()
        assert set(reward) == {1.0, 2.0}
        assert np.bincount(mdp.sample_start(40_000, rng)) / 40_000 == pytest.approx([0.3, 0.7], abs=0.01)

    def test_the_last_draw_below_1_falls_on_what_is_possible(self) -> None:
        mdp = from_table([[[(0.1, 0, 0.0, True)] * 10 + [(0.0, 0, 9.0, True)]]], np.ones(1))

        class Highest:
            def random(self, size: Any) -> Any:
                return np.full(size, np.nextafter(1.0, 0.0))

        rng: Any = Highest()
        assert mdp.sample(np.zeros(1, int), np.zeros(1, int), rng)[1].tolist() == [0.0]
        assert mdp.sample_start(1, rng).tolist() == [0]
