"""Environments whose state is read in the middle of an episode, and that another goes on from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rlkit.vector import snapshot
from toys import assert_same


def play(env: Any, steps: int, seed: int) -> list[Any]:
    """Return what `env` shows under random actions, restarted where it ends."""
    rng, shown = np.random.default_rng(seed), []
    for _ in range(steps):
        space = env.action_space
        action = int(rng.integers(space.n)) if hasattr(space, "n") else rng.uniform(-1, 1, space.shape)
        observation, reward, terminated, truncated, _ = env.step(action)
        shown.append((observation, reward, terminated, truncated))
        if terminated or truncated:
            shown.append(env.reset()[0])
    return shown


def goes_on(make: Callable[[], Any], *, before: int, after: int, play: Callable[..., Any] = play) -> Any:
    """Return an environment that went on as another did after `before` steps: with its state it showed the same."""
    used, other = make(), make()
    used.reset(seed=3)
    play(used, before, seed=0)
    state = snapshot.capture(used)
    assert state is not None
    wanted = play(used, after, seed=1)
    other.reset(seed=4)
    snapshot.restore(other, state)
    assert_same(play(other, after, seed=1), wanted)
    return other
