"""Whatever an environment returns, also late in a run, is taken as it is meant or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

from rlkit.core.types import EnvironmentFaultError
from rlkit.testing import check_env
from rlkit.vector.first_steps import FIRST_STEPS
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment

LATE = FIRST_STEPS + 5
ROW = spaces.Box(-1, 1, (3,), np.float32)
STATE = spaces.Discrete(4)
TREE = spaces.Dict(row=ROW, state=STATE)
ZEROS = np.zeros(3, np.float32)


class Late(gymnasium.Env):
    """Returns what is right until step `LATE`, and then `late`: all five values, or one in place of one of them."""

    action_space: Any = spaces.Discrete(2)

    def __init__(self, space: Any = ROW, right: Any = ZEROS, late: Any = None, place: int = 0):
        self.observation_space = space
        self.right, self.late, self.place = right, late, place
        self.t = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.right, {}

    def step(self, action: Any) -> Any:
        self.t += 1
        result = [self.right, 1.0, False, False, {}]
        if self.t == LATE:
            if self.place < 0:
                return self.late
            result[self.place] = self.late
        return tuple(result)


def played(env: Any) -> Any:
    try:
        env.reset([0] * env.num_envs)
        return [env.step(np.zeros(env.num_envs, np.int64)) for _ in range(LATE)]
    finally:
        env.close()


WAYS = {"serial": SerialEnvironment, "subprocess": SubprocessEnvironment}
OBSERVATIONS: list[tuple[Any, Any, Any, str]] = [
    (ROW, ZEROS, None, r"a NoneType as observation; Box.* needs a numpy array"),
    (ROW, ZEROS, 0.5, r"a float as observation"),
    (ROW, ZEROS, np.zeros(4, np.float32), r"an observation float32 \[4\], but its space says float32 \[3\]"),
    (ROW, ZEROS, np.zeros((3, 1), np.float32), r"an observation float32 \[3, 1\], but"),
    (ROW, ZEROS, np.array([0, np.nan, 0], np.float32), r"the observation array\(\[ ?0., nan, ?0.\].*, outside of Box"),
    (ROW, ZEROS, np.array(["a", "b", "c"]), r"an observation <U1 \[3\], but"),
    (ROW, ZEROS, np.zeros(3, complex), r"an observation complex128 \[3\], but"),
    (ROW, ZEROS, [[1], [1, 2], 3], r"a list as observation"),
    (spaces.Box(0, 255, (3,), np.uint8), np.zeros(3, np.uint8), np.full(3, 0.7), r"an observation float64 \[3\], but"),
    (STATE, 0, 4, r"the observation 4, outside of Discrete\(4\)"),
    (STATE, 0, -1, r"the observation -1, outside of Discrete\(4\)"),
    (STATE, 0, 2.7, r"the observation 2.7, outside of Discrete\(4\)"),
    (STATE, 0, None, r"the observation None, outside of Discrete\(4\)"),
    (STATE, 0, np.array([1]), r"the observation array\(\[1\]\), outside of Discrete\(4\)"),
    (STATE, 0, 10**30, r"the observation 10+, outside of Discrete\(4\)"),
    (spaces.Text(3), "abc", "abcd", r"the observation 'abcd', outside of Text\(1, 3"),
    (spaces.Text(3), "abc", "a-c", r"the observation 'a-c', outside of Text\(1, 3"),
    (TREE, {"row": ZEROS, "state": 1}, {"row": ZEROS}, r"an observation with other parts than Dict"),
    (TREE, {"row": ZEROS, "state": 1}, {"row": ZEROS, "state": 9}, r"the observation 9, outside of Discrete\(4\)"),
    (TREE, {"row": ZEROS, "state": 1}, {"row": ZEROS * np.nan, "state": 0}, r".*outside of Box"),
]


@pytest.mark.parametrize(("space", "right", "late", "says"), OBSERVATIONS)
def test_late_observations_that_arrays_would_not_hold_are_refused(space: Any, right: Any, late: Any, says: str) -> None:
    with pytest.raises(EnvironmentFaultError, match=rf"^(the environment|step {LATE}) returned {says}"):
        played(SerialEnvironment([lambda: Late(space, right, late)]))


@pytest.mark.parametrize("late", [np.zeros(4, np.float32), np.full(3, np.nan, np.float32), None])
def test_workers_refuse_them_too(late: Any) -> None:
    with pytest.raises(EnvironmentFaultError, match=r"^the environment returned"):
        played(SubprocessEnvironment([lambda: Late(ROW, ZEROS, late)] * 2))


FIVE = r"it must return \(observation, reward, terminated, truncated, info\)"


@pytest.mark.parametrize(
    ("place", "late", "says"),
    [
        (-1, None, rf"step returned NoneType; {FIVE}"),
        (-1, (ZEROS, 1.0, False, {}), rf"step returned \(ndarray, float, bool, dict\); {FIVE}"),
        (4, None, rf"step returned \(ndarray, float, bool, bool, NoneType\); {FIVE}"),
        (2, "False", r"the environment returned terminated='False' \(str\); it must be True or False"),
        (3, None, r"the environment returned truncated=None \(NoneType\); it must be"),
        (2, np.array([True]), r"the environment returned terminated=array\(\[ True\]\)"),
        (2, 2, r"the environment returned terminated=2 \(int\)"),
        (3, float("nan"), r"the environment returned truncated=nan"),
        (1, 10**400, r"the environment returned an int of 1329 bits as reward; it must be a finite float"),
        (1, "1.0", r"the environment returned the reward '1.0' \(str\)"),
    ],
)
def test_late_values_of_another_kind_are_refused(place: int, late: Any, says: str) -> None:
    with pytest.raises(Exception, match=rf"^{says}") as caught:
        played(SerialEnvironment([lambda: Late(late=late, place=place)]))
    assert type(caught.value).__name__ in ("EnvironmentFaultError", "UsageError")


TAKEN: list[Callable[[], Any]] = [
    lambda: [0, 0.5, 1],
    lambda: np.array([0, 0.5, 1]),
    lambda: np.array([0, 0.5, 1], ">f4"),
    lambda: np.array([[0, 9], [0.5, 9], [1, 9]], np.float32)[:, 0],
    lambda: np.ma.masked_array(np.array([0, 0.5, 1], np.float32), [0, 1, 0]),
]


@pytest.mark.parametrize("late", TAKEN)
def test_other_forms_of_the_same_numbers_are_taken(late: Callable[[], Any]) -> None:
    value = late()
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    assert played(SerialEnvironment([lambda: Late(late=value)]))[-1].next_observation.tolist() == [[0, 0.5, 1]]


@pytest.mark.parametrize("end", [True, np.True_, np.array(True), 1, 1.0])
def test_ends_are_taken_in_every_form(end: Any) -> None:
    last = played(SerialEnvironment([lambda: Late(late=end, place=2)]))[-1]
    assert (last.last.tolist(), last.discount.tolist()) == ([True], [0.0])


def test_infinity_is_taken_where_the_space_has_no_bounds() -> None:
    space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    late = np.array([np.inf, -np.inf, 0], np.float32)
    assert played(SerialEnvironment([lambda: Late(space, ZEROS, late)]))[-1].next_observation[0, 0] == np.inf


class NativeNan(SyncVectorEnv):
    steps = 0

    def step(self, actions: Any) -> Any:
        observation, *rest = super().step(actions)
        self.steps += 1
        return observation * (np.nan if self.steps == LATE else 1), *rest


def test_native_environments_are_looked_at_in_every_step() -> None:
    with pytest.raises(EnvironmentFaultError, match=r"^the environment returned the observation array\(\[nan, nan"):
        played(VectorEnvironment(lambda: NativeNan([lambda: Late(late=ZEROS)] * 2)))


class Reuses(gymnasium.Env):
    """Writes all observations into one array, the reset's over that of the end."""

    observation_space = spaces.Box(0, 9, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.buffer = np.zeros(1, np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.buffer[:] = 0
        return self.buffer, {}

    def step(self, action: Any) -> Any:
        self.buffer += 1
        return self.buffer, 1.0, bool(self.buffer[0] >= 3), False, {}


@pytest.mark.parametrize("way", WAYS)
def test_what_an_episode_ended_with_is_not_what_the_next_begins_with(way: str) -> None:
    last = [step for step in played(WAYS[way]([Reuses] * 2)) if step.last.all()][0]  # noqa: RUF015
    assert (last.next_observation.tolist(), last.observation.tolist()) == ([[3], [3]], [[0], [0]])


class Grows(Late):
    """Its spaces grow after a while."""

    def __init__(self, which: str):
        super().__init__(late=ZEROS)
        self.which = which

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if self.t > LATE - 5:
            grown: Any = spaces.Discrete(3) if self.which == "action_space" else spaces.Box(-1, 1, (4,), np.float32)
            setattr(self, self.which, grown)
        return super().reset(seed=seed)

    def step(self, action: Any) -> Any:
        return *super().step(action)[:3], self.t % 4 == 0, {}


@pytest.mark.parametrize("which", ["action_space", "observation_space"])
def test_spaces_that_change_are_named(which: str) -> None:
    says = rf"{which} was (Discrete\(2\)|Box.*) and is (Discrete\(3\)|Box.*)"
    with pytest.raises(EnvironmentFaultError, match=rf"^{says} after a reset; it must stay the same: make it as large"):
        played(SerialEnvironment([lambda: Grows(which)]))
    results = {result.rule: result for result in check_env(lambda: Grows(which), steps=40, strict=False)}
    assert not results["spaces_stay_the_same"].passed
    assert "it must stay the same" in results["spaces_stay_the_same"].message


class Spaceless(gymnasium.Env):
    def __init__(self, **spaces: Any):
        for name, space in spaces.items():
            setattr(self, name, space)


@pytest.mark.parametrize("given", [{"action_space": STATE}, {"observation_space": (3,), "action_space": STATE}])
def test_what_is_no_space_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(EnvironmentFaultError, match=r"^observation_space is (None|\(3,\)); it must be a space of gym"):
        SerialEnvironment([lambda: Spaceless(**given)])


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(5, start=-2),
        spaces.Box(-1, 1, ()),
        spaces.Box(-1, 1, (0,)),
        spaces.MultiBinary([2, 2]),
        spaces.MultiDiscrete([[2, 3], [2, 2]]),
        spaces.Text(5),
        spaces.Dict(a=spaces.Dict(b=spaces.Tuple([ROW, STATE]))),
    ],
)
def test_all_spaces_of_arrays_are_played_in(space: Any) -> None:
    space.seed(0)
    steps = played(SerialEnvironment([lambda: Late(space, space.sample(), space.sample())]))
    assert len(steps) == LATE


