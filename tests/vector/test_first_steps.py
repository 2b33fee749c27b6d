"""The first results of environments are held against their spaces, in the words of rlkit check; infos stay outside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

import rlkit
from rlkit.core.types import RunError, UsageError
from rlkit.preprocess.frames import FrameSkip
from rlkit.vector.first_steps import FIRST_STEPS, FirstSteps
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment

ROW = spaces.Box(-1, 1, (3,), np.float32)
GOOD = np.zeros(3, np.float32)


class Shown(gymnasium.Env):
    """Returns what it is told to."""

    action_space = spaces.Discrete(2)

    def __init__(
        self, space: Any = ROW, observation: Any = GOOD, reward: Any = 1.0, over: Any = False, info: Any = None
    ):
        self.observation_space = space
        self.observation, self.reward, self.over, self.info = observation, reward, over, info
        self.t = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation, {}

    def step(self, action: int) -> Any:
        self.t += 1
        reward = self.reward(self.t) if callable(self.reward) else self.reward
        return self.observation, reward, self.over, False, {} if self.info is None else self.info(self.t)


def played(env: Any, steps: int = 1) -> Any:
    env.reset([0] * env.num_envs)
    return [env.step(np.zeros(env.num_envs, np.int64)) for _ in range(steps)]


WRONG = [
    (spaces.Box(0, 255, (3,), np.uint8), np.full(3, 0.7), r"float64 \[3\], but its space says uint8 \[3\]; make them"),
    (ROW, 0.5, r"returned a float as observation; Box.* needs a numpy array$"),
    (ROW, None, r"returned a NoneType as observation; Box.* needs a numpy array$"),
    (ROW, np.full(3, np.nan), r"returned the observation array\(\[nan, nan, nan\]\), outside of Box"),
    (ROW, np.zeros(4, np.float32), r"returned an observation float32 \[4\], but its space says float32 \[3\]"),
    (spaces.Discrete(4), -1, r"returned the observation -1, outside of Discrete\(4\)"),
    (spaces.Discrete(4), 2.7, r"returned the observation 2.7, outside of Discrete\(4\)"),
    (spaces.Discrete(4, start=1), 0, r"returned the observation 0, outside of Discrete\(4, start=1\)"),
    (spaces.MultiDiscrete([2, 3]), np.array([1, 3]), r"outside of MultiDiscrete"),
    (spaces.Dict(a=ROW), {"b": GOOD}, r"returned an observation with other parts than Dict"),
    (spaces.Dict(a=spaces.Discrete(2)), {"a": 2}, r"returned the observation 2, outside of Discrete\(2\)"),
]


@pytest.mark.parametrize(("space", "observation", "says"), WRONG)
def test_an_observation_that_arrays_would_not_hold_is_refused(space: Any, observation: Any, says: str) -> None:
    with pytest.raises(UsageError, match=rf"^reset .*{says}"):
        SerialEnvironment([lambda: Shown(space, observation)]).reset([0])


@pytest.mark.parametrize("observation", [[0.5, 0, 1], np.zeros(3), np.array([0, 1, 0])])
def test_what_arrays_hold_is_taken(observation: Any) -> None:
    env = SerialEnvironment([lambda: Shown(ROW, observation)])
    assert played(env)[0].observation.tolist() == [list(map(float, observation))]


def test_numbers_beyond_a_box_are_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"^reset returned the observation array\(\[2., 2., 2.\].*, outside of Box"):
        SerialEnvironment([lambda: Shown(ROW, np.full(3, 2.0))]).reset([0])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"reward": np.array([1.0])}, r"reward array\(\[1.\]\) \(ndarray of shape \[1\]\); it must be a finite float"),
        ({"reward": None}, r"reward None \(NoneType\)"),
        ({"reward": "much"}, r"reward 'much' \(str\)"),
        ({"over": np.array([True])}, r"terminated=array\(\[ True\]\) .*it must be True or False"),
    ],
)
def test_rewards_and_ends_are_single_values(values: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        played(SerialEnvironment([lambda: Shown(**values)]))
    with pytest.raises(UsageError, match=says):
        played(SerialEnvironment([lambda: FrameSkip(Shown(**values), 2)])) if "reward" in values else played(
            SerialEnvironment([lambda: Shown(**values)])
        )


def test_none_and_arrays_later_are_named_as_well() -> None:
    for odd in (None, np.array([1.0])):
        env = SerialEnvironment([lambda odd=odd: Shown(reward=lambda t, odd=odd: odd if t == 50 else 1.0)])
        played(env, 49)
        with pytest.raises(UsageError, match=r"^the environment returned the reward (None|array)"):
            env.step(np.zeros(1, np.int64))


class Old(Shown):
    """Has the signatures of old."""

    def reset(self) -> Any:
        return self.observation

    def step(self, action: int) -> Any:
        return self.observation, 1.0, False, {}


class OldStep(Old):
    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self.observation, {}


def test_old_signatures_are_named() -> None:
    with pytest.raises(UsageError, match=r"unexpected keyword argument 'seed'; reset must take \(\*, seed=None"):
        SerialEnvironment([lambda: gymnasium.wrappers.TimeLimit(Old(), 5)]).reset([0])
    with pytest.raises(
        UsageError, match=r"^step returned \(ndarray, float, bool, dict\); it must return \(observation,"
    ):
        played(SerialEnvironment([lambda: gymnasium.wrappers.TimeLimit(OldStep(), 5)]))


def test_watchers_leave_after_the_first_steps() -> None:
    env = SerialEnvironment([lambda: gymnasium.wrappers.TimeLimit(Shown(), 50)])
    assert isinstance(env.envs[0].env, FirstSteps)
    played(env, FIRST_STEPS)
    layer: Any = env.envs[0]
    while isinstance(layer, gymnasium.Wrapper):
        assert not isinstance(layer, FirstSteps)
        layer = layer.env


class Started(SyncVectorEnv):
    def __init__(self) -> None:
        super().__init__([Shown] * 2)
        self.single_action_space = spaces.Discrete(2, start=5)


class Flat(SyncVectorEnv):
    def step(self, actions: Any) -> Any:
        observation, reward, *rest = super().step(actions)
        return observation, reward[:, None], *rest


def test_vector_environments_are_held_against_their_spaces() -> None:
    with pytest.raises(UsageError, match=r"^single_action_space is Discrete\(2, start=5\); it must be"):
        VectorEnvironment(Started)
    with pytest.raises(UsageError, match=r"^step 1 returned reward array\(\[\[1.\],\s+\[1.\]\]\); it must be 2 finite"):
        played(VectorEnvironment(lambda: Flat([Shown] * 2)))


def test_infos_for_others_stay_in_the_worker() -> None:
    def infos(t: int) -> Any:
        return {"contacts": np.zeros(t), "by turns": None if t % 2 else 1, "code": lambda: t, "game_over": True}

    env = SubprocessEnvironment([lambda: Shown(info=infos)] * 2)
    try:
        steps = played(env, 3)
        assert [step.info.game_over.tolist() for step in steps] == [[False, False]] * 3
    finally:
        env.close()


class Odd(Shown):
    """The 30th reward is not finite."""

    def __init__(self, value: str) -> None:
        super().__init__(spaces.Discrete(3), 0, lambda t: float(value) if t == 30 else 1.0)

    def step(self, action: int) -> Any:
        observation, reward, _, _, info = super().step(action)
        return observation, reward, self.t % 10 == 0, False, info

    def get_state(self) -> Any:
        return {"t": self.t}

    def set_state(self, state: Any) -> None:
        self.t = state["t"]


gymnasium.register("Odd-v0", Odd)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_reward_that_is_not_finite_stops_who_learns_and_is_said_to_others(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("env=gym", "env.id=Odd-v0", f"+env.kwargs.value='{value}'", "total_steps=60", "eval.every=0", "video=none")
    says = f"the environment returned the reward {value} at step 30; it must be finite"
    with pytest.raises(RunError, match=rf"^{says}: fix it, then resume"):
        rlkit.train("agent=q_learning", "name=q", *words)
    rlkit.train("agent=random", "name=r", *words)
    assert capsys.readouterr().out.count(f"{says}: so are returns") == 1
