"""Agents made as the command makes them, and their streams."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit import build, nodes
from rlkit.config import composed
from rlkit.loop import interact
from rlkit.seeding import Seeds
from rlkit.vector import SerialEnvironment


def made(words: str, env: SerialEnvironment) -> Any:
    words_of_all = ["tuned=none", "device=cpu", f"num_envs={env.num_envs}"]
    config, _ = composed("train", [*words_of_all, *words.split()])
    return build.make_agent(nodes.plain(config), env, Seeds(0))


def stream_of(agent: Any, env: SerialEnvironment, seed: int, cut_every: int = 0) -> Any:
    return interact(
        agent,
        env,
        explore=True,
        rng=np.random.default_rng(seed),
        reset_seeds=lambda step: [step + i for i in range(env.num_envs)],
        cut_every=cut_every,
    )
