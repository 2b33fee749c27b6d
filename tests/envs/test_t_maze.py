"""The T-maze: what is seen, what is earned, and what a memory is good for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import rlkit
from rlkit.envs.grids import DOWN, LEFT, RIGHT, UP
from rlkit.envs.t_maze import CORRIDOR, JUNCTION, SIGNS, TMaze
from rlkit.testing import check_env

make = partial(TMaze, 4, 1.0, 0.0, -0.1, 20)


def played(turn: Callable[[tuple[float, ...]], int]) -> list[float]:
    """Return the returns of episodes of one that goes to the junction, and turns there as the sign makes it."""
    env, found = make(), []
    for seed in range(30):
        sign = tuple(env.reset(seed=seed)[0].tolist())
        seen = [tuple(env.step(RIGHT)[0].tolist()) for _ in range(4)]
        assert seen == [CORRIDOR] * 3 + [JUNCTION]
        _, reward, terminated, truncated, _ = env.step(turn(sign))
        assert (terminated, truncated) == (True, False)
        found.append(reward)
    return found


def test_the_sign_says_where_to_turn() -> None:
    assert set(played(lambda sign: UP if sign == SIGNS[0] else DOWN)) == {1.0}
    assert set(played(lambda sign: DOWN if sign == SIGNS[0] else UP)) == {0.0}
    assert 0 < np.mean(played(lambda sign: UP)) < 1


def test_walls_do_not_move_and_cost() -> None:
    env = make()
    first, _ = env.reset(seed=0)
    for action in (LEFT, UP, DOWN):
        observation, reward, terminated, _, _ = env.step(action)
        assert (reward, terminated) == (-0.1, False)
        np.testing.assert_array_equal(observation, first)


def test_an_episode_that_lasts_too_long_is_truncated() -> None:
    env = make()
    env.reset(seed=0)
    assert [env.step(LEFT)[3] for _ in range(20)] == [False] * 19 + [True]


def test_it_keeps_the_contract() -> None:
    assert all(result.passed for result in check_env(make, steps=60))


def test_it_is_drawn() -> None:
    env = make(render_mode="ansi")
    env.reset(seed=0)
    env.step(RIGHT)
    assert env.render() in ("    G\n.A...\n    .", "    .\n.A...\n    G")
    frame = make(render_mode="rgb_array")
    frame.reset(seed=0)
    assert frame.render().ndim == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recurrent", "least", "most"),
    [("gru", 0.95, 1.0), ("lstm", 0.95, 1.0), ("transformer", 0.95, 1.0), ("none", 0.3, 0.7)],
)
def test_a_memory_solves_it_and_none_is_at_chance(
    recurrent: str, least: float, most: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("agent=ppo", "env=t_maze", f"agent.network.recurrent={recurrent}", "total_steps=100000", "num_envs=8")
    run = rlkit.train(*words, seed=0, video="none", logger="[csv]")
    assert least <= run.evaluate(episodes=200)["return/raw"]["mean"] <= most
