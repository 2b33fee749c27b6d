"""Agents made as the command makes them, and their streams."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np

from rlkit.config import instantiate
from rlkit.config.compose import composed
from rlkit.config.settings import gathered
from rlkit.core.loop import interact
from rlkit.core.seeding import Seeds
from rlkit.runs import build
from rlkit.vector.vector import SerialEnvironment


def configured(words: str) -> Any:
    """Return what `rlkit train` composes of these words without tuned settings; equal words are composed once."""
    return copy.deepcopy(_composed(words))


@cache
def _composed(words: str) -> Any:
    return instantiate.plain(composed("train", ["tuned=none", *words.split()])[0])


def made(words: str, env: SerialEnvironment) -> Any:
    return build.make_agent(configured(f"device=cpu num_envs={env.num_envs} {words}"), env, Seeds(0))


def by_keys(kind: Any, **keys: Any) -> Any:
    """Call a constructor with the keys of its YAML: those that are fields of its settings are gathered into them."""
    return kind(**gathered(keys, kind))


def stream_of(agent: Any, env: SerialEnvironment, seed: int, cut_every: int = 0) -> Any:
    return interact(
        agent,
        env,
        explore=True,
        rng=np.random.default_rng(seed),
        reset_seeds=lambda step: [step + i for i in range(env.num_envs)],
        cut_every=cut_every,
    )