@pytest.mark.parametrize(
    "space", [spaces.Sequence(STATE), spaces.Graph(ROW, None), spaces.Dict({}), spaces.Dict(a=spaces.Sequence(ROW))]
)
def test_spaces_without_arrays_are_refused_in_one_line(space: Any) -> None:
    with pytest.raises(Exception, match=r"^observations must be Box, Discrete, .*not (Sequence|Graph|Dict)") as caught:
        SerialEnvironment([lambda: Late(space)])
    assert type(caught.value).__name__ == "UsageError"


@pytest.mark.parametrize(
    ("reward", "returned"),
    [(np.uint8(255), 255), (np.True_, 1), (np.int64(3), 3), (np.float16(0.5), 0.5), (np.array(2), 2), (True, 1)],
)
def test_rewards_are_numbers_of_every_dtype(reward: Any, returned: float) -> None:
    for make in WAYS.values():
        last = played(make([lambda: Late(late=reward, place=1)] * 3))[-1]
        assert last.reward.tolist() == last.info.raw_reward.tolist() == [returned] * 3


class Number(Late):
    """Acts by one number without axes."""

    action_space = spaces.Box(-1, 1, ())

    def __init__(self) -> None:
        super().__init__()

    def step(self, action: Any) -> Any:
        assert isinstance(action, np.ndarray)
        assert self.action_space.contains(action)
        return ZEROS, float(action), False, False, {}


@pytest.mark.parametrize("way", WAYS)
def test_an_action_without_axes_is_an_array(way: str) -> None:
    env = WAYS[way]([Number] * 2)
    env.reset([0, 1])
    assert env.step(np.array([0.5, -1], np.float32)).reward.tolist() == [0.5, -1]
    env.close()
