"""Small recordings that tests learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from making import run_config

from rlkit.algorithms.fixed_policies import Uniform
from rlkit.core.types import Actor, Array, Memory, TimeStep
from rlkit.learners.datasets.demonstrations.folder import EpisodeFolder
from rlkit.play.demonstrate import Noise, about, record_episodes
from rlkit.runs import build


class Balancing:
    """Keeps CartPole's pole up for hundreds of steps: pushes to where it is falling."""

    def initial_memory(self, n: int) -> Memory:
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        _, _, angle, speed = timestep.observation.T
        return (angle + 0.3 * speed > 0).astype(np.int64), memory


def record(path: Path, *words: str, player: Actor | None = None, episodes: int = 3, **settings: Any) -> Path:
    """Record a player, by default one that draws its actions, in the environment that `words` describe."""
    config = run_config("agent=random", *words).environment
    env = build.make_environment(config, num_envs=1)
    try:
        folder = EpisodeFolder(path, about(config, env), save_every=2)
        keys = {"name": "somebody", "seed": 0, "noise": Noise(0.0, 1), "max_steps": 60, **settings}
        for _ in record_episodes(player or Uniform(env.action_space), env, folder, episodes=episodes, **keys):
            pass
        folder.save()
    finally:
        env.close()
    return path
