from __future__ import annotations

from collections import Counter, deque
from functools import cache
from math import exp, factorial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from making import run_config

from rlkit.config.run_config import EnvironmentConfig
from rlkit.core.types import UsageError
from rlkit.envs import gym, safecab
from rlkit.envs.maze import GeneratedMaze, Maze
from rlkit.envs.maze_generator import generated, shortest_way
from rlkit.envs.tabular import TabularEnv
from rlkit.planning.mdp import (
    action_values,
    exact_values,
    from_environment,
    ordered_value_iteration,
    policy_iteration,
    prioritized_sweeping,
    uniform_policy,
    value_iteration,
)
from rlkit.runs import build
from rlkit.testing import check_env
from toys import assert_same

NAMES = [
    *("gridworld", "windy_gridworld", "random_walk", "maze", "random_maze"),
    *("safecab", "car_rental", "gambler", "bias", "bandit", "deep_sea"),
]


QUICK = {"car_rental": ("env.max_cars=4",)}
"""Where building takes long, and size makes no difference to a contract."""


@cache
def config(name: str, *overrides: str) -> EnvironmentConfig:
    return run_config(f"env={name}", "agent=random", *overrides).environment


def registered(id: str, kwargs: Any, **from_run: Any) -> Any:
    known = {"render_mode": None, "num_envs": 1, "vectorization": "sync", "filmed": False}
    return gym.make(id, kwargs, **{**known, **from_run})


def make(name: str, *overrides: str, render_mode: str | None = None) -> TabularEnv:
    env: Any = build.make_single(config(name, *overrides), render_mode=render_mode)
    assert isinstance(env, TabularEnv)
    return env


def native(name: str, num_envs: int, *overrides: str) -> VectorEnv[Any, Any, Any]:
    env: Any = build.make_single(config(name, *overrides, "vectorization=native"), num_envs=num_envs)
    assert isinstance(env, VectorEnv)
    return env


@pytest.mark.parametrize("name", NAMES)
class TestEveryOne:
    def test_keeps_the_contract_as_a_vector(self, name: str) -> None:
        quick = QUICK.get(name, ())
        masked = make(name, *quick).mdp.legal is not None
        check_env(lambda: native(name, 3, *quick), steps=300, action_mask=masked)

    def test_is_a_single_environment_where_it_is_filmed(self, name: str) -> None:
        filmed: Any = build.make_single(config(name, "vectorization=native"), render_mode="rgb_array")
        assert isinstance(filmed, TabularEnv)

    def test_draws_text_and_pictures_of_one_size_throughout_an_episode(self, name: str) -> None:
        env, same = make(name, render_mode="rgb_array"), make(name, render_mode="ansi")
        rng = np.random.default_rng(0)
        for shown in (env, same):
            shown.reset(seed=1)
        sizes = set()
        for _ in range(30):
            sizes.add(env.render().shape)
            assert isinstance(same.render(), str)
            action = int(rng.integers(env.mdp.num_actions))
            last = env.step(action)[2:4]
            assert last == same.step(action)[2:4]
            if any(last):
                env.reset()
                same.reset()
        [(height, width, channels)] = sizes
        assert (channels, height % 2, width % 2) == (3, 0, 0)

    def test_steps_alike_one_by_one_and_many_at_once(self, name: str) -> None:
        """From the same state and action, both reach the same states as often, with the same mean reward."""
        env, vector, n = make(name), native(name, 4000), 4000
        starts = [env.reset(seed=seed)[0] for seed in range(400)]
        assert set(vector.reset(seed=0)[0].tolist()) >= set(starts)
        for start in sorted(set(starts))[:2]:
            action = env.mdp.num_actions // 2
            state = {**vector.get_state(), "state": np.full(n, start), "steps": np.zeros(n, np.int64)}
            vector.set_state(state)
            _, reward, _, _, infos = (step := vector.step(np.full(n, action)))
            reached = np.where(step[2], infos.get("final_obs", step[0]), step[0])
            singles = []
            for _ in range(400):
                env.set_state({**env.get_state(), "state": start, "steps": 0})
                singles.append(env.step(action)[:2])
            assert reward.mean() == pytest.approx(np.mean([r for _, r in singles]), abs=0.2 + 0.4 * reward.std())
            counts = Counter(reached.tolist())
            for successor, count in Counter(s for s, _ in singles).items():
                assert count / 400 == pytest.approx(counts[successor] / n, abs=0.12)

    def test_a_limit_below_1_and_an_unknown_render_mode_are_refused(self, name: str) -> None:
        with pytest.raises(UsageError, match=r"env.max_steps is 0; it must be at least 1, or null"):
            make(name, "env.max_steps=0")
        with pytest.raises(UsageError, match="draws render_mode=ansi or rgb_array, not human"):
            make(name, render_mode="human")


