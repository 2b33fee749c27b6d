"""MiniGrid's worlds (Chevalier-Boisvert et al., 2023), and those of BabyAI: small grids, seen in part, with a mission.

An observation is a `Dict` of the image [7, 7, 3] of what lies ahead, whose bytes are symbols (kinds of things, their
colors and states), the direction, and the mission, a text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium import spaces

from rlkit.core.spaces import SymbolSpace
from rlkit.core.types import UsageError
from rlkit.envs.registered import made_with_state

CONSTANT = ("action_space", "actions", "clock", "metadata", "observation_space", "render_size", "spec", "window")
"""Attributes of a world that are no part of its state."""


class SymbolicImage(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Says in the space that the image is of symbols; observations stay as they are."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], highest: int):
        """Wrap `env`, whose symbols are numbers up to `highest`."""
        super().__init__(env)
        space: Any = env.observation_space
        image = SymbolSpace(highest, space["image"].shape)
        self.observation_space = spaces.Dict({**space.spaces, "image": image})

    def observation(self, observation: Any) -> Any:
        """Return the observation."""
        return observation


def make(id: str, kwargs: Mapping[str, Any], render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """Return a world, whose state can be read and written.

    Args:
        id: of MiniGrid or BabyAI.
        kwargs: the world's own options.
        render_mode: Gymnasium's.

    Raises:
        UsageError: MiniGrid is not installed, or has no such world or option.
    """
    try:
        from minigrid.core.constants import COLOR_TO_IDX, OBJECT_TO_IDX, STATE_TO_IDX
    except ImportError as error:
        raise UsageError("env=minigrid needs MiniGrid: pip install minigrid") from error
    env = made_with_state(id, kwargs, render_mode, "minigrid", CONSTANT)
    return SymbolicImage(env, max(*OBJECT_TO_IDX.values(), *COLOR_TO_IDX.values(), *STATE_TO_IDX.values()))
