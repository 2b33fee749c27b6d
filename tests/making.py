"""Agents made as the command makes them, and their streams."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import numpy as np

from rlkit.config.compose import composed
from rlkit.config.run_config import TrainRunConfig, requested
from rlkit.config.settings import gathered, settings_of
from rlkit.core.loop import interact
from rlkit.core.seeding import Seeds
from rlkit.runs import build
from rlkit.vector.serial import SerialEnvironment


def run_config(*words: str) -> TrainRunConfig:
    """Return the configuration of the run that ``rlkit train`` makes of these words."""
    return requested(TrainRunConfig, *composed("train", words))


def configured(words: str) -> TrainRunConfig:
    """Return that without tuned settings; equal words are composed once."""
    return copy.deepcopy(_composed(words))


@cache
def _composed(words: str) -> TrainRunConfig:
    return run_config("tuned=none", *words.split())


def made(words: str, env: SerialEnvironment) -> Any:
    config = configured(f"device=cpu num_envs={env.num_envs} {words}")
    return build.make_agent(config.agent_config, env, Seeds(0))


def by_keys(kind: Any, **keys: Any) -> Any:
    """Call a constructor with the keys of its YAML: those that are fields of its settings are gathered into them."""
    return kind(**gathered(keys, settings_of(kind)))


def stream_of(agent: Any, env: SerialEnvironment, seed: int, truncate_every: int = 0) -> Any:
    return interact(
        agent,
        env,
        explore=True,
        rng=np.random.default_rng(seed),
        reset_seeds=lambda step: [step + i for i in range(env.num_envs)],
        truncate_every=truncate_every,
    )