def test_an_option_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageError, match=r"env.slipp is not an option of Maze; did you mean slip\?"):
        make("maze", "+env.slipp=1")


class TestVector:
    def test_ends_and_truncations_are_told_and_the_next_episode_begins(self) -> None:
        vector = native("gridworld", 500, "env.max_steps=3", "env.terminals=[[0,0]]", "env.start=[0,2]")
        assert set(vector.reset(seed=0)[0].tolist()) == {2}
        for step in range(1, 4):
            observation, reward, terminated, truncated, infos = vector.step(np.arange(500) % 2 * 2 + 1)
            left = np.arange(500) % 2 == 1
            assert set(reward) == {-1.0}
            assert terminated.tolist() == (left & (step == 2)).tolist()
            assert truncated.tolist() == (~left & (step == 3)).tolist()
            if step == 2:
                assert (infos["final_obs"][left] == 0).all()
                assert (observation[left] == 2).all()
            if step == 3:
                assert (infos["final_obs"][~left] == 3).all()

    @pytest.mark.parametrize("name", ["car_rental", "bandit"])
    def test_a_restored_one_goes_on_as_the_other(self, name: str) -> None:
        first, second = (native(name, 5, *(["env.drift=0.1"] if name == "bandit" else [])) for _ in range(2))
        first.reset(seed=[1, 2, 3, 4, 5])
        second.reset(seed=9)
        second.step(np.zeros(5, int))
        first.step(np.arange(5))
        second.set_state(first.get_state())
        for k in range(20):
            assert_same(first.step((np.arange(5) + k) % 6), second.step((np.arange(5) + k) % 6))

    def test_what_was_returned_is_never_written_to_again(self) -> None:
        vector = native("random_walk", 50)
        kept = [vector.reset(seed=0)[0]]
        copies = [kept[0].copy()]
        for _ in range(40):
            kept.append(vector.step(np.zeros(50, int))[0])
            copies.append(kept[-1].copy())
        for one, copy in zip(kept, copies, strict=True):
            assert one.tolist() == copy.tolist()


class TestToyText:
    @pytest.mark.parametrize(("id", "limit"), [("FrozenLake-v1", 100), ("Taxi-v4", 200), ("CliffWalking-v1", None)])
    def test_gymnasiums_tables_are_stepped_natively(self, id: str, limit: int | None) -> None:
        def new() -> Any:
            return registered(id, {}, num_envs=4, vectorization="native")

        check_env(new, steps=300, action_mask=id == "Taxi-v4")
        vector, single = new(), registered(id, {})
        assert vector.single_observation_space == single.observation_space
        vector.reset(seed=0)
        ends = [step for step in range(1, 250) if vector.step(np.full(4, 3))[3].any()]
        assert ends[:1] == ([] if limit is None or id == "FrozenLake-v1" else [limit]) or ends[0] <= 100

    def test_a_limit_of_ones_own_holds(self) -> None:
        vector: Any = registered("Taxi-v4", {"max_episode_steps": 5}, num_envs=2, vectorization="native")
        vector.reset(seed=0)
        assert [bool(vector.step(np.zeros(2, int))[3].all()) for _ in range(10)] == ([False] * 4 + [True]) * 2

    def test_filmed_ones_are_single_and_others_need_a_vector_of_their_own(self) -> None:
        assert isinstance(registered("FrozenLake-v1", {}, vectorization="native", filmed=True), gymnasium.Env)
        with pytest.raises(UsageError, match=r"AcrobotEnv has no vector environment of its own and no table P; use"):
            registered("Acrobot-v1", {}, num_envs=2, vectorization="native")
        assert isinstance(registered("CartPole-v1", {}, num_envs=2, vectorization="native"), VectorEnv)


