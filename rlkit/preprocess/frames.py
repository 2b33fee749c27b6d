"""Wrappers for frames: repeated actions, pooled frames, stacks."""

from __future__ import annotations

import copy
import operator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.parts import OR_PART
from rlkit.core.ranges import PositiveInt
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, UsageError
from rlkit.vector.raw_rewards import as_number


class FrameSkip(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Repeats every action several times, or until the episode ends; the reward is the sum.

    If there is an ``info["rlkit/discount"]``, later rewards are multiplied by it, and the product of all is in the
    info.
    """

    state_fields: tuple[str, ...] = ()

    def __init__(self, env: gymnasium.Env[Any, Any], skip: PositiveInt):
        """Wrap `env`; an action is repeated `skip` times.

        Raises:
            UsageError: `skip` is less than 1.
        """
        super().__init__(env)
        if skip < 1:
            raise UsageError(f"FrameSkip skip is {skip}; it must be at least 1")
        self._skip = skip
        # An environment may write to its action.
        self._copied = operator.pos if isinstance(env.action_space, spaces.Discrete) else copy.deepcopy

    def step(self, action: Any) -> Any:
        """Step; observation and infos are the last, ``info["rlkit/raw_reward"]`` is the sum of the environment's own.

        Raises:
            UsageError: the turn passed to another player, who would have to repeat the action.
        """
        total, raw, discount = 0.0, 0.0, 1.0
        for _ in range(self._skip):
            if discount < 0:
                raise UsageError(
                    f"FrameSkip takes an action {self._skip} times, and the turn passed to another player before the "
                    "last; leave it out"
                )
            observation, reward, terminated, truncated, info = self.env.step(self._copied(action))
            paid = as_number(reward)
            total += discount * paid
            raw += float(info.get("rlkit/raw_reward", paid))
            discount *= float(info.get("rlkit/discount", 1.0))
            if terminated or truncated:
                break
        discounted = {"rlkit/discount": discount} if discount != 1 or "rlkit/discount" in info else {}
        return observation, total, terminated, truncated, {**info, **discounted, "rlkit/raw_reward": raw}


class MaxFrames(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Returns the pixel-wise maximum of the last two observations, for games that draw objects in alternate frames.

    Put it inside of `FrameSkip`: then it pools the last two of the skipped frames.
    """

    state_fields: tuple[str, ...] = ("_previous",)

    def __init__(self, env: gymnasium.Env[Any, Any]):
        """Wrap `env`.

        Raises:
            UsageError: its observations are not arrays of numbers.
        """
        super().__init__(env)
        if not isinstance(env.observation_space, spaces.Box):
            raise UsageError(f"MaxFrames takes Box observations, not {env.observation_space}; leave it out, {OR_PART}")
        self._previous: Any = None

    def reset(self, **kwargs: Any) -> Any:
        """Reset; the first observation is unchanged."""
        observation, info = self.env.reset(**kwargs)
        self._previous = np.array(observation)
        return observation, info

    def step(self, action: Any) -> Any:
        """Step."""
        observation, *rest = self.env.step(action)
        pooled = np.maximum(self._previous, observation)
        # A copy, because the environment may write the next one into the same array, and others to this one.
        self._previous = np.array(observation)
        return pooled, *rest


class FrameStack(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Stacks the last observations along a new first axis, the newest last.

    At the beginning of an episode the first observation is repeated, as in Gymnasium's `FrameStackObservation`.
    """

    state_fields: tuple[str, ...] = ("_stack",)

    def __init__(self, env: gymnasium.Env[Any, Any], size: PositiveInt):
        """Wrap `env`; observations [...] become [size, ...].

        Raises:
            UsageError: `size` is less than 1, or observations are not arrays.
        """
        super().__init__(env)
        space = env.observation_space
        if size < 1:
            raise UsageError(f"FrameStack size is {size}; it must be at least 1")
        if not isinstance(space, spaces.Box):
            raise UsageError(f"FrameStack takes Box observations, not {space}; leave it out, {OR_PART}")
        # The stack, a copy, two bounds, and whether they are finite.
        require_memory(5 * size * space.low.nbytes, f"a stack of {size:,} observations", "set {size} lower")
        self._size = size
        self._stack: Any = None
        low, high = (np.repeat(bound[None], size, axis=0) for bound in (space.low, space.high))
        self.observation_space = spaces.Box(low, high, dtype=space.dtype.type)

    @property
    def frame_stack(self) -> int:
        """The number of stacked observations."""
        return self._size

    def reset(self, **kwargs: Any) -> Any:
        """Reset, and repeat the first observation."""
        observation, info = self.env.reset(**kwargs)
        self._stack = np.repeat(np.asarray(observation)[None], self._size, axis=0)
        return self._stack.copy(), info

    def step(self, action: Any) -> Any:
        """Step."""
        observation, *rest = self.env.step(action)
        stack: Array = np.empty_like(self._stack)
        stack[:-1], stack[-1] = self._stack[1:], observation
        self._stack = stack
        # A copy, because those who get it may write to it.
        return stack.copy(), *rest
