"""Count bonuses: by hand, with counts that outlast episodes and go back with snapshots."""

from __future__ import annotations

from math import sqrt
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlkit.core.types import UsageError
from rlkit.preprocess import CountBonus
from toys import Line


class Shown(gymnasium.Env[Any, Any]):
    """Shows numbers one after the other; rewards are 1."""

    observation_space = spaces.Box(-9, 9, (2,), np.float32)
    action_space = spaces.Discrete(2)  # type: ignore[assignment]

    def __init__(self, *numbers: float):
        self._numbers = iter(numbers)

    def step(self, action: Any) -> Any:
        return np.full(2, next(self._numbers), np.float32), 1.0, False, False, {}


def rewards(env: Any, steps: int) -> list[float]:
    return [env.step(0)[1] for _ in range(steps)]


def test_the_nth_visit_earns_the_scale_divided_by_the_root_of_n() -> None:
    env = CountBonus(Shown(1, 2, 1, 1, 2), scale=0.5)
    assert rewards(env, 5) == [1.5, 1.5, 1 + 0.5 / sqrt(2), 1 + 0.5 / sqrt(3), 1 + 0.5 / sqrt(2)]


def test_numbers_in_one_cell_count_as_equal() -> None:
    env = CountBonus(Shown(0.1, 0.4, -0.1, 0.6), scale=1.0, width=0.5)
    assert rewards(env, 4) == [2.0, 1 + 1 / sqrt(2), 2.0, 2.0]


def test_the_environments_own_reward_is_kept_apart() -> None:
    assert CountBonus(Shown(1), scale=0.5).step(0)[4] == {"rlkit/raw_reward": 1.0}


def test_counts_outlast_episodes_and_go_back_with_the_state() -> None:
    env = CountBonus(Line(2), scale=1.0)
    env.reset(seed=0)
    assert rewards(env, 2) == [2.0, 2.0]
    state = env.get_state()
    env.reset()
    assert rewards(env, 1) == [2.0]
    assert len(env.counts) == 3
    env.set_state(state)
    assert env.counts == {"1": 1, "2": 1}


def test_what_cannot_be_counted_is_refused() -> None:
    composed = Shown()
    composed.observation_space = spaces.Dict(a=spaces.Discrete(2))  # type: ignore[assignment]
    with pytest.raises(UsageError, match="CountBonus counts arrays"):
        CountBonus(composed, scale=1.0)
    with pytest.raises(UsageError, match="scale is -1"):
        CountBonus(Shown(), scale=-1)
    with pytest.raises(UsageError, match="width 0"):
        CountBonus(Shown(), scale=1, width=0)