class TestGridworld:
    def test_the_values_of_the_uniform_policy(self) -> None:
        mdp = make("gridworld").mdp
        values = exact_values(mdp, uniform_policy(mdp), gamma=1.0)
        expected = [0, -14, -20, -22, -14, -18, -20, -20, -20, -20, -18, -14, -22, -20, -14, 0]
        np.testing.assert_allclose(values, expected, atol=1e-9)
        np.testing.assert_allclose(action_values(mdp, values, gamma=1.0)[5], [-15, -21, -21, -15], atol=1e-9)

    def test_cells_outside_and_starts_at_an_end_are_refused(self) -> None:
        with pytest.raises(UsageError, match=r"env.terminals names the cell \[4, 0\], outside of the grid"):
            make("gridworld", "env.terminals=[[4,0]]")
        with pytest.raises(UsageError, match=r"env.start is a terminal cell"):
            make("gridworld", "env.start=[0,0]")

    def test_the_text(self) -> None:
        env = make("gridworld", "env.start=[1,2]", render_mode="ansi")
        env.reset(seed=0)
        assert env.render() == "T...\n..\x1b[41m.\x1b[0m.\n....\n...T\n"


class TestWindyGridworld:
    @pytest.mark.parametrize(("moves", "steps"), [(4, 15), (8, 7), (9, 7)])
    def test_the_shortest_ways_are_those_of_the_book(self, moves: int, steps: int) -> None:
        env = make("windy_gridworld", f"env.moves={moves}")
        start, _ = env.reset(seed=0)
        assert value_iteration(env.mdp, gamma=1.0, theta=1e-9).values[start] == -steps

    def test_a_move_off_the_wind_by_hand(self) -> None:
        env = make("windy_gridworld")
        for start, action, reached in (
            ((3, 6), 1, (1, 7)),
            ((0, 3), 0, (0, 3)),
            ((6, 3), 2, (6, 3)),
            ((6, 6), 2, (5, 6)),
        ):
            env.state = start[0] * 10 + start[1]
            assert divmod(env.step(action)[0], 10) == reached

    def test_stochastic_wind_varies_by_one_where_there_is_wind(self) -> None:
        mdp = make("windy_gridworld", "env.stochastic=true").mdp
        assert sorted(s // 10 for s in mdp.next_state[3 * 10 + 6, 1]) == [0, 1, 2]
        assert mdp.probability[36, 1].tolist() == [1 / 3] * 3
        assert mdp.probability[30, 1].tolist() == [1.0, 0.0, 0.0]

    def test_other_moves_are_refused(self) -> None:
        with pytest.raises(UsageError, match=r"env.moves is 5; it must be 4, 8"):
            make("windy_gridworld", "env.moves=5")


class TestRandomWalk:
    def test_the_values_are_those_of_the_book(self) -> None:
        mdp = make("random_walk").mdp
        values = exact_values(mdp, uniform_policy(mdp), gamma=1.0)
        np.testing.assert_allclose(values[1:-1], np.arange(-9, 10) / 10, atol=1e-12)
        mdp = make("random_walk", "env.states=5", "env.left=0").mdp
        np.testing.assert_allclose(exact_values(mdp, uniform_policy(mdp), gamma=1.0)[1:-1], np.arange(1, 6) / 6)

    def test_a_thousand_states_with_jumps(self) -> None:
        mdp = make("random_walk", "env.states=1000", "env.jump=100").mdp
        values = exact_values(mdp, uniform_policy(mdp), gamma=1.0)
        np.testing.assert_allclose(values, -values[::-1], atol=1e-9)
        assert values[1] == pytest.approx(-0.94, abs=0.03)
        assert (np.diff(values[1:-1]) > 0).all()


DRAWN = "S.+\n.#T\n..E"


def drawn(drawing: str = DRAWN, **options: Any) -> Maze:
    given: dict[str, Any] = {"step": -1.0, "exit": 10.0, "bonus": 3.0, "trap": -5.0, "trap_ends": False}
    given |= {"collect": False, "slip": 0.0, "max_steps": None, "render_mode": None}
    return Maze(drawing, **{**given, **options})


class TestMaze:
    def test_a_table_by_hand(self) -> None:
        env = drawn()
        # Paths: 0 S, 1 ., 2 +, 3 ., 4 T, 5 ., 6 ., 7 E. Up, right, down, left.
        assert env.mdp.next_state[:, :, 0].tolist() == [
            *([0, 1, 3, 0], [1, 2, 1, 0], [2, 2, 4, 1], [0, 3, 5, 3]),
            *([2, 4, 7, 4], [3, 6, 5, 5], [6, 7, 6, 5], [7, 7, 7, 7]),
        ]
        assert env.mdp.reward[:, :, 0].tolist()[1:3] == [[-1, 2, -1, -1], [-1, -1, -6, -1]]
        assert env.mdp.reward[6, 1, 0] == 9.0
        assert env.mdp.terminated[6, :, 0].tolist() == [False, True, False, False]
        assert env.mdp.legal is not None
        assert env.mdp.legal[:3].tolist() == [[False, True, True, False], [False, True, False, True], [0, 0, 1, 1]]

    def test_zeros_and_ones_are_walls_and_paths(self) -> None:
        assert drawn("S1+\n10T\n11E").mdp.next_state.tolist() == drawn().mdp.next_state.tolist()

    def test_slipping_goes_to_the_sides(self) -> None:
        mdp = drawn(slip=0.2).mdp
        assert mdp.probability[0, 1].tolist() == [0.8, 0.1, 0.1]
        assert mdp.next_state[0, 1].tolist() == [1, 0, 3]

    def test_a_collected_bonus_is_gone(self) -> None:
        env = drawn(collect=True)
        env.reset(seed=0)
        assert [env.step(action)[:2] for action in (1, 1, 3, 1)] == [(1, -1), (8 + 2, 2), (8 + 1, -1), (8 + 2, -1)]
        assert env.text().count("+") == 0
        assert env.mdp.num_states == 16

    def test_a_bonus_that_stays_is_worth_going_round_for(self) -> None:
        once, ever = (
            value_iteration(drawn(collect=collect).mdp, gamma=0.9, theta=1e-9).values[0] for collect in (True, False)
        )
        assert once < ever

    def test_a_trap_ends_the_episode_or_costs(self) -> None:
        assert drawn(trap_ends=True).mdp.terminated[2, 2, 0]
        assert not drawn().mdp.terminated[2, 2, 0]

    @pytest.mark.parametrize(
        ("drawing", "options", "complaint"),
        [
            ("S.\n.", {}, r"env.drawing has lines of \[1, 2\] symbols; all must be as long"),
            ("Sx\n.E", {}, "env.drawing has the symbol x; there is # or 0"),
            ("..\n.E", {}, "env.drawing has no start S; draw at least one"),
            ("S.\n..", {}, "env.drawing has no exit E; draw at least one"),
            ("SE", {"slip": 2.0}, "env.slip is 2.0; it is a probability"),
            ("SE" + "+" * 11, {"collect": True}, "the maze has 11 bonuses; env.collect=true takes up to 10"),
        ],
    )
    def test_what_cannot_be_is_refused(self, drawing: str, options: dict[str, Any], complaint: str) -> None:
        with pytest.raises(UsageError, match=complaint):
            drawn(drawing, **options)


def distance(drawing: str) -> int:
    """Return the number of moves from S to E, found breadth first."""
    rows = drawing.split()
    cells = {(r, c): symbol for r, row in enumerate(rows) for c, symbol in enumerate(row) if symbol != "#"}
    [start] = [cell for cell, symbol in cells.items() if symbol == "S"]
    todo, seen = deque([(start, 0)]), {start}
    while todo:
        (row, column), steps = todo.popleft()
        if cells[row, column] == "E":
            return steps
        for cell in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            if cell in cells and cell not in seen:
                seen.add(cell)
                todo.append((cell, steps + 1))
    raise AssertionError("no way")


class TestGeneratedMaze:
    @given(st.integers(3, 14), st.integers(3, 14), st.integers(0, 99), st.sampled_from([0.0, 0.3]))
    @settings(max_examples=40)
    def test_there_is_a_way_and_it_is_the_optimum(self, rows: int, columns: int, seed: int, loops: float) -> None:
        drawing = generated(rows, columns, seed, loops=loops, bonuses=0, traps=0)
        assert [len(row) for row in drawing.split()] == [columns] * rows
        mdp = drawn(drawing, exit=0.0).mdp
        start = int(mdp.start.argmax())
        for solve in (prioritized_sweeping, ordered_value_iteration):
            assert solve(mdp, gamma=1.0, theta=1e-9, compiled=False).values[start] == -distance(drawing)

    @given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
    @settings(max_examples=30)
    def test_without_loops_there_is_one_way_between_any_two_cells(self, rows: int, columns: int, seed: int) -> None:
        drawing = generated(2 * rows + 1, 2 * columns + 1, seed, loops=0.0, bonuses=0, traps=0)
        reached = drawn(drawing).mdp.next_state[:, :, 0]
        edges = sum(reached[s, a] > s for s in range(len(reached)) for a in range(4))
        # The exit, the last cell, has no moves of its own, but none of those counted begin there.
        assert edges == len(reached) - 1

    def test_the_same_seed_draws_the_same_and_another_another(self) -> None:
        first, again, other = (generated(21, 21, seed, loops=0.1, bonuses=2, traps=5) for seed in (1, 1, 2))
        assert first == again != other
        assert (first.count("+"), first.count("T"), first.count("S"), first.count("E")) == (2, 5, 1, 1)

    def test_no_trap_is_on_the_shortest_way(self) -> None:
        drawing = generated(21, 21, 3, loops=0.2, bonuses=0, traps=40)
        cells = np.array([list(row) for row in drawing.split()])
        assert not set(cells.ravel()[shortest_way(cells != "#")]) & {"T"}

    def test_large_ones_are_solved_and_drawn_around_the_agent(self) -> None:
        env = GeneratedMaze(301, 301, 0, 0.1, 0, 50, -1.0, 20.0, 5.0, -20.0, True, False, 0.0, None, "rgb_array")
        env.reset(seed=0)
        assert max(env.render().shape) < 600
        plan = ordered_value_iteration(env.mdp, gamma=0.999, theta=1e-9)
        fast = prioritized_sweeping(env.mdp, gamma=0.999, theta=1e-9)
        np.testing.assert_allclose(plan.values, fast.values, atol=1e-5)
        backed_up = action_values(env.mdp, plan.values, gamma=0.999)
        best = np.where(env.mdp.mask, backed_up, -np.inf).max(axis=1)
        np.testing.assert_allclose(best, plan.values, atol=1e-8)

    def test_what_does_not_fit_is_refused(self) -> None:
        with pytest.raises(UsageError, match="a maze of 1 x 9 has no room"):
            generated(1, 9, 0, loops=0.0, bonuses=0, traps=0)
        with pytest.raises(UsageError, match=r"env.traps is 99, but only"):
            generated(5, 5, 0, loops=0.0, bonuses=0, traps=99)
        with pytest.raises(UsageError, match=r"env.bonuses is 99, but only"):
            generated(5, 5, 0, loops=0.0, bonuses=99, traps=0)
        with pytest.raises(UsageError, match=r"env.loops is 2; it is a share"):
            generated(5, 5, 0, loops=2, bonuses=0, traps=0)


class TestSafeCab:
    def test_it_is_encoded_as_taxi_is(self) -> None:
        taxi: Any = gymnasium.make("Taxi-v4").unwrapped
        for state in range(500):
            assert tuple(taxi.decode(state)) == safecab.decoded(state)
            assert safecab.encoded(*safecab.decoded(state)) == state

    @pytest.mark.parametrize(
        ("cab", "action", "after", "reward", "ended"),
        [
            ((1, 1, 0, 1), 0, (2, 1, 0, 1), -1000.0, True),  # south, into an anomaly
            ((1, 1, 0, 1), 1, (0, 1, 0, 1), -1.0, False),
            ((0, 0, 0, 1), 3, (0, 0, 0, 1), -1.0, False),  # west, into the border
            ((0, 0, 0, 1), 4, (0, 0, 4, 1), -1.0, False),
            ((0, 1, 0, 1), 4, (0, 1, 0, 1), -10.0, False),
            ((0, 0, 4, 1), 4, (0, 0, 4, 1), -10.0, False),
            ((0, 4, 4, 1), 5, (0, 4, 1, 1), 1000.0, True),
            ((4, 3, 4, 1), 5, (4, 3, 3, 1), -1.0, False),
            ((0, 3, 4, 1), 5, (0, 3, 4, 1), -10.0, False),
            ((0, 4, 0, 1), 5, (0, 4, 0, 1), -10.0, False),
            ((3, 2, 2, 3), 0, (4, 2, 2, 3), -1000.0, True),
        ],
    )
    def test_a_step_by_hand(self, cab: Any, action: int, after: Any, reward: float, ended: bool) -> None:
        env = make("safecab")
        env.reset(seed=0)
        env.state = safecab.encoded(*cab)
        assert env.step(action)[:3] == (safecab.encoded(*after), reward, ended)

    def test_the_optimum_never_enters_an_anomaly_and_always_delivers(self) -> None:
        env = make("safecab")
        plan = value_iteration(env.mdp, gamma=0.618, theta=1e-9)
        undiscounted = value_iteration(env.mdp, gamma=1.0, theta=1e-9)
        for policy in (plan.policy.argmax(axis=1), undiscounted.policy.argmax(axis=1)):
            for start in np.flatnonzero(env.mdp.start):
                state, total, ended = int(start), 0.0, False
                for _ in range(40):
                    state, reward, ended = (
                        array[state, policy[state], 0]
                        for array in (env.mdp.next_state, env.mdp.reward, env.mdp.terminated)
                    )
                    total += reward
                    if ended:
                        break
                assert ended
                assert state not in safecab.anomaly_states()
                assert total == undiscounted.values[start]

    def test_episodes_begin_clear_of_anomalies_with_somebody_waiting(self) -> None:
        begins = np.flatnonzero(make("safecab").mdp.start)
        assert len(begins) == 21 * 4 * 3
        for row, column, passenger, destination in map(safecab.decoded, begins.tolist()):
            assert (row, column) not in safecab.ANOMALIES
            assert passenger not in (4, destination)

    def test_the_text_marks_cab_passenger_and_destination(self) -> None:
        env = make("safecab", render_mode="ansi")
        env.reset(seed=0)
        env.state = safecab.encoded(1, 1, 2, 3)
        rows = env.render().splitlines()
        assert rows[0] == rows[6] == "+---------+"
        assert rows[1] == "|R: :x: :G|"
        assert rows[2] == "| :\x1b[43m_\x1b[0m: : : |"
        assert rows[5] == "|\x1b[34;1mY\x1b[0m: :x:\x1b[35;1mB\x1b[0m: |"
        env.state = safecab.encoded(1, 1, 4, 3)
        assert "\x1b[42m_" in env.render()


class TestCarRental:
    def test_a_day_by_hand(self) -> None:
        """Three cars, none moved: who rents, what is earned, and what comes back, summed one by one."""
        env = make("car_rental", "env.max_cars=3", "env.max_moves=1")

        def pmf(mean: float, k: int) -> float:
            return exp(-mean) * mean**k / factorial(k)

        for own in range(4):
            expected: Counter[int] = Counter()
            earned = 0.0
            for asked in range(40):
                for back in range(40):
                    chance = pmf(3, asked) * pmf(3, back)
                    rented = min(asked, own)
                    expected[min(3, own - rented + back)] += chance  # type: ignore[assignment]
                    earned += chance * 10 * rented
            chances = env.mdp.probability[own * 4 + 3, 1].reshape(4, 4).sum(axis=1)
            np.testing.assert_allclose(chances, [expected[k] for k in range(4)], atol=1e-12)
            other = sum(pmf(4, k) * 10 * min(k, 3) for k in range(40))
            assert env.mdp.expected_reward[own * 4 + 3, 1] == pytest.approx(earned + other)

    def test_the_optimal_policy_is_that_of_the_book(self) -> None:
        env = make("car_rental")
        plan = policy_iteration(env.mdp, gamma=0.9, theta=None)
        moved = plan.policy.argmax(axis=1).reshape(21, 21) - 5
        assert (moved.min(), moved.max()) == (-4, 5)
        assert moved[20, 0] == 5
        assert moved[0].tolist()[:8] == [0] * 8
        assert moved[0, 20] == -4
        assert (np.diff(moved, axis=0) >= 0).all()
        assert (np.diff(moved, axis=1) <= 0).all()
        assert 415 < plan.values.min() == plan.values[0] < 425
        assert plan.values.max() == plan.values[-1]
        assert plan.iterations <= 6

    @pytest.mark.parametrize("start", [(20, 20), (0, 0), (3, 11)])
    def test_days_simulated_one_after_the_other_are_worth_what_the_table_says(self, start: tuple[int, int]) -> None:
        plan = policy_iteration(make("car_rental").mdp, gamma=0.9, theta=None)
        best, rng, n = plan.policy.argmax(axis=1) - 5, np.random.default_rng(0), 4_000
        first, second, total = np.full(n, start[0]), np.full(n, start[1]), np.zeros(n)
        for day in range(120):
            moved = best[first * 21 + second]
            first, second = np.minimum(first - moved, 20), np.minimum(second + moved, 20)
            rented = np.minimum(first, rng.poisson(3, n)), np.minimum(second, rng.poisson(4, n))
            total += 0.9**day * (10 * (rented[0] + rented[1]) - 2 * np.abs(moved))
            first = np.minimum(first - rented[0] + rng.poisson(3, n), 20)
            second = np.minimum(second - rented[1] + rng.poisson(2, n), 20)
        assert total.mean() == pytest.approx(plan.values[start[0] * 21 + start[1]], abs=4 * total.std() / np.sqrt(n))

    def test_cars_that_are_not_there_are_not_moved(self) -> None:
        mdp = make("car_rental").mdp
        assert mdp.legal is not None
        assert mdp.legal[2 * 21 + 1].tolist() == [-1 <= moved <= 2 for moved in range(-5, 6)]
        assert mdp.probability[42, 10].tolist() == mdp.probability[42, 7].tolist()


class TestGambler:
    def test_the_values_at_two_fifths(self) -> None:
        env = make("gambler")
        values = value_iteration(env.mdp, gamma=1.0, theta=1e-14).values
        # Bold play is optimal: v(s) = 0.4 v(2 s) up to the middle, 0.4 + 0.6 v(2 s - 100) above.
        assert values[[25, 50, 75]] == pytest.approx([0.16, 0.4, 0.64])
        assert values[[12, 37]] == pytest.approx([0.4 * values[24], 0.4 * values[74]])
        assert values[99] == pytest.approx(0.4 + 0.6 * values[98])

    def test_bold_play_is_optimal(self) -> None:
        env = make("gambler")
        plan = value_iteration(env.mdp, gamma=1.0, theta=1e-14)
        for own in range(1, 100):
            assert plan.policy[own, min(own, 100 - own) - 1] > 0

    def test_at_a_fair_coin_the_value_is_the_share(self) -> None:
        values = value_iteration(make("gambler", "env.heads=0.5").mdp, gamma=1.0, theta=1e-14).values
        np.testing.assert_allclose(values[1:100], np.arange(1, 100) / 100, atol=1e-9)

    def test_only_stakes_that_one_has_and_needs_are_legal(self) -> None:
        env = make("gambler", "env.capital=97")
        assert env.reset(seed=0)[1]["action_mask"].tolist() == [1, 1, 1] + [0] * 47

    def test_what_cannot_be_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"env.capital is 100; it must be from 1 to 99"):
            make("gambler", "env.capital=100")
        with pytest.raises(UsageError, match=r"env.heads is 1.5; it must be from 0 to 1"):
            make("gambler", "env.heads=1.5")


