"""The number of frames that an observation stacks, so that a replay can store each of them once."""

from __future__ import annotations

from typing import Any

import gymnasium

from rlkit.core.types import Tree
from rlkit.vector.declarations import keeps_frames, stacked_frames
from rlkit.vector.snapshot import layers


def frame_stack(env: gymnasium.Env[Any, Any]) -> Tree:
    """Return S where, within an episode, ``next_observation[:-1] == observation[1:]`` of S frames along axis 0; else 1.

    Of a `Dict` or `Tuple` it is S of all parts, or a tree with that of each.
    Only what is certain counts: every wrapper outside of the stack must declare ``keeps_frames``.
    """
    for layer in layers(env):
        frames = stacked_frames(layer)
        if frames is not None:
            return frames
        if not keeps_frames(type(layer)):
            break
    return 1
