from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given
from hypothesis import strategies as st

from rlkit.agents.random import Random
from rlkit.core.checkpoint import Store
from rlkit.core.evaluation import evaluate
from rlkit.core.loop import Interaction, crossed, interact, timestep_from_state, timestep_state, train
from rlkit.core.seeding import Seeds
from rlkit.core.types import Environment, RunError, UsageError
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import Counting, Line, Plain, Remembering, assert_same


def stream(
    agent: Any, env: Environment, *, truncate_every: int = 0, explore: bool = True, seed: int = 0
) -> Interaction:
    return interact(
        agent,
        env,
        explore=explore,
        rng=np.random.default_rng(seed),
        reset_seeds=lambda step: Seeds(7).integers("episodes", step, size=env.num_envs),
        truncate_every=truncate_every,
    )


def next_step(makes: list[Callable[[], gymnasium.Env]]) -> VectorEnvironment:
    return VectorEnvironment(lambda: SyncVectorEnv(makes, autoreset_mode=AutoresetMode.NEXT_STEP))


class TestCrossed:
    @given(st.integers(0, 10_000), st.integers(0, 300), st.integers(1, 500))
    def test_it_tells_whether_a_multiple_lies_between_before_excluded_and_after_included(
        self, before: int, more: int, every: int
    ) -> None:
        assert crossed(before, before + more, every) == any(
            step % every == 0 for step in range(before + 1, before + more + 1)
        )

    def test_never_where_the_period_is_zero(self) -> None:
        assert not crossed(0, 10, 0)


class TestInteract:
    def test_steps_count_valid_decisions_only(self) -> None:
        env = next_step([lambda: Line(2), lambda: Line(3)])
        interaction = stream(Remembering(2), env)
        counts = []
        for _ in range(6):
            transition = next(interaction)
            counts.append((transition.valid.tolist(), interaction.steps))
        assert counts == [
            ([True, True], 2),
            ([True, True], 4),
            ([False, True], 5),
            ([True, False], 6),
            ([True, True], 8),
            ([False, True], 9),
        ]

    def test_a_transition_leads_from_what_the_agent_saw_to_the_true_successor(self) -> None:
        env = SerialEnvironment([lambda: Line(3), lambda: Line(4, terminates=True)])
        interaction = stream(Remembering(2), env)
        rows = [next(interaction) for _ in range(4)]
        assert [row.observation.tolist() for row in rows] == [[0, 0], [1, 1], [2, 2], [100, 3]]
        assert [row.next_observation.tolist() for row in rows] == [[1, 1], [2, 2], [3, 3], [101, 4]]
        assert [row.last.tolist() for row in rows] == [[False] * 2, [False] * 2, [True, False], [False, True]]
        assert [row.discount.tolist() for row in rows] == [[1, 1], [1, 1], [1, 1], [1, 0]]

    def test_the_action_in_a_transition_is_the_one_taken_and_legal_actions_belong_to_its_observations(self) -> None:
        env = SerialEnvironment([Counting] * 2, action_mask=True)
        interaction = stream(Remembering(3), env)
        totals = np.zeros(2)
        for _ in range(40):
            row = next(interaction)
            np.testing.assert_array_equal(row.next_observation[:, 2] - row.observation[:, 2], row.action)
            for masks, shown in (
                (row.legal_actions, row.observation),
                (row.next_legal_actions, row.next_observation),
            ):
                np.testing.assert_array_equal(masks, np.c_[np.ones(2), shown[:, 1] % 2, shown[:, 2] % 2])
            totals += row.last
        assert (totals > 2).all()

    def test_memory_starts_anew_after_an_episode_and_after_a_step_that_was_only_a_reset(self) -> None:
        agent = Remembering(2)
        interaction = stream(agent, SerialEnvironment([lambda: Line(2), lambda: Line(3)]))
        for _ in range(5):
            next(interaction)
        assert [row.tolist() for row in agent.seen] == [[0, 0], [1, 1], [0, 2], [1, 0], [0, 1]]

        agent = Remembering(2)
        interaction = stream(agent, next_step([lambda: Line(2), lambda: Line(3)]))
        for _ in range(6):
            next(interaction)
        assert [row.tolist() for row in agent.seen] == [[0, 0], [1, 1], [0, 2], [0, 0], [1, 0], [0, 1]]

    def test_every_leaf_of_the_memory_is_cleared(self) -> None:
        agent = Remembering(2)
        interaction = stream(agent, SerialEnvironment([lambda: Line(2), lambda: Line(3)]))
        next(interaction)
        next(interaction)
        memory = interaction.state_dict()["memory"]
        assert memory["trail"][0].tolist() == [[-1, -1], [1, 2]]
        assert memory["decisions"].tolist() == [0, 2]

    def test_acting_alone_draws_from_the_generator_given(self) -> None:
        env = SerialEnvironment([Counting] * 2)
        first, second = (stream(Random(env.action_space), env, seed=seed) for seed in (0, 0))
        assert [next(first).action.tolist() for _ in range(20)] == [next(second).action.tolist() for _ in range(20)]

    def test_what_an_environment_refuses_is_a_mistake_at_first_and_a_failure_once_something_was_played(self) -> None:
        class Refusing(Line):
            def __init__(self, at: int):
                super().__init__(9)
                self._refused = at

            def step(self, action: Any) -> Any:
                if self._at == self._refused:
                    raise UsageError("it cannot be")
                return super().step(action)

        with pytest.raises(UsageError, match=r"^it cannot be$"):
            next(stream(Remembering(2), SerialEnvironment([lambda: Refusing(0)])))
        later = stream(Remembering(2), SerialEnvironment([lambda: Refusing(1)]))
        next(later)
        with pytest.raises(RunError, match=r"^it cannot be \(after step 1\); fix it"):
            next(later)