class TestBias:
    def test_left_is_worse(self) -> None:
        mdp = make("bias").mdp
        plan = value_iteration(mdp, gamma=1.0, theta=1e-9)
        assert plan.action_values[0, :2].tolist() == [-0.1, 0.0]
        assert plan.policy[0].tolist() == [0.0, 1.0] + [0.0] * 8

    def test_rewards_are_noisy_in_b_alone(self) -> None:
        vector = native("bias", 20_000)
        vector.reset(seed=0)
        _, reward, terminated, _, _ = vector.step(np.zeros(20_000, int))
        assert not reward.any()
        assert not terminated.any()
        _, reward, terminated, _, _ = vector.step(np.full(20_000, 7))
        assert terminated.all()
        assert (reward.mean(), reward.std()) == pytest.approx((-0.1, 1.0), abs=0.03)


class TestBandit:
    def test_an_arm_pays_its_mean(self) -> None:
        vector, mdp = native("bandit", 20_000), make("bandit").mdp
        vector.reset(seed=0)
        for arm in (0, 4):
            reward = vector.step(np.full(20_000, arm))[1]
            assert (reward.mean(), reward.std()) == pytest.approx((mdp.expected_reward[0, arm], 1.0), abs=0.03)

    def test_problems_differ_and_stay(self) -> None:
        first, again, other = (make("bandit", f"env.problem={problem}").mdp.expected_reward for problem in (1, 1, 2))
        assert first.tolist() == again.tolist() != other.tolist()

    def test_drifting_arms_walk_and_each_copy_by_itself(self) -> None:
        drifting = ("env.drift=0.1", "env.spread=0", "env.deviation=0", "env.max_steps=null")
        vector: Any = native("bandit", 4_000, *drifting)
        vector.reset(seed=0)
        for _ in range(25):
            vector.step(np.zeros(4_000, int))
        reward = vector.step(np.zeros(4_000, int))[1]
        assert (reward.mean(), reward.std()) == pytest.approx((0.0, 0.5), abs=0.03)
        env: Any = make("bandit", *drifting)
        env.reset(seed=0)
        rewards = [env.step(0)[1] for _ in range(2_000)]
        assert rewards[0] == 0.0
        assert np.std(np.diff(rewards)) == pytest.approx(0.1, abs=0.01)
        assert env.reset()[0] == 0
        assert env.step(0)[1] == 0.0

    def test_the_best_arm_is_told(self) -> None:
        env = make("bandit")
        env.reset(seed=0)
        assert env.step(0)[4]["best"] == env.mdp.expected_reward[0].argmax()


