"""What is wrong with what a caller passes to a policy is said in the caller's words."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation

from rlkit.core import tree
from rlkit.core.types import RunError, UsageError
from rlkit.runs.policy import DeployedPolicy

BOX = spaces.Box(-50, 50, (3,), np.float32)
PARTS = spaces.Dict({"mode": spaces.Discrete(3), "room": BOX})
TWO = spaces.Tuple([spaces.Discrete(3), spaces.Dict({"on": spaces.Discrete(2)})])


class Room(gymnasium.Env[Any, Any]):
    def __init__(self, space: Any):
        self.observation_space, self.action_space = space, spaces.Discrete(2)


class Zero:
    has_policy = False

    def initial_memory(self, n: int) -> Any:
        return ()

    def act(self, timestep: Any, memory: Any, *, explore: bool, rng: Any) -> Any:
        return np.zeros(tree.length(timestep.observation), np.int64), memory


class Sums(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Shows four numbers of three, and of what is none, NaN."""

    def __init__(self, env: Any):
        super().__init__(env)
        self.observation_space = spaces.Box(-np.inf, np.inf, (4,), np.float32)

    def observation(self, observation: Any) -> Any:
        return np.append(observation, np.sum(observation)).astype(np.float32)


def policy_in(space: Any, wrap: Any = lambda env: env) -> DeployedPolicy:
    return DeployedPolicy(Zero(), Room(space), wrap, action_mask=False, rng=np.random.default_rng(0))


ROW = np.zeros(3, np.float32)
MISTAKES = [
    (
        BOX,
        (ROW, {}),
        r"all that reset\(\) returns; pass its observation and info: action = policy\(observation, info\)",
    ),
    (BOX, (ROW, 0.0, False, False, {}), r"all that step\(\) returns; pass its observation and info"),
    (PARTS, ({"mode": 1, "room": ROW}, {}), r"all that reset\(\) returns"),
    (PARTS, "hello", r"'hello', which is no observation of the environment's Dict\(.*; pass one as reset\(\) and step"),
    (PARTS, {"mode": 1}, r"a dict of mode, which is no observation"),
    (PARTS, {"mode": 7, "room": ROW}, r"7 as mode, which is no observation of the environment's Discrete\(3\)"),
    (BOX, np.zeros(5, np.float32), r"float32 \[5\], which is no observation of the environment's Box\(-50"),
    (BOX, np.array([0, np.nan, 0], np.float32), r"array\(\[ 0\., nan,  ?0\.\].*, which is no observation"),
    (BOX, [[0.0], [0.0, 1.0]], r"\[\[0.0\], \[0.0, 1.0\]\], which is no observation"),
    (BOX, [], "a batch of no observations; pass at least one"),
    (PARTS, {"mode": np.zeros(0, int), "room": np.zeros((0, 3), np.float32)}, "a batch of no observations"),
    (PARTS, {"mode": np.array([1, 2]), "room": ROW[None]}, r"a batch whose parts have 2, 1, in the order of Dict"),
    (spaces.Dict(a=BOX, b=spaces.Discrete(3)), {"a": ROW[None], "b": 1}, "a batch whose parts have 1, no rows,"),
    (spaces.Discrete(9), 17, r"17, which is no observation of the environment's Discrete\(9\)"),
]


@pytest.mark.parametrize(("space", "passed", "says"), MISTAKES)
def test_a_mistake_is_said_in_the_caller_s_words_and_costs_nothing(space: Any, passed: Any, says: str) -> None:
    policy = policy_in(space)
    with pytest.raises(UsageError, match=rf"^policy\(\) was passed {says}"):
        policy(passed)
    assert policy(space.sample()) == 0


@pytest.mark.parametrize("passed", [np.zeros(5, np.float32), "hello", np.array([0, np.nan, 0])])
def test_behind_wrappers_the_caller_s_own_numbers_are_named_and_the_next_call_works(passed: Any) -> None:
    policy = policy_in(BOX, Sums)
    with pytest.raises(
        UsageError, match=r"^policy\(\) was passed .*, which is no observation of the environment's Box"
    ):
        policy(passed)
    assert policy(ROW) == 0


def test_what_wrappers_cope_with_is_no_mistake() -> None:
    policy = policy_in(spaces.Box(0, 1, (2,), np.uint8), Sums)
    assert policy(np.zeros(3)) == 0  # The environment itself may be at odds with its space, inside of wrappers.


def test_a_fault_of_the_wrappers_is_theirs() -> None:
    policy = policy_in(BOX, lambda env: gymnasium.wrappers.TransformObservation(env, lambda row: row[:1], BOX))
    with pytest.raises(UsageError, match=r"^the wrappers of preprocess= returned an observation float32 \[1\]"):
        policy(ROW)
    with pytest.raises(RunError, match=r"^a wrapper of preprocess= raised"):
        policy_in(BOX, lambda env: gymnasium.wrappers.TransformObservation(env, lambda row: row[9], BOX))(ROW)


def test_a_tuple_that_looks_like_all_of_reset_is_an_observation_where_the_space_says_so() -> None:
    assert policy_in(TWO, FlattenObservation)((1, {"on": 0})) == 0


@pytest.mark.parametrize(
    ("passed", "info", "reward", "says"),
    [
        (ROW, 1.0, 0.0, r"1\.0 as info; pass the environment's dict: action = policy\(observation, info\)"),
        (ROW[None], ["info"], 0.0, r"\['info'\] as info; pass a dict of each environment, or one of arrays"),
        (ROW[None], [{}, {}], 0.0, "2 of info for a batch of 1 observations"),
        (ROW[None], {"action_mask": np.ones((3, 2))}, 0.0, "3 of action_mask for a batch of 1 observations"),
        (ROW[None], None, [1.0, 2.0], r"rewards of shape \[2\] for 1 observations"),
    ],
)
def test_infos_and_rewards_fit_the_observations(passed: Any, info: Any, reward: Any, says: str) -> None:
    with pytest.raises(UsageError, match=rf"^policy\(\) was passed {says}"):
        policy_in(BOX)(passed, info, reward=reward)


@pytest.mark.parametrize("wrap", [lambda env: env, Sums])
def test_what_is_out_of_bounds_is_warned_of_once_at_the_caller_s_line(wrap: Any) -> None:
    policy = policy_in(BOX, wrap)
    policy(ROW)
    with pytest.warns(
        UserWarning, match=r"^policy\(\) was passed array\(\[500.* outside of Box\(-50.*learned noth"
    ) as found:
        policy(ROW + 500)
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        policy(ROW + 500)


def test_a_policy_is_shown_by_its_agent_and_spaces() -> None:
    assert repr(policy_in(spaces.Discrete(9))) == "<policy of Zero: Discrete(9) -> Discrete(2)>"
