"""Small recordings whose best policies are known, and the environment that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.learners.datasets.demonstrations import Demonstration, EpisodeFolder

Step = tuple[int, int, float]
"""State, action and reward."""

HALF_GOOD: list[list[Step]] = [[(0, 0, 0.0), (1, 0, 0.0)], [(2, 1, 0.0), (1, 1, 1.0)]]
"""Two trajectories through state 1: the first begins well and ends badly, the second the other way round."""


class Fork(gymnasium.Env[Any, Any]):
    """From state 0 the action 0 leads to state 1, in which the action 1 is worth 1; all else is worth nothing."""

    observation_space = spaces.Box(0, 1, (3,), np.float32)
    action_space = spaces.Discrete(2)
    state = 0

    def reset(self, **kwargs: Any) -> Any:
        super().reset(seed=kwargs.get("seed"))
        self.state = 0
        return seen(0), {}

    def step(self, action: Any) -> Any:
        before, self.state = self.state, 1
        ends = before == 1 or action == 1
        return seen(1), float(before == 1 and action == 1), ends, False, {}


def seen(state: int) -> Any:
    """Return a state as it is observed, [3] float32."""
    return np.eye(3, dtype=np.float32)[state]


def recorded(path: Path, episodes: Sequence[Sequence[Step]], env: type = Fork, final: int = 1) -> Path:
    """Write episodes whose last steps terminate them; return the folder."""
    about = {key: str(getattr(env, key)) for key in ("observation_space", "action_space")}
    folder = EpisodeFolder(path, about, save_every=10**6)
    for steps in episodes:
        states, actions, rewards = zip(*steps, strict=True)
        action = np.array(actions) if isinstance(env.action_space, spaces.Discrete) else np.array(actions, np.float32)
        folder.add(
            Demonstration(
                observation=np.stack([seen(state) for state in states]),
                action=action,
                intended=action,
                reward=np.array(rewards, np.float32),
                discount=np.append(np.ones(len(steps) - 1), 0).astype(np.float32),
                final_observation=seen(final),
                facts={"seed": 0, "return": float(sum(rewards)), "player": "p"},
            )
        )
    folder.save()
    return path
