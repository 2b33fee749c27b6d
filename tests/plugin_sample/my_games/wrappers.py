"""A wrapper that shapes the reward."""

from __future__ import annotations

from typing import Any

import gymnasium


class TimePenalty(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Takes a little off the reward of each step, so that shorter episodes are better."""

    state_fields: tuple[str, ...] = ()  # attributes that change while it runs: none, so runs resume at any step
    keeps_frames = True  # observations pass unchanged

    def __init__(self, env: gymnasium.Env[Any, Any], penalty: float):
        """Wrap `env`; rlkit passes it, and `penalty` is an option."""
        super().__init__(env)
        self._penalty = penalty

    def step(self, action: Any) -> Any:
        """Step; the score of the game, return/raw, stays that of `env`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, float(reward) - self._penalty, terminated, truncated, info
