"""Wrappers that change the learner's reward; the environment's own is in ``info["rlkit/raw_reward"]``."""

from __future__ import annotations

from hashlib import blake2b
from math import sqrt
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core.types import Array, State, UsageError
from rlkit.vector.raw_rewards import as_number


class TerminalReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Replaces the reward of a step that terminates the episode, e.g. by -1 where a pole falls."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], reward: float):
        """Wrap `env`; `reward` is the reward of a terminating step."""
        super().__init__(env)
        self._reward = reward

    def step(self, action: Any) -> Any:
        """Step; the environment's own reward is in ``info["rlkit/raw_reward"]``."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = {"rlkit/raw_reward": reward, **info}
        return observation, self._reward if terminated else reward, terminated, truncated, info


class ClipReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Clips rewards to an interval."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], low: float, high: float):
        """Wrap `env`; rewards are at least `low` and at most `high`.

        Raises:
            UsageError: `low` is greater than `high`.
        """
        super().__init__(env)
        if low > high:
            raise UsageError(f"ClipReward low is {low} and high {high}; low must not be greater")
        self._low, self._high = low, high

    def step(self, action: Any) -> Any:
        """Step; the environment's own reward is in ``info["rlkit/raw_reward"]``."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        clipped = min(max(as_number(reward), self._low), self._high)
        return observation, clipped, terminated, truncated, {"rlkit/raw_reward": reward, **info}


class SignReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Replaces a reward by its sign: -1, 0 or 1."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def step(self, action: Any) -> Any:
        """Step; the environment's own reward is in ``info["rlkit/raw_reward"]``."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        value = as_number(reward)
        sign = float(value > 0) - float(value < 0)
        return observation, sign, terminated, truncated, {"rlkit/raw_reward": reward, **info}


class CountBonus(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds ``scale / sqrt(n)`` to the reward of a step, n the visits of what it reached (Strehl & Littman, 2008).

    An observation reached is counted over all episodes, and in each environment by itself. Raw returns have no bonus.

    Attributes:
        counts: visits by the key of an observation.
    """

    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], scale: float, width: float | None = None):
        """Wrap `env`.

        Args:
            env: of `Discrete`, `MultiDiscrete`, `MultiBinary` or `Box` observations.
            scale: of the bonus; that of a first visit.
            width: numbers of an observation count as equal where they lie in one cell of this width; None: only where
                they are.

        Raises:
            UsageError: other observations, a negative `scale`, or a `width` that is not above 0.
        """
        super().__init__(env)
        if isinstance(env.observation_space, spaces.Dict | spaces.Tuple | spaces.Text):
            raise UsageError(f"CountBonus counts arrays, and observations are {env.observation_space}")
        if scale < 0 or (width is not None and width <= 0):
            raise UsageError(f"CountBonus scale is {scale} and width {width}; scale must be at least 0 and width above")
        self._scale, self._width = scale, width
        self.counts: dict[str, int] = {}

    def step(self, action: Any) -> Any:
        """Step; the environment's own reward is in ``info["rlkit/raw_reward"]``."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        key = self._key(np.asarray(observation))
        self.counts[key] = count = self.counts.get(key, 0) + 1
        bonus = self._scale / sqrt(count)
        return observation, as_number(reward) + bonus, terminated, truncated, {"rlkit/raw_reward": reward, **info}

    def _key(self, observation: Array) -> str:
        if observation.ndim == 0 and self._width is None:
            return str(observation)
        cells = observation if self._width is None else np.floor(observation / self._width).astype(np.int64)
        return blake2b(cells.tobytes(), digest_size=8).hexdigest()

    def get_state(self) -> State:
        """Return the counts."""
        return {"counts": dict(self.counts)}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self.counts = dict(state["counts"])
