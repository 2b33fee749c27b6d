"""Fresh episodes that score a trained agent."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.config.run_config import EnvironmentConfig
from rlkit.core.evaluation import Watch, evaluate, unwatched
from rlkit.core.seeding import Seeds
from rlkit.core.types import Actor, Array
from rlkit.runs import build


def played(
    actor: Actor,
    environment: EnvironmentConfig,
    episodes: int,
    *,
    seed: int,
    epsilon: float,
    sample: bool,
    max_steps: int,
    num_envs: int,
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Play fresh episodes and return their statistics: ``episodes``, ``return/raw`` and ``length``.

    Args:
        actor: decides; it is not changed.
        environment: what the episodes are played in.
        episodes: how many.
        seed: of the episodes; they are never those of a periodic evaluation.
        epsilon: share of random actions.
        sample: the others are drawn from the policy.
        max_steps: cap of an episode.
        num_envs: played side by side.
        watch: as in `rlkit.core.evaluation.evaluate`.

    Raises:
        UsageError: what `rlkit.core.evaluation.with_epsilon` refuses.
    """
    env = build.make_environment(environment.for_evaluation(), num_envs=min(num_envs, episodes))
    seeds = Seeds(seed)
    try:
        found = evaluate(
            actor,
            env,
            episodes=episodes,
            max_steps=max_steps,
            rng=seeds.generator("final evaluation actions"),
            episode_seeds=seeds.integers("final evaluation episodes", size=episodes),
            epsilon=epsilon,
            sample=sample,
            watch=watch,
        )
    finally:
        env.close()
    returns = np.array([episode.return_raw for episode in found])
    lengths = np.array([episode.length for episode in found])
    return {"episodes": episodes, "return/raw": _spread(returns), "length": _spread(lengths)}


def _spread(values: Array) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "min": float(values.min()),
        "max": float(values.max()),
    }