class TestDeepSea:
    @pytest.mark.parametrize("size", [1, 4, 10])
    @pytest.mark.parametrize("seed", ["null", "7"])
    def test_the_optimum_is_99_hundredths_and_there_is_one_way(self, size: int, seed: str) -> None:
        mdp = make("deep_sea", f"env.size={size}", f"env.mapping_seed={seed}").mdp
        assert value_iteration(mdp, gamma=1.0, theta=1e-14).values[0] == pytest.approx(0.99)
        # Uniform actions find the treasure once in 2^N episodes, and pay half of the cost.
        uniform = np.full((size**2 + 1, 2), 0.5)
        assert exact_values(mdp, uniform, gamma=1.0)[0] == pytest.approx(0.5**size - 0.005)

    def test_one_of_all_ways_reaches_the_treasure_and_steps_to_the_right_cost(self) -> None:
        env = make("deep_sea", "env.size=5", "env.mapping_seed=3")
        found = Counter(round(self._return(env, number), 9) for number in range(2**5))
        # The k of 5 steps that go to the right cost .002 each; five of them reach the treasure.
        assert found == {0.0: 1, -0.002: 5, -0.004: 10, -0.006: 10, -0.008: 5, 0.99: 1}

    def _return(self, env: TabularEnv, number: int) -> float:
        env.reset(seed=0)
        steps = [env.step(number >> i & 1) for i in range(5)]
        assert [step[2] for step in steps] == [False] * 4 + [True]
        return sum(float(step[1]) for step in steps)

    def test_a_dive_by_hand(self) -> None:
        env = make("deep_sea", "env.size=3")
        for actions, states, rewards in (
            ((1, 1, 1), (4, 8, 9), (-0.01 / 3, -0.01 / 3, 1 - 0.01 / 3)),
            ((1, 0, 0), (4, 6, 9), (-0.01 / 3, 0, 0)),
            ((0, 0, 1), (3, 6, 9), (0, 0, -0.01 / 3)),
        ):
            assert env.reset(seed=0)[0] == 0
            steps = [env.step(action) for action in actions]
            assert [step[0] for step in steps] == list(states)
            assert [step[1] for step in steps] == pytest.approx(rewards)
            assert [step[2] for step in steps] == [False, False, True]

    def test_the_seed_of_the_mapping_and_nothing_else_decides_what_goes_right(self) -> None:
        first, again, other = (make("deep_sea", f"env.mapping_seed={seed}").mdp.next_state for seed in (1, 1, 2))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)
        assert np.array_equal(np.sort(first, axis=1), np.sort(other, axis=1))


def test_an_environment_can_be_enumerated_again() -> None:
    env = make("gridworld", "env.rows=2", "env.columns=3", "env.terminals=[[0,0]]")
    again = from_environment(env, samples=30, seed=0)
    reached = again.start > 0
    assert reached.sum() == 5
    for name in ("next_state", "reward", "terminated"):
        assert getattr(again, name)[reached].tolist() == getattr(env.mdp, name)[reached].tolist()


def test_every_yaml_of_the_family_is_here() -> None:
    folder = Path(build.__file__).parents[2] / "conf" / "env"
    tabular = {path.stem for path in folder.glob("*.yaml") if not path.read_text().count("envs.gym.make")}
    assert tabular - {"atari"} >= set(NAMES)
