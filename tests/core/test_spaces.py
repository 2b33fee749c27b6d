from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.array_spaces import as_arrays
from rlkit.core.spaces import choice_sizes, empty, num_actions, num_states, require_array, state_index
from rlkit.core.texts import Tokens
from rlkit.core.types import UsageError
from rlkit.vector.snapshot import why_opaque
from toys import assert_same


class Echo(gymnasium.Env):
    """Shows one observation for ever, and remembers the last action."""

    def __init__(self, observation_space: Any, observation: Any, action_space: Any = None):
        self.observation_space, self.observation = observation_space, observation
        self.action_space = spaces.Discrete(2) if action_space is None else action_space
        self.last_action: Any = None

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self.observation, {}

    def step(self, action: Any) -> Any:
        self.last_action = action
        return self.observation, 0.0, False, False, {}


def test_observations_that_are_arrays_already_are_left_alone() -> None:
    for space in (
        spaces.Box(0, 1, (2, 3)),
        spaces.Discrete(4),
        spaces.MultiDiscrete([2, 3]),
        spaces.MultiBinary(3),
    ):
        env = Echo(space, space.sample())
        assert as_arrays(env) is env


def test_a_tuple_of_discrete_observations_becomes_one_multi_discrete_array_from_zero() -> None:
    env = as_arrays(Echo(spaces.Tuple((spaces.Discrete(32), spaces.Discrete(3, start=5))), (17, 6)))
    assert env.observation_space == spaces.MultiDiscrete([32, 3])
    observation, _ = env.reset()
    assert observation.tolist() == [17, 1]
    assert observation.dtype == np.int64
    assert env.step(0)[0].tolist() == [17, 1]


def test_discrete_observations_and_actions_are_counted_from_zero() -> None:
    inner = Echo(spaces.Discrete(3, start=-1), 1, spaces.Discrete(4, start=10))
    env = as_arrays(inner)
    assert env.observation_space == spaces.Discrete(3)
    assert env.action_space == spaces.Discrete(4)
    assert env.reset()[0] == 2
    env.step(np.int64(3))
    assert inner.last_action == 13


@pytest.mark.parametrize("dtype", [np.int64, np.int8])
def test_each_part_of_composed_observations_and_actions_is_counted_from_zero(dtype: Any) -> None:
    seen = spaces.MultiDiscrete([120, 2], start=[-100, 5], dtype=dtype)
    done = spaces.MultiDiscrete([[2, 3], [4, 5]], start=[[1, 0], [-2, 7]], dtype=dtype)
    inner = Echo(seen, np.array([19, 5], dtype), done)
    env = as_arrays(inner)
    assert env.observation_space == spaces.MultiDiscrete([120, 2])
    assert env.action_space == spaces.MultiDiscrete([[2, 3], [4, 5]])
    observation, _ = env.reset()
    assert observation.tolist() == [119, 0]
    assert env.observation_space.contains(observation)
    for action, own in ([[[0, 0], [0, 0]], [[1, 0], [-2, 7]]], [[[1, 2], [3, 4]], [[2, 2], [1, 11]]]):
        env.step(np.array(action))
        assert inner.last_action.tolist() == own
        assert done.contains(inner.last_action)
    assert str(why_opaque(env)).startswith("test_spaces.Echo declares no"), "the layers around it can be captured"


def test_a_mask_has_a_flag_for_each_value_of_each_choice() -> None:
    assert choice_sizes(spaces.Discrete(4)) == [4]
    assert choice_sizes(spaces.MultiDiscrete([[2, 3], [4, 5]])) == [2, 3, 4, 5]
    assert choice_sizes(spaces.MultiBinary(3)) == [2, 2, 2]
    with pytest.raises(UsageError, match=r"needs discrete actions, not Box.*leave action_mask=true out"):
        choice_sizes(spaces.Box(0, 1))


NESTED = spaces.Dict(
    [
        ("b", spaces.Tuple([spaces.Discrete(3, start=-1), spaces.Box(0, 9, (2,))])),
        ("a", spaces.MultiDiscrete([4, 5], start=[7, 8])),
    ]
)


def test_a_dict_stays_what_it_is_counted_from_zero() -> None:
    env = as_arrays(Echo(NESTED, {"a": np.array([8, 9]), "b": (1, np.array([4, 5], np.float32))}))
    observation, _ = env.reset()
    assert env.observation_space == spaces.Dict(
        [("b", spaces.Tuple([spaces.Discrete(3), spaces.Box(0, 9, (2,))])), ("a", spaces.MultiDiscrete([4, 5]))]
    )
    assert env.observation_space.contains(observation)
    assert list(observation) == ["b", "a"]
    assert_same(observation["a"], np.array([1, 1]))
    assert observation["b"][0] == 2
    assert_same(observation["b"][1], np.array([4, 5], np.float32))


def test_a_tree_without_starts_needs_no_wrapper() -> None:
    space = spaces.Dict({"a": spaces.Box(0, 9, (2,)), "b": spaces.Tuple([spaces.Discrete(3)])})
    env = Echo(space, None, space)
    assert as_arrays(env) is env


def test_composed_actions_reach_the_environment_as_it_counts_and_types_them() -> None:
    inner = Echo(spaces.Discrete(2), 0, spaces.Dict({**NESTED, "c": spaces.MultiDiscrete([3], np.int8, start=[2])}))
    env = as_arrays(inner)
    env.step(env.action_space.sample())
    assert inner.action_space.contains(inner.last_action)
    env.step({"a": np.array([0, 4]), "b": (np.int64(0), np.ones(2, np.float32)), "c": np.array([2])})
    assert inner.last_action["a"].tolist() == [7, 12]
    assert inner.last_action["b"][0] == -1
    assert_same(inner.last_action["c"], np.array([4], np.int8))


