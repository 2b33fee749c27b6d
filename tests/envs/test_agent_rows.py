"""Agents of one game as rows: who dies, who waits, what they see of themselves, and games resumed in their middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rlkit.core.joint import joint, joint_space
from rlkit.core.types import TimeStep, UsageError
from rlkit.envs.agent_rows import AgentRows, ReadableAgentRows
from rlkit.envs.two_step import TwoStep, make, read, write
from rlkit.testing import check_env
from rlkit.vector.vector import VectorEnvironment


class Survivors:
    """Three agents count steps; `a` dies after 1, `b` after 3, and `c` is truncated after 4."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self.lives = {"a": 1, "b": 3, "c": 4}
        self.possible_agents = list(self.lives)
        self.agents: list[str] = []
        self.time, self.moves = 0, list[dict[str, Any]]()

    def observation_space(self, agent: str) -> Any:
        return spaces.Box(0, 10, (2,) if agent == "c" else (1,), np.float32)

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(3 if agent == "b" else 2)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.time = list(self.possible_agents), 0
        return self._shown(self.agents), {}

    def _shown(self, names: list[str]) -> dict[str, Any]:
        return {name: np.full(self.observation_space(name).shape, self.time, np.float32) for name in names}

    def step(self, actions: dict[str, Any]) -> Any:
        self.moves.append(dict(actions))
        playing, self.time = self.agents, self.time + 1
        over = {name: self.time == self.lives[name] for name in playing}
        self.agents = [name for name in playing if not over[name]]
        dies = {name: over[name] and name != "c" for name in playing}
        return self._shown(playing), dict.fromkeys(playing, 1.0), dies, {n: over[n] and n == "c" for n in playing}, {}

    def render(self) -> Any:
        return np.zeros((4, 4, 3), np.uint8)

    def close(self) -> None:
        pass


def rows(**options: Any) -> tuple[AgentRows, VectorEnvironment]:
    vector = AgentRows(Survivors, 1, **{"agent_id": False, **options})
    return vector, VectorEnvironment(lambda: vector)


def played(env: VectorEnvironment, steps: int) -> list[TimeStep]:
    env.reset([0, 1, 2])
    return [env.step(np.array([1, 2, 1])) for _ in range(steps)]


class TestRows:
    def test_who_dies_waits_for_the_next_game(self) -> None:
        _, env = rows()
        steps = played(env, 6)
        # The fifth step begins the next game, which goes on with the sixth.
        assert [step.valid.tolist() for step in steps] == [
            [True, True, True],
            [False, True, True],
            [False, True, True],
            [False, False, True],
            [False, False, False],
            [True, True, True],
        ]
        assert [(step.last & step.valid).tolist() for step in steps[:4]] == [
            [True, False, False],
            [False, False, False],
            [False, True, False],
            [False, False, True],
        ]
        # Death is no future; the last one's game was truncated.
        assert [steps[i].discount[row] for i, row in ((0, 0), (2, 1), (3, 2))] == [0, 0, 1]
        assert sum(step.reward[step.valid].sum() for step in steps[:4]) == 1 + 3 + 4

    def test_only_who_lives_moves(self) -> None:
        vector, env = rows()
        played(env, 4)
        game: Any = vector.games[0]
        assert [sorted(moves) for moves in game.moves] == [["a", "b", "c"], ["b", "c"], ["b", "c"], ["c"]]
        assert game.moves[0] == {"a": 1, "b": 2, "c": 1}

    def test_short_observations_are_filled_and_fewer_actions_masked(self) -> None:
        _, env = rows(agent_id=True)
        assert env.observation_space.shape == (2 + 3,)
        first = env.reset([0, 1, 2])
        assert first.observation.tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]
        assert first.legal_actions is not None
        assert first.legal_actions.tolist() == [[True, True, False], [True, True, True], [True, True, False]]
        second = env.step(np.array([1, 2, 1]))
        assert second.next_observation.tolist() == [[1, 0, 1, 0, 0], [1, 0, 0, 1, 0], [1, 1, 0, 0, 1]]

    def test_images_are_joined_by_the_agents_number(self) -> None:
        class Seeing(TwoStep):
            def observation_space(self, agent: str) -> Any:
                return spaces.Box(0, 255, (8, 8, 3), np.uint8)

            def _all(self, value: Any) -> Any:
                if type(value) is int:
                    value = np.full((8, 8, 3), value, np.uint8)
                return super()._all(value)

        env = VectorEnvironment(lambda: AgentRows(Seeing, 2, agent_id=True))
        assert env.reset([0, 1, 2, 3]).observation["agent"].tolist() == [0, 1, 0, 1]
        assert env.step(np.array([1, 0, 0, 0])).observation["observation"][:, 0, 0, 0].tolist() == [2, 2, 1, 1]

    def test_agents_that_cannot_share_a_policy_are_refused(self) -> None:
        class Mixed(TwoStep):
            def action_space(self, agent: str) -> Any:
                return spaces.Discrete(2) if agent == "agent_0" else spaces.Box(0, 1, (1,))

        with pytest.raises(UsageError, match=r"take env\.view=seat"):
            AgentRows(Mixed, 1, agent_id=True)

    def test_games_begin_with_the_seed_of_their_first_row(self) -> None:
        seeds: list[Any] = []

        class Noting(TwoStep):
            def reset(self, seed: int | None = None, options: Any = None) -> Any:
                seeds.append(seed)
                return super().reset(seed)

        env = VectorEnvironment(lambda: AgentRows(Noting, 2, agent_id=False))
        env.reset([7, 8, 9, 10])
        env.reset([7, 0, 9, 0])
        assert seeds[0] != seeds[1]
        assert seeds[:2] == seeds[2:]


