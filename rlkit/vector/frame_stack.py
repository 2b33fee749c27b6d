"""How many frames an observation stacks, so that a replay can store each of them once."""

from __future__ import annotations

from typing import Any

import gymnasium

from rlkit.vector.snapshot import class_name, layers

STACKS = frozenset(
    {
        "gymnasium.wrappers.stateful_observation.FrameStackObservation",
        "rlkit.preprocess.frames.FrameStack",
    }
)

TRANSPARENT = frozenset(
    {
        "gymnasium.wrappers.common.Autoreset",
        "gymnasium.wrappers.common.OrderEnforcing",
        "gymnasium.wrappers.common.PassiveEnvChecker",
        "gymnasium.wrappers.common.RecordEpisodeStatistics",
        "gymnasium.wrappers.common.TimeLimit",
        "gymnasium.wrappers.transform_action.ClipAction",
        "gymnasium.wrappers.transform_action.RescaleAction",
        "gymnasium.wrappers.transform_reward.ClipReward",
        "rlkit.preprocess.episodes.FireReset",
        "rlkit.preprocess.episodes.LifeLoss",
        "rlkit.preprocess.episodes.NoopStarts",
        "rlkit.preprocess.rewards.ClipReward",
        "rlkit.preprocess.rewards.SignReward",
        "rlkit.preprocess.rewards.TerminalReward",
        "rlkit.core.spaces.ZeroBasedActions",
        "rlkit.core.spaces.ZeroBasedActionTree",
        "rlkit.core.spaces.ZeroBasedChoices",
    }
)
"""Exact classes of wrappers that hand on every observation as it is."""


def frame_stack(env: gymnasium.Env[Any, Any]) -> int:
    """Return S where, within an episode, ``next_observation[:-1] == observation[1:]`` of S frames along axis 0; else 1.

    Only what is certain counts: outside of the stack there may be no wrapper that is not known to leave it alone.
    """
    for layer in layers(env):
        if class_name(layer) in STACKS:
            return int(layer.stack_size)  # type: ignore[attr-defined]
        if class_name(layer) not in TRANSPARENT:
            break
    return 1
