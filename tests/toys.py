"""Environments and agents made for the tests: small, with every edge that real ones have."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space, concatenate, create_empty_array, iterate

from rlkit.core.types import Environment, TimeStep


class Counting(gymnasium.Env):
    """Counts its steps; where it ends, and how, depends on its generator and on the actions.

    An episode ends terminated, truncated or both. `raw_reward` and `game_over` differ from `reward` and `last`,
    and what a reset says of them must not be taken for a step's.
    """

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Discrete(3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._start = int(self.np_random.integers(1, 1000))
        self._length = int(self.np_random.integers(2, 9))
        self._ending = int(self.np_random.integers(3))
        self._count = self._total = 0
        return self._observation(), {"action_mask": self._mask(), "rlkit/raw_reward": -999.0, "rlkit/game_over": True}

    def step(self, action: int) -> Any:
        self._count += 1
        self._total += int(action)
        raw = float(action) + float(self.np_random.random())
        ended = self._count + self._total // 3 >= self._length
        info = {"action_mask": self._mask(), "rlkit/raw_reward": raw, "rlkit/game_over": ended and self._start % 2 == 0}
        return self._observation(), raw / 2, ended and self._ending != 0, ended and self._ending != 1, info

    def _observation(self) -> Any:
        return np.array([self._start, self._count, self._total], np.float32)

    def _mask(self) -> Any:
        return np.array([1, self._count % 2, self._total % 2], np.int8)


class Plain(Counting):
    """A `Counting` whose state can be read and written."""

    def __init__(self) -> None:
        self._start = self._length = self._ending = self._count = self._total = 0

    def get_state(self) -> Any:
        return [self._start, self._length, self._ending, self._count, self._total]

    def set_state(self, state: Any) -> None:
        self._start, self._length, self._ending, self._count, self._total = state


OBSERVATIONS = spaces.Dict(
    [
        ("where", spaces.Tuple([spaces.Box(-np.inf, np.inf, (2,), np.float32), spaces.Discrete(1001, start=-1)])),
        ("image", spaces.Box(0, 255, (2, 3), np.uint8)),
        ("flags", spaces.Dict(even=spaces.MultiBinary(2), rest=spaces.MultiDiscrete([10, 7], np.int16))),
    ]
)
ACTIONS = spaces.Tuple(
    [spaces.Discrete(3, start=2), spaces.Dict(force=spaces.Box(-1, 1, (2,)), odd=spaces.MultiBinary(2))]
)


class Nested(Plain):
    """A `Plain` whose observations and actions are trees of mixed dtypes."""

    observation_space = OBSERVATIONS

    def __init__(self, action_space: Any = ACTIONS) -> None:
        super().__init__()
        self.action_space = action_space

    def reset(self, **kwargs: Any) -> Any:
        observation, info = super().reset(**kwargs)
        return observation, self._told(info)

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        *shown, info = super().step(int(flattened(action)) % 3)
        return *shown, self._told(info)

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in info.items() if value is not None}

    def _mask(self) -> Any:
        return None

    def _observation(self) -> Any:
        flags = {
            "rest": np.array([self._count, self._total % 7], np.int16),
            "even": np.array([self._count % 2 == 0, self._total % 2 == 0], np.int8),
        }
        place = np.array([self._start, self._count / 4], np.float32)
        image = (np.arange(6).reshape(2, 3) + self._total).astype(np.uint8)
        return {"image": image, "where": (place, self._start - 1), "flags": flags}


def flattened(action: Any) -> float:
    """Return a number in which each part of an action counts."""
    if isinstance(action, dict):
        return sum(2 * flattened(part) for _, part in sorted(action.items()))
    if isinstance(action, tuple):
        return sum(map(flattened, action))
    return float(np.abs(action).sum() * 5)


class Bare(gymnasium.Wrapper):
    """Leaves nothing in the info."""

    def reset(self, **kwargs: Any) -> Any:
        return self.env.reset(**kwargs)[0], {}

    def step(self, action: Any) -> Any:
        return *self.env.step(action)[:4], {}


class InWords(gymnasium.ObservationWrapper):
    """Shows a number as a text."""

    state_fields = ()

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.observation_space = spaces.Text(12, charset="state 0123456789")

    def observation(self, observation: Any) -> str:
        return f"state {observation}"


class Tiring(gymnasium.Wrapper):
    """A user's own wrapper: rewards depend on what was done in all episodes so far."""

    state_fields = ("_count", "_done")

    def __init__(self, env: gymnasium.Env, memory: int = 3):
        super().__init__(env)
        self._memory, self._count, self._done = memory, 0, [0.0]

    def step(self, action: Any) -> Any:
        observation, reward, *rest = self.env.step(action)
        self._count += 1
        self._done.append(float(np.sum(action)))
        del self._done[: -self._memory]
        return observation, float(reward) / self._count + sum(self._done), *rest


class Locks(gymnasium.Env):
    """Composed actions: value j of a choice is legal where j plus the steps so far is even. After `length` it ends.

    It fails where something else is done. At the end nothing is legal.
    """

    observation_space = spaces.Box(0, 99, (1,), np.float32)

    def __init__(self, action_space: Any, sizes: list[int], length: int = 5):
        self.action_space, self._sizes, self._length, self._count = action_space, sizes, length, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._count = 0
        return self._shown()

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        assert ((action.ravel() + self._count) % 2 == 0).all(), action
        self._count += 1
        observation, info = self._shown()
        return observation, float(action.sum()), self._count == self._length, False, info

    def _shown(self) -> Any:
        return np.array([self._count], np.float32), {"action_mask": self.mask(self._count)}

    def mask(self, count: int) -> Any:
        flags = [(value + count) % 2 == 0 and count < self._length for size in self._sizes for value in range(size)]
        return np.array(flags, np.int8)