class TestCuts:
    def test_at_a_multiple_every_episode_ends_as_cut_and_bootstraps(self) -> None:
        env = SerialEnvironment([lambda: Line(5), lambda: Line(9)])
        interaction = stream(Remembering(2), env, truncate_every=4)
        rows, cuts = [], []
        for _ in range(7):
            rows.append(next(interaction))
            cuts.append((interaction.steps, interaction.at_truncation))
        assert cuts == [(2, False), (4, True), (6, False), (8, True), (10, False), (12, True), (14, False)]
        assert [row.info.truncated_by_checkpoint.tolist() for row in rows] == [[cut, cut] for _, cut in cuts]
        assert [row.last.tolist() for row in rows] == [[cut, cut] for _, cut in cuts]
        assert all((row.discount == 1).all() for row in rows)
        assert [row.next_observation.tolist() for row in rows] == [[1, 1], [2, 2]] * 3 + [[1, 1]]
        assert [row.observation.tolist() for row in rows] == [[0, 0], [1, 1]] * 3 + [[0, 0]]

    def test_multiples_are_crossed_where_several_environments_step_over_them(self) -> None:
        env = SerialEnvironment([lambda: Line(50)] * 3)
        interaction = stream(Remembering(2), env, truncate_every=10)
        at = []
        for _ in range(12):
            next(interaction)
            if interaction.at_truncation:
                at.append(interaction.steps)
        assert at == [12, 21, 30]

    def test_an_episode_that_ends_by_itself_at_a_cut_is_not_cut(self) -> None:
        env = SerialEnvironment([lambda: Line(2), lambda: Line(2, terminates=True), lambda: Line(9)])
        interaction = stream(Remembering(2), env, truncate_every=6)
        next(interaction)
        row = next(interaction)
        assert row.info.truncated_by_checkpoint.tolist() == [False, False, True]
        assert row.last.tolist() == [True, True, True]
        assert row.discount.tolist() == [1, 0, 1]

    def test_a_game_that_goes_on_after_a_lost_life_is_cut(self) -> None:
        class Lives(Line):
            def step(self, action: Any) -> Any:
                return *super().step(action)[:4], {"rlkit/game_over": False}

        interaction = stream(Remembering(2), SerialEnvironment([lambda: Lives(2, terminates=True)]), truncate_every=2)
        next(interaction)
        row = next(interaction)
        assert (row.last.tolist(), row.discount.tolist(), row.info.truncated_by_checkpoint.tolist()) == (
            [True],
            [0],
            [True],
        )

    def test_a_step_that_was_only_a_reset_is_not_cut(self) -> None:
        interaction = stream(Remembering(2), next_step([lambda: Line(1), lambda: Line(50)]), truncate_every=3)
        next(interaction)
        row = next(interaction)
        assert interaction.steps == 3
        assert row.valid.tolist() == [False, True]
        assert row.info.truncated_by_checkpoint.tolist() == [False, True]
        assert row.last.tolist() == [False, True]
        assert next(interaction).valid.tolist() == [True, True]

    def test_new_episodes_are_seeded_by_the_step(self) -> None:
        class Recording(SerialEnvironment):
            restarts: list[list[int]] = []  # noqa: RUF012

            def restart(self, seeds: list[int]) -> Any:
                self.restarts.append(seeds)
                return super().restart(seeds)

        env = Recording([Counting] * 2)
        interaction = stream(Remembering(3), env, truncate_every=8)
        for _ in range(8):
            next(interaction)
        assert env.restarts == [Seeds(7).integers("episodes", step, size=2) for step in (8, 16)]
        assert env.restarts[0] != env.restarts[1]

    def test_memory_is_cleared_at_a_cut_and_legal_actions_are_the_new_episodes(self) -> None:
        agent = Remembering(3)
        interaction = stream(agent, SerialEnvironment([Counting] * 2, action_mask=True), truncate_every=2)
        for _ in range(4):
            row = next(interaction)
            assert row.legal_actions.tolist() == [[True, False, False]] * 2
            assert row.next_legal_actions[:, 1].all()
        assert all((seen == 0).all() for seen in agent.seen)


