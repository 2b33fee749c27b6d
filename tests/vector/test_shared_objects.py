"""Nothing that an environment returns or is given is shared with it."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

from rlkit.planning.search.copies import CopyModel
from rlkit.preprocess.frames import FrameSkip, FrameStack, MaxFrames
from rlkit.testing import check_env
from rlkit.vector import snapshot
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.vector import VectorEnvironment


class Flicker(gymnasium.Env):
    """Frame t shows pixel t % 2, always in the same array."""

    observation_space = spaces.Box(0, 255, (2,), np.uint8)
    action_space = spaces.Discrete(2)

    def __init__(self) -> None:
        self.buffer = np.zeros(2, np.uint8)

    def draw(self) -> Any:
        self.buffer[:] = 0
        self.buffer[self.t % 2] = 200
        return self.buffer

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return self.draw(), {"action_mask": self.buffer}

    def step(self, action: int) -> Any:
        self.t += 1
        return self.draw(), 0.0, False, False, {"action_mask": self.buffer}

    def get_state(self) -> Any:
        return {"t": self.t}

    def set_state(self, state: Any) -> None:
        self.t = state["t"]


def test_frames_are_pooled_where_all_are_one_array() -> None:
    env = MaxFrames(Flicker())
    env.reset(seed=0)
    assert [env.step(0)[0].tolist() for _ in range(3)] == [[200, 200]] * 3


def test_a_stack_is_not_changed_by_who_gets_it() -> None:
    env = FrameStack(Flicker(), 2)
    first, _ = env.reset(seed=0)
    first[:] = 7
    second = env.step(0)[0]
    assert second.tolist() == [[200, 0], [0, 200]]
    second[:] = 7
    assert env.step(0)[0].tolist() == [[0, 200], [200, 0]]


def test_states_of_a_search_keep_what_was_observed() -> None:
    model = CopyModel(Flicker(), 1)
    env = Flicker()
    observation, _ = env.reset(seed=0)
    start = model.complete(model.read(env)[None], observation[None].copy(), None)
    nothing = np.zeros(1, np.int64)
    one = model.step(start, nothing, nothing).state
    two = model.step(one, nothing, nothing).state
    assert model.observation(one).tolist() == [[0, 200]]
    assert model.observation(two).tolist() == [[200, 0]]
    assert model.legal_actions(one).tolist() == [[False, True]]
    assert model.legal_actions(two).tolist() == [[True, False]]


class Motor(gymnasium.Env):
    """Earns what it is asked for, and halves its action in place."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space: Any = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> Any:
        reward = float(action[0])
        action *= 0.5
        return np.zeros(1, np.float32), reward, False, False, {}


class MotorPair(Motor):
    action_space = spaces.Tuple([Motor.action_space, spaces.Discrete(2)])

    def step(self, action: Any) -> Any:
        return super().step(action[0])


@pytest.mark.parametrize(
    "make", [lambda: SerialEnvironment([Motor] * 2), lambda: VectorEnvironment(lambda: InPlace([Motor] * 2))]
)
def test_actions_are_left_as_the_agent_made_them(make: Any) -> None:
    env, action = make(), np.full((2, 1), 0.5, np.float32)
    env.reset([0, 1])
    rewards = [env.step(action).reward.tolist() for _ in range(2)]
    assert (rewards, action.tolist()) == ([[0.5, 0.5]] * 2, [[0.5]] * 2)


class InPlace(SyncVectorEnv):
    """Writes to its actions."""

    def step(self, actions: Any) -> Any:
        result = super().step(actions.copy())
        actions *= 0.5
        return result


def test_trees_of_actions_are_left_as_they_were() -> None:
    env = SerialEnvironment([MotorPair])
    env.reset([0])
    action = (np.full((1, 1), 0.5, np.float32), np.zeros(1, np.int64))
    env.step(action)
    assert action[0].tolist() == [[0.5]]


def test_a_repeated_action_is_the_same_each_time() -> None:
    env = FrameSkip(Motor(), 4)
    env.reset(seed=0)
    action = np.array([0.5], np.float32)
    assert env.step(action)[1] == 2.0
    assert action.tolist() == [0.5]


class Walk(gymnasium.Env):
    """Walks left or right; hands out its board, or keeps the one that it is given."""

    observation_space = spaces.Discrete(41)
    action_space = spaces.Discrete(2)

    def __init__(self, returns_own: bool, keeps_given: bool):
        self.returns_own, self.keeps_given = returns_own, keeps_given

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.board = np.zeros(2, np.int64)
        return 20, {}

    def step(self, action: int) -> Any:
        self.board += (2 * int(action) - 1, 1)
        return int(self.board[0]) + 20, 0.0, bool(self.board[1] >= 20), False, {}

    def get_state(self) -> Any:
        return {"board": self.board if self.returns_own else self.board.copy()}

    def set_state(self, state: Any) -> None:
        self.board = state["board"] if self.keeps_given else state["board"].copy()


@pytest.mark.parametrize(("returns_own", "keeps_given"), [(True, False), (False, True), (True, True), (False, False)])
def test_a_state_can_be_restored_again_and_again(returns_own: bool, keeps_given: bool) -> None:
    env = Walk(returns_own, keeps_given)
    env.reset(seed=0)
    env.step(1)
    saved = snapshot.capture(env)
    assert saved is not None
    for _ in range(2):
        snapshot.restore(env, saved)
        assert env.step(1)[0] == 22


@pytest.mark.parametrize(
    ("returns_own", "keeps_given", "says"),
    [(True, False, "get_state() had returned"), (False, True, "set_state(state) was given"), (False, False, None)],
)
def test_rlkit_check_says_which_state_is_shared(returns_own: bool, keeps_given: bool, says: str | None) -> None:
    results = check_env(partial(Walk, returns_own, keeps_given), steps=60, strict=False)
    message = next(result.message for result in results if result.rule == "states_stand_alone")
    assert (says or "") in message
    assert all(result.passed for result in results) == (says is None)
