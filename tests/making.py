"""Agents made as the command makes them, and their streams."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np

from rlkit import build, nodes
from rlkit.config import composed
from rlkit.loop import interact
from rlkit.seeding import Seeds
from rlkit.vector import SerialEnvironment


def configured(words: str) -> Any:
    """Return what `rlkit train` composes of these words without tuned settings; equal words are composed once."""
    return copy.deepcopy(_composed(words))


@cache
def _composed(words: str) -> Any:
    return nodes.plain(composed("train", ["tuned=none", *words.split()])[0])


def made(words: str, env: SerialEnvironment) -> Any:
    return build.make_agent(configured(f"device=cpu num_envs={env.num_envs} {words}"), env, Seeds(0))


def stream_of(agent: Any, env: SerialEnvironment, seed: int, cut_every: int = 0) -> Any:
    return interact(
        agent,
        env,
        explore=True,
        rng=np.random.default_rng(seed),
        reset_seeds=lambda step: [step + i for i in range(env.num_envs)],
        cut_every=cut_every,
    )