class Line(gymnasium.Env):
    """Episode e shows 100 e, 100 e + 1, …; after `length` steps it is truncated, or terminated. Rewards are 1."""

    observation_space = spaces.Discrete(10_000)
    action_space = spaces.Discrete(2)

    def __init__(self, length: int, *, terminates: bool = False, fails_at: int | None = None):
        self._length, self._terminates, self._fails_at = length, terminates, fails_at
        self._episode, self._at, self._steps = -1, 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._episode, self._at = self._episode + 1, 0
        return 100 * self._episode, {}

    def step(self, action: Any) -> Any:
        self._at, self._steps = self._at + 1, self._steps + 1
        if self._steps == self._fails_at:
            raise Unsendable("the battery\nis", "empty")
        ended = self._at == self._length
        return 100 * self._episode + self._at, 1.0, ended and self._terminates, ended and not self._terminates, {}


class Unsendable(Exception):  # noqa: N818
    """Cannot be unpickled: its arguments are not those of its constructor."""

    def __init__(self, what: str, state: str):
        super().__init__(f"{what} {state}")


class Dying(Line):
    """Takes its process with it at the third step."""

    def step(self, action: Any) -> Any:
        if self._steps == 2:
            os._exit(3)
        return super().step(action)


class OwnVector(VectorEnv):
    """A user's own vector environment: next-step mode, one seed for all, and arrays that it uses again and again."""

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, makes: list[Callable[[], gymnasium.Env]]):
        self._envs = [make() for make in makes]
        self.num_envs = len(makes)
        self.single_observation_space = self._envs[0].observation_space
        self.single_action_space = self._envs[0].action_space
        self._observation = create_empty_array(self.single_observation_space, self.num_envs)
        self._rows: list[Any] = [None] * self.num_envs
        self._reward = np.zeros(self.num_envs)
        self._terminated = np.zeros(self.num_envs, bool)
        self._truncated = np.zeros(self.num_envs, bool)

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        infos: dict[str, Any] = {}
        self._terminated[:] = self._truncated[:] = False
        for i, env in enumerate(self._envs):
            self._rows[i], info = env.reset(seed=None if seed is None else seed + i)
            infos = self._add_info(infos, info, i)
        return self._shown(), infos

    def _shown(self) -> Any:
        self._observation = concatenate(self.single_observation_space, self._rows, self._observation)
        return self._observation

    def step(self, actions: Any) -> Any:
        infos: dict[str, Any] = {}
        acts = list(iterate(batch_space(self.single_action_space, self.num_envs), actions))
        for i, env in enumerate(self._envs):
            if self._terminated[i] or self._truncated[i]:
                self._rows[i], info = env.reset()
                self._reward[i], self._terminated[i], self._truncated[i] = 0, False, False
            else:
                result = env.step(acts[i])
                self._rows[i], self._reward[i], self._terminated[i], self._truncated[i], info = result
            infos = self._add_info(infos, info, i)
        return self._shown(), self._reward, self._terminated, self._truncated, infos


class Remembering:
    """An agent that remembers, per environment, how many decisions of the episode it made, and acts on it alone."""

    def __init__(self, num_actions: int):
        self._num_actions = num_actions
        self.observed: list[Any] = []
        self.seen: list[Any] = []

    def initial_memory(self, n: int) -> Any:
        return {"decisions": np.zeros(n, np.int64), "trail": (np.full((n, 2), -1.0),)}

    def act(self, timestep: TimeStep, memory: Any, *, explore: bool, rng: np.random.Generator) -> Any:
        self.seen.append(memory["decisions"].copy())
        decisions = memory["decisions"] + 1
        trail = np.stack([memory["trail"][0][:, 1], decisions], axis=1)
        action = (decisions + (rng.integers(2, size=len(decisions)) if explore else 0)) % self._num_actions
        return action, {"decisions": decisions, "trail": (trail,)}

    def observe(self, transition: Any) -> None:
        self.observed.append(transition)

    def update(self) -> Any:
        return {"updates": 1.0} if len(self.observed) % 2 == 0 else None

    def state_dict(self) -> Any:
        return {}

    def load_state_dict(self, state: Any) -> None:
        pass


def roll(env: Environment, timestep: TimeStep, steps: int) -> list[TimeStep]:
    """Return the next time steps under fixed actions."""
    timesteps = []
    for k in range(steps):
        timestep = env.step(actions(env.action_space, env.num_envs, k))
        timesteps.append(timestep)
    return timesteps


def actions(space: Any, n: int, k: int) -> Any:
    """Return actions [N] or [N, ...] that depend on the environment and on `k` only."""
    rows = np.arange(n)
    if isinstance(space, spaces.Dict):
        return {key: actions(part, n, k + 1) for key, part in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(actions(part, n, k + 2) for part in space)
    if isinstance(space, spaces.MultiBinary):
        return (action_of(rows, k)[:, None] + np.arange(space.n)).astype(space.dtype) % 2
    if isinstance(space, spaces.Discrete):
        return action_of(rows, k) % int(space.n)
    return np.stack([np.full(space.shape, np.sin(i + k), space.dtype) for i in rows])


def action_of(i: Any, k: Any) -> Any:
    """Return the `k`-th decision of environment `i`."""
    return 7 * i + 3 * k + k * k // 5


def assert_same(a: Any, b: Any) -> None:
    """Check that two trees hold the same values, types, shapes and bits."""
    assert type(a) is type(b), (a, b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, (np.ndarray, np.generic)):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), (a, b)
    elif callable(a):
        assert callable(b)
    else:
        assert a == b or (a != a and b != b), (a, b)
