"""Wrappers that change the learner's reward; the environment's own is in ``info["rlkit/raw_reward"]``."""

from __future__ import annotations

from typing import Any

import gymnasium

from rlkit.core.types import UsageError
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
