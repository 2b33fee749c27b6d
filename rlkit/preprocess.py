"""Wrappers around single environments, composed in YAML under `preprocess`.

A wrapper that changes rewards passes the environment's own on as ``info["raw_reward"]``, for the raw return.
"""

from __future__ import annotations

from typing import Any

import gymnasium


class TerminalReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Replaces the reward of a step that terminates the episode, e.g. by -1 where a pole falls."""

    def __init__(self, env: gymnasium.Env[Any, Any], reward: float):
        """Wrap `env`; `reward` is what a terminating step gives."""
        super().__init__(env)
        self._reward = reward

    def step(self, action: Any) -> Any:
        """Step; the environment's own reward is in ``info["raw_reward"]``."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = {"raw_reward": reward, **info}
        return observation, self._reward if terminated else reward, terminated, truncated, info