class TestTwoStep:
    @pytest.mark.parametrize(
        ("first", "second", "won"),
        [((0, 1), (1, 1), 7.0), ((1, 0), (1, 1), 8.0), ((1, 1), (0, 0), 0.0), ((1, 1), (0, 1), 1.0)],
    )
    def test_the_first_agent_chooses_the_game(self, first: Any, second: Any, won: float) -> None:
        env = VectorEnvironment(lambda: make(agent_id=False, num_envs=1))
        env.reset([0, 0])
        after = env.step(np.array(first))
        assert after.observation.argmax(axis=1).tolist() == [1 + first[0]] * 2
        assert after.reward.tolist() == [0, 0]
        end = env.step(np.array(second))
        assert end.reward.tolist() == [won, won]
        assert end.discount.tolist() == [0, 0]

    def test_it_keeps_the_contract(self) -> None:
        check_env(lambda: make(agent_id=True, num_envs=2), steps=60)

    def test_it_goes_on_in_its_middle(self) -> None:
        def new() -> VectorEnvironment:
            vector = ReadableAgentRows(TwoStep, 2, agent_id=True, read=read, write=write)
            return VectorEnvironment(lambda: vector)

        env, other = new(), new()
        for one in (env, other):
            one.reset([0, 1, 2, 3])
        env.step(np.array([1, 0, 0, 0]))
        other.set_state(env.get_state() or {})
        for _ in range(4):
            ours, theirs = (one.step(np.array([1, 1, 0, 1])) for one in (env, other))
            assert np.array_equal(ours.observation, theirs.observation)
            assert ours.reward.tolist() == theirs.reward.tolist()
            assert ours.valid.tolist() == theirs.valid.tolist()


def test_what_all_agents_see_begins_with_the_own() -> None:
    seen = joint(np.array([[1.0, 2], [3, 4], [5, 6], [7, 8]]), 2)
    assert seen.tolist() == [[1, 2, 3, 4], [3, 4, 1, 2], [5, 6, 7, 8], [7, 8, 5, 6]]
    own, other, third = joint({"part": np.arange(6)}, 3)
    assert [part["part"].tolist() for part in (own, other, third)] == [
        [0, 1, 2, 3, 4, 5],
        [1, 2, 0, 4, 5, 3],
        [2, 0, 1, 5, 3, 4],
    ]


def test_the_space_of_what_all_agents_see() -> None:
    box = joint_space(spaces.Box(np.float32([0, -1]), np.float32([1, 2])), 2)
    assert box.low.tolist() == [0, -1, 0, -1]
    assert joint_space(spaces.Discrete(3), 2) == spaces.Tuple([spaces.Discrete(3)] * 2)
