"""Gymnasium's BipedalWalker, whose episodes depend on nothing that was before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from rlkit.envs.gym import make as make_registered


class FreshWorld(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins each episode in a new Box2D world; a used one would move in other last bits, and then in others."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        walker: Any = self.unwrapped
        walker._destroy()
        walker.world = type(walker.world)()
        return self.env.reset(seed=seed, options=options)


def make(kwargs: Mapping[str, Any], render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """Return ``BipedalWalker-v3``; `kwargs` are its own options.

    Raises:
        UsageError: Box2D is not installed, or an option is none.
    """
    env = make_registered("BipedalWalker-v3", kwargs, 1, "sync", filmed=False, render_mode=render_mode)
    assert isinstance(env, gymnasium.Env)
    return FreshWorld(env)