class TestState:
    @pytest.mark.parametrize("build", [SerialEnvironment, SubprocessEnvironment])
    def test_a_stream_continues_bit_identically_from_its_state(self, build: Any, tmp_path: Path) -> None:
        env, other_env = build([Plain] * 2), build([Plain] * 2)
        store = Store(tmp_path)
        try:
            interaction = stream(Remembering(3), env)
            for _ in range(13):
                next(interaction)
            store.save(1, interaction.state_dict())
            rest = [next(interaction) for _ in range(40)]
            other = stream(Remembering(3), other_env, seed=99)
            next(other)
            other.load_state_dict(store.load(1))
            assert other.steps == 26
            assert_same([next(other) for _ in range(40)], rest)
            assert_same(other.state_dict(), interaction.state_dict())
        finally:
            env.close()
            other_env.close()

    @pytest.mark.parametrize("build", [SerialEnvironment, SubprocessEnvironment, next_step])
    def test_a_stream_with_opaque_environments_continues_bit_identically_from_a_cut(
        self, build: Any, tmp_path: Path
    ) -> None:
        env, other_env = build([Counting] * 2), build([Counting] * 2)
        store = Store(tmp_path)
        try:
            interaction = stream(Remembering(3), env, truncate_every=20)
            while not interaction.at_truncation:
                next(interaction)
            store.save(1, interaction.state_dict())
            rest = [next(interaction) for _ in range(40)]
            other = stream(Remembering(3), other_env, truncate_every=20, seed=99)
            other.load_state_dict(store.load(1))
            assert_same([next(other) for _ in range(40)], rest)
            assert other.steps == interaction.steps
        finally:
            env.close()
            other_env.close()

    def test_an_environment_that_begins_differently_with_the_same_seed_is_noticed(self, tmp_path: Path) -> None:
        class Unseeded(Counting):
            born = 0

            def reset(self, **keys: Any) -> Any:
                observation, info = super().reset(**keys)
                Unseeded.born += 1
                return observation + Unseeded.born, info

        store = Store(tmp_path)
        noticed = {}
        for make in (Counting, Unseeded):
            interaction = stream(Remembering(3), SerialEnvironment([make] * 2), truncate_every=20)
            while not interaction.at_truncation:
                next(interaction)
            store.save(1, interaction.state_dict())
            other = stream(Remembering(3), SerialEnvironment([make] * 2), truncate_every=20)
            other.load_state_dict(store.load(1))
            noticed[make.__name__] = other.reproduced
        assert noticed == {"Counting": True, "Unseeded": False}

    def test_a_stream_that_has_not_begun_continues_from_the_beginning(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        interaction = stream(Remembering(3), SerialEnvironment([Plain]))
        store.save(1, interaction.state_dict())
        other = stream(Remembering(3), SerialEnvironment([Plain]), seed=99)
        other.load_state_dict(store.load(1))
        assert_same([next(other) for _ in range(20)], [next(interaction) for _ in range(20)])

    def test_taking_the_state_changes_nothing(self) -> None:
        plain, read = (stream(Remembering(3), SerialEnvironment([Plain] * 2)) for _ in range(2))
        for _ in range(30):
            read.state_dict()
            assert_same(next(read), next(plain))

    def test_a_time_step_survives_as_plain_data(self, tmp_path: Path) -> None:
        env = SerialEnvironment([Counting] * 2, action_mask=True)
        env.reset([0, 1])
        timestep = env.step(np.array([1, 2]))
        store = Store(tmp_path)
        store.save(1, timestep_state(timestep))
        assert_same(timestep_from_state(store.load(1)), timestep._replace(state=None))


class TestTrain:
    def test_the_agent_observes_each_transition_and_then_learns_until_the_budget_is_reached(self) -> None:
        agent = Remembering(2)
        interaction = stream(agent, SerialEnvironment([lambda: Line(4)] * 3))
        rows = list(train(agent, interaction, total_steps=10))
        assert interaction.steps == 12
        assert [transition for transition, _ in rows] == agent.observed
        assert [metrics for _, metrics in rows] == [None, {"updates": 1.0}, None, {"updates": 1.0}]
        assert list(train(agent, interaction, total_steps=12)) == []


class Frozen:
    """Acts by the observation alone, draws nothing, and fails where it is asked to learn or to change."""

    def initial_memory(self, n: int) -> Any:
        return ()

    def act(self, timestep: Any, memory: Any, *, explore: bool, rng: Any) -> Any:
        assert not explore
        return (timestep.observation[:, 1] % 3).astype(np.int64), memory


def played(make: Any, n: int, episodes: int, *, agent: Any = None, max_steps: int = 1000, **keys: Any) -> Any:
    env = SerialEnvironment([make] * n)
    seeds = list(range(100, 100 + episodes))
    rng = keys.pop("rng", None) or np.random.default_rng(0)
    return evaluate(
        agent or Frozen(), env, episodes=episodes, max_steps=max_steps, rng=rng, episode_seeds=seeds, **keys
    )


class Whole(Counting):
    """A `Counting` whose every end is a game over."""

    def step(self, action: int) -> Any:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {"rlkit/raw_reward": info["rlkit/raw_reward"]}


def naive_scores(episodes: int) -> list[tuple[float, int, bool]]:
    results = []
    env = Whole()
    for seed in range(100, 100 + episodes):
        observation, _ = env.reset(seed=seed)
        score, length, ended = 0.0, 0, False
        while not ended:
            observation, _, terminated, truncated, info = env.step(int(observation[1] % 3))
            score, length, ended = score + info["rlkit/raw_reward"], length + 1, terminated or truncated
        results.append((score, length, False))
    return results


class TestEvaluate:
    @pytest.mark.parametrize("n", [1, 2, 3, 7, 12])
    def test_results_are_those_of_playing_the_seeds_one_by_one_however_many_environments(self, n: int) -> None:
        assert played(Whole, n, 7) == naive_scores(7)

    def test_a_next_step_environment_gives_the_same(self) -> None:
        results = evaluate(
            Frozen(),
            next_step([Whole] * 3),
            episodes=7,
            max_steps=1000,
            rng=np.random.default_rng(0),
            episode_seeds=list(range(100, 107)),
        )
        assert results == naive_scores(7)

    def test_the_episodes_that_were_started_count_not_those_that_finish_first(self) -> None:
        lengths = {100: 50, 101: 1, 102: 40, 103: 2}

        class Seeded(Line):
            def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
                if seed is not None:
                    self._length = lengths[seed]
                return super().reset(seed=seed)

        class Zero(Frozen):
            def act(self, timestep: Any, memory: Any, **keys: Any) -> Any:
                return np.zeros(len(timestep.observation), np.int64), memory

        results = played(lambda: Seeded(1), 4, 4, agent=Zero())
        assert results == [(50.0, 50, False), (1.0, 1, False), (40.0, 40, False), (2.0, 2, False)]

    def test_an_episode_is_capped_at_max_steps_with_the_return_so_far(self) -> None:
        class Zero(Frozen):
            def act(self, timestep: Any, memory: Any, **keys: Any) -> Any:
                return np.zeros(len(timestep.observation), np.int64), memory

        assert played(lambda: Line(10**9), 2, 3, agent=Zero(), max_steps=6) == [(6.0, 6, True)] * 3
        assert played(lambda: Line(6), 2, 3, agent=Zero(), max_steps=6) == [(6.0, 6, False)] * 3

    def test_raw_rewards_of_the_whole_game_count_not_the_shaped_ones_of_an_episode(self) -> None:
        class Lives(Line):
            games = 0

            def step(self, action: Any) -> Any:
                observation, _, terminated, truncated, _ = super().step(action)
                lost = terminated or truncated
                self.games += lost
                return (
                    observation,
                    0.0,
                    terminated,
                    truncated,
                    {"rlkit/raw_reward": 10.0, "rlkit/game_over": lost and self.games == 3},
                )

        class Zero(Frozen):
            def act(self, timestep: Any, memory: Any, **keys: Any) -> Any:
                return np.zeros(len(timestep.observation), np.int64), memory

        assert played(lambda: Lives(4), 1, 1, agent=Zero()) == [(120.0, 12, False)]

    def test_epsilon_one_plays_at_random_and_zero_draws_nothing(self) -> None:
        rng = np.random.default_rng(5)
        before = rng.bit_generator.state
        played(Whole, 3, 5, rng=rng)
        assert rng.bit_generator.state == before

        class Acting(Whole):
            taken: list[int] = []  # noqa: RUF012

            def step(self, action: int) -> Any:
                self.taken.append(int(action))
                return super().step(0)

        class Zero(Frozen):
            def act(self, timestep: Any, memory: Any, **keys: Any) -> Any:
                return np.zeros(len(timestep.observation), np.int64), memory

        played(Acting, 4, 400, agent=Zero(), epsilon=1.0)
        shares = np.bincount(Acting.taken, minlength=3) / len(Acting.taken)
        assert len(Acting.taken) > 1500
        np.testing.assert_allclose(shares, 1 / 3, atol=0.05)
        Acting.taken.clear()
        played(Acting, 4, 400, agent=Zero(), epsilon=0.3)
        np.testing.assert_allclose(np.mean(np.array(Acting.taken) == 0), 0.7 + 0.3 / 3, atol=0.05)

    def test_random_actions_are_legal_ones(self) -> None:
        class Strict(Whole):
            def reset(self, **keys: Any) -> Any:
                self._legal = np.array([1, 0, 0], bool)
                observation, _ = super().reset(**keys)
                return observation, {"action_mask": self._legal}

            def step(self, action: int) -> Any:
                assert self._legal[action]
                observation, reward, terminated, truncated, _ = super().step(action)
                self._legal = self._mask().astype(bool)
                return observation, reward, terminated, truncated, {"action_mask": self._legal}

        class Zero(Frozen):
            def act(self, timestep: Any, memory: Any, **keys: Any) -> Any:
                return np.zeros(len(timestep.observation), np.int64), memory

        evaluate(
            Zero(),
            SerialEnvironment([Strict] * 3, action_mask=True),
            episodes=50,
            max_steps=100,
            rng=np.random.default_rng(0),
            episode_seeds=list(range(50)),
            epsilon=1.0,
        )

    def test_a_remembering_agent_starts_each_episode_with_a_fresh_memory(self) -> None:
        agent = Remembering(2)
        played(lambda: Line(3), 2, 4, agent=agent)
        assert [seen.tolist() for seen in agent.seen] == [[0, 0], [1, 1], [2, 2]] * 2
        assert agent.observed == []