def test_a_text_becomes_the_numbers_of_its_characters_and_the_rest_stays() -> None:
    space = spaces.Dict({"a": spaces.Text(3, charset="xy"), "b": spaces.Discrete(2, start=4)})
    env = as_arrays(Echo(space, {"a": "yx", "b": 5}))
    shown = env.reset()[0]
    assert env.observation_space == spaces.Dict([("a", Tokens(3, 4)), ("b", spaces.Discrete(2))])
    assert env.observation_space.contains(shown)
    assert shown["b"] == 1
    assert_same(shown["a"], np.array([2, 1, 0], np.int16))


def test_parts_of_spaces_that_gymnasium_flattens_are_flattened_and_the_rest_stays() -> None:
    space = spaces.Tuple([spaces.OneOf([spaces.Discrete(2), spaces.Discrete(3)]), spaces.Box(0, 1, (2, 2))])
    image = np.zeros((2, 2), np.float32)
    env = as_arrays(Echo(space, ((np.int64(1), np.int64(2)), image)))
    choice, shown = env.reset()[0]
    assert shown is image
    assert choice.shape == env.observation_space[0].shape == (4,)


def test_room_for_values_of_a_space_is_a_tree_of_its_shapes_and_dtypes() -> None:
    room = empty(NESTED, 4)
    assert [(leaf.shape, leaf.dtype) for leaf in tree.leaves(room)] == [
        ((4,), np.int64),
        ((4, 2), np.float32),
        ((4, 2), np.int64),
    ]
    assert list(room) == ["b", "a"]
    assert empty(spaces.Discrete(3), 2).shape == (2,)


def test_a_mask_of_a_composed_action_is_that_of_its_parts_in_their_order() -> None:
    counted = spaces.Tuple([spaces.Discrete(3), spaces.Dict(x=spaces.MultiBinary(2), y=spaces.MultiDiscrete([2, 4]))])
    assert choice_sizes(counted) == [3, 2, 2, 2, 4]
    with pytest.raises(UsageError, match=r"needs discrete actions, not Box"):
        choice_sizes(NESTED)


def test_who_needs_one_array_refuses_a_tree_and_says_how_to_flatten_it() -> None:
    box = spaces.Box(0, 1)
    assert require_array(box, agent="agent=x") is box
    line = (
        r"agent=x needs observations that are one array, not Dict.*preprocess=\[gymnasium.wrappers.FlattenObservation\]"
    )
    with pytest.raises(UsageError, match=line):
        require_array(NESTED, agent="agent=x")
    with pytest.raises(
        UsageError, match=r"sarsa needs discrete observations, not Dict.*; agents with networks, as agent=dqn"
    ):
        num_states(NESTED, agent="sarsa")


def test_spaces_that_are_no_arrays_are_refused_with_a_remedy() -> None:
    with pytest.raises(UsageError, match=r"observations must be Box.*Sequence.*TransformObservation"):
        as_arrays(Echo(spaces.Sequence(spaces.Discrete(3)), (1, 2)))
    with pytest.raises(UsageError, match=r"actions must be Box.*Tuple.*Text.*TransformAction"):
        as_arrays(Echo(spaces.Discrete(2), 0, spaces.Tuple((spaces.Text(2),))))
    for none in (
        spaces.Tuple([]),
        spaces.Dict(),
        spaces.Dict({1: spaces.Discrete(2)}),
        spaces.Dict(x=spaces.Tuple([])),
    ):
        with pytest.raises(UsageError, match=r"actions must be Box"):
            as_arrays(Echo(spaces.Discrete(2), 0, none))


def test_num_states_counts_every_combination() -> None:
    assert num_states(spaces.Discrete(7), agent="a") == 7
    assert num_states(spaces.MultiDiscrete([[2, 3], [4, 5]]), agent="a") == 120
    assert num_states(spaces.MultiBinary((2, 3)), agent="a") == 64


def test_num_states_and_num_actions_name_the_agent_and_a_remedy() -> None:
    with pytest.raises(UsageError, match=r"q_learning needs discrete observations, not Box.*agent=dqn"):
        num_states(spaces.Box(0, 1), agent="q_learning")
    with pytest.raises(UsageError, match=r"dqn needs discrete actions, not Box.*agent=ppo, a2c, reinforce or es"):
        num_actions(spaces.Box(0, 1), agent="dqn")
    assert num_actions(spaces.Discrete(3), agent="dqn") == 3


@pytest.mark.parametrize(
    "space", [spaces.MultiDiscrete([2, 3, 4]), spaces.MultiDiscrete([[2, 3], [1, 4]]), spaces.MultiBinary((2, 2))]
)
def test_state_index_is_a_bijection_onto_the_states(space: Any) -> None:
    sizes = space.nvec.ravel() if isinstance(space, spaces.MultiDiscrete) else [2] * int(np.prod(space.shape))
    rows = np.array(list(np.ndindex(*sizes))).reshape(-1, *space.shape).astype(space.dtype)
    index = state_index(rows, space)
    assert index.tolist() == list(range(num_states(space, agent="a")))


def test_state_index_of_a_discrete_space_is_the_observation() -> None:
    assert state_index(np.array([3, 0]), spaces.Discrete(4)).tolist() == [3, 0]


def test_state_index_counts_the_last_axis_fastest() -> None:
    assert state_index(np.array([[1, 2, 3]]), spaces.MultiDiscrete([2, 3, 4])).tolist() == [1 * 12 + 2 * 4 + 3]
