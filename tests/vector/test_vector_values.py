"""What vector environments are asked and told: each once, and closed when they are replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rlkit.vector.vector import VectorEnvironment
from toys import Line, OwnVector


class Asked(OwnVector):
    """Remembers the seeds of its resets and whether it was closed."""

    def __init__(self, makes: Any):
        super().__init__(makes)
        self.seeds: list[Any] = []

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.seeds.append(seed)
        return super().reset(seed=seed, options=options)


def test_who_takes_no_list_of_seeds_is_asked_for_it_once() -> None:
    env = VectorEnvironment(lambda: Asked([lambda: Line(3)] * 2))
    for seeds in ([5, 6], [7, 8], [9, 10]):
        env.reset(seeds)
    assert env._vector.seeds == [[5, 6], 5, 7, 9]


def test_what_is_built_again_is_closed_first() -> None:
    built: list[Any] = []
    env = VectorEnvironment(lambda: built.append(Asked([lambda: Line(3)])) or built[-1])
    env.reset([1])
    env.restart([2])
    assert [vector.closed for vector in built] == [True, False]
    assert env._vector is built[1]
    env.close()
    assert [vector.closed for vector in built] == [True, True]


class Reporting(OwnVector):
    """Two environments; the infos speak of some rows only, and of each by its flag."""

    def __init__(self, mode: AutoresetMode, infos: dict[str, Any], ends: list[bool]):
        super().__init__([lambda: Line(9)] * 2)
        self.metadata = {"autoreset_mode": mode}
        self._infos, self._ends = infos, np.array(ends)

    def step(self, actions: Any) -> Any:
        observation, reward, terminated, _, _ = super().step(actions)
        return observation, reward, terminated, self._ends.copy(), self._infos

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return super().reset(seed=None if isinstance(seed, list) else seed)


def stepped(mode: AutoresetMode, infos: dict[str, Any], ends: list[bool]) -> Any:
    env = VectorEnvironment(lambda: Reporting(mode, infos, ends))
    env.reset([0, 0])
    return env.step(np.array([0, 0]))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_of_rows_that_the_infos_do_not_speak_of_nothing_is_taken(mode: AutoresetMode) -> None:
    infos = {
        "rlkit/discount": np.array([-1.0, 0.25]),
        "_rlkit/discount": np.array([True, False]),
        "rlkit/raw_reward": np.array([50.0, 60.0]),
        "_rlkit/raw_reward": np.array([False, True]),
        "rlkit/game_over": np.array([True, False]),
        "_rlkit/game_over": np.array([False, True]),
    }
    step = stepped(mode, infos, [False, True])
    assert step.discount.tolist() == [-1.0, 1.0]
    assert step.info.raw_reward.tolist() == [1.0, 60.0]
    # The second was truncated, and its info says that the game goes on.
    assert step.info.game_over.tolist() == [False, False]


def test_in_same_step_mode_an_end_is_told_in_the_final_infos() -> None:
    final = {
        "rlkit/discount": np.array([9.0, 0.5]),
        "_rlkit/discount": np.array([False, True]),
        "rlkit/raw_reward": np.array([9.0, 70.0]),
        "_rlkit/raw_reward": np.array([False, True]),
    }
    infos = {
        "final_info": final,
        "final_obs": np.array([None, np.int64(77)], object),
        "rlkit/discount": np.array([0.75, 8.0]),
        "_rlkit/discount": np.array([True, True]),
        "rlkit/raw_reward": np.array([40.0, 8.0]),
        "_rlkit/raw_reward": np.array([True, True]),
    }
    step = stepped(AutoresetMode.SAME_STEP, infos, [False, True])
    # Of a row that goes on from the infos; of one that ended from its final ones: its infos are the new episode's.
    assert step.discount.tolist() == [0.75, 0.5]
    assert step.info.raw_reward.tolist() == [40.0, 70.0]
    assert step.info.game_over.tolist() == [False, True]
    assert step.next_observation[1] == 77
    assert step.observation[1] != 77
