from __future__ import annotations

import numpy as np

from rlkit.preprocess import TerminalReward
from rlkit.vector import SerialEnvironment
from toys import Line


def test_the_reward_of_a_terminating_step_is_replaced_and_the_raw_one_passed_on() -> None:
    env = TerminalReward(Line(2, terminates=True), -5.0)
    env.reset(seed=0)
    assert env.step(0) == (1, 1.0, False, False, {"raw_reward": 1.0})
    assert env.step(0) == (2, -5.0, True, False, {"raw_reward": 1.0})


def test_a_truncating_step_keeps_its_reward() -> None:
    env = TerminalReward(Line(1), -5.0)
    env.reset(seed=0)
    assert env.step(0) == (1, 1.0, False, True, {"raw_reward": 1.0})


def test_through_two_wrappers_the_environments_own_reward_is_passed_on() -> None:
    env = TerminalReward(TerminalReward(Line(1, terminates=True), -5.0), -7.0)
    env.reset(seed=0)
    assert env.step(0) == (1, -7.0, True, False, {"raw_reward": 1.0})


def test_the_stream_keeps_both_apart() -> None:
    env = SerialEnvironment([lambda: TerminalReward(Line(1, terminates=True), -5.0)])
    env.reset([0])
    timestep = env.step(np.array([0]))
    assert timestep.reward.tolist() == [-5.0]
    assert timestep.info.raw_reward.tolist() == [1.0]
