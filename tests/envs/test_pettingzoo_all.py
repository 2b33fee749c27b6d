"""Games of PettingZoo with an agent on every seat: at once as rows, and in turn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlkit.core.types import UsageError
from rlkit.envs.agent_rows import AgentRows, ReadableAgentRows
from rlkit.envs.pettingzoo import make
from rlkit.envs.pettingzoo_turns import ReadableTurns, Turns
from rlkit.testing import check_env
from rlkit.vector.vector import VectorEnvironment

pytest.importorskip("pettingzoo")


def game(id: str, **changed: Any) -> Any:
    options = {"kwargs": {}, "view": "all", "agent_id": True, "seat": "first", "others": "random"}
    return make(id, **{**options, "eval_others": None, "evaluation": False, "num_envs": 2, **changed})


def test_particles_are_rows_that_go_on_in_their_middle() -> None:
    pytest.importorskip("mpe2")
    rng = np.random.default_rng(0)
    vectors = [game("mpe2/simple_spread_v3", kwargs={"max_cycles": 5}) for _ in range(2)]
    assert all(isinstance(vector, ReadableAgentRows) for vector in vectors)
    env, other = (VectorEnvironment(lambda vector=vector: vector) for vector in vectors)
    assert (env.players, env.num_envs, env.observation_space.shape) == (3, 6, (18 + 3,))
    for one in (env, other):
        one.reset(list(range(6)))
    for _ in range(8):
        env.step(rng.integers(0, 5, 6))
    other.set_state(env.get_state() or {})
    for _ in range(12):
        action = rng.integers(0, 5, 6)
        ours, theirs = env.step(action), other.step(action)
        for name in ("observation", "reward", "last", "valid"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name))


def test_agents_of_several_kinds_are_rows_too() -> None:
    pytest.importorskip("mpe2")
    env = VectorEnvironment(lambda: game("mpe2/simple_tag_v3", num_envs=1))
    # Three who chase see 16 numbers, who runs 14.
    assert (env.players, env.observation_space.shape) == (4, (16 + 4,))
    assert env.reset(list(range(4))).observation[3, 14:].tolist() == [0, 0, 0, 0, 0, 1]


def test_rock_paper_scissors_pays_what_one_wins_to_the_other() -> None:
    env = VectorEnvironment(lambda: game("classic/rps-v2", num_envs=1))
    env.reset([0, 1])
    assert env.step(np.array([0, 1])).reward.tolist() == [-1, 1]


def test_games_in_turn_are_played_by_whoever_is_to_move() -> None:
    env = game("classic/tictactoe-v3")
    assert isinstance(env, ReadableTurns)
    env.reset(seed=0)
    results = [env.step(move) for move in (0, 3, 1, 4, 2)]
    assert [result[1] for result in results] == [0, 0, 0, 0, 1]
    assert [result[4]["rlkit/discount"] for result in results] == [-1, -1, -1, -1, 0]
    env.reset(seed=0)
    results = [env.step(move) for move in (0, 3, 1, 4, 8, 5)]
    # The second player won: the mover's reward is 1, the first player's -1.
    assert (results[-1][1], results[-1][4]["rlkit/raw_reward"]) == (1, -1)
    # The third move's mover sees its own stones first.
    env.reset(seed=0)
    assert env.step(4)[0].sum(axis=(1, 2)).tolist() == [0, 1]


def test_games_in_turn_keep_the_contract() -> None:
    check_env(lambda: game("classic/tictactoe-v3"), steps=40)


@pytest.mark.parametrize(
    ("id", "changed", "line"),
    [
        ("classic/rps-v2", {"view": "both"}, r"env\.view is 'both'"),
        ("mpe2/simple_spred_v3", {}, "mpe2 has no game simple_spred_v3; did you mean simple_spread_v3"),
    ],
)
def test_what_cannot_be_played_is_refused(id: str, changed: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        game(id, **changed)


def test_pictures_are_of_one_game_each() -> None:
    pytest.importorskip("mpe2")
    vector = game("mpe2/simple_spread_v3", num_envs=1, render_mode="rgb_array")
    assert isinstance(vector, AgentRows)
    frames: list[Any] = []
    vector.film([lambda frame: frames.append((frame.first, frame.draw().shape, frame.caption))])
    vector.reset(seed=0)
    vector.step(np.zeros(3, int))
    assert [first for first, *_ in frames] == [True, False]
    assert frames[0][1][2] == 3
    assert frames[1][2].endswith("step 1")


def test_games_in_turn_for_more_than_two_are_refused() -> None:
    inner = game("classic/tictactoe-v3").game
    inner.possible_agents = [*inner.possible_agents, "player_1"]
    with pytest.raises(UsageError, match="has 3 agents of 1 kinds: take env"):
        Turns(inner)
