"""What an agent in a game of PettingZoo observes, as rlkit has it: the mask apart, the planes of boards first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core.types import Array

MASK = "action_mask"


class Views:
    """Observations and masks of the agents of a game."""

    def __init__(self, game: Any):
        """Look at `game`, PettingZoo's, in which agents move in turn."""
        self._game = game

    def space(self, name: str) -> spaces.Space[Any]:
        """Return the space of an agent's observations."""
        return space_shown(self._game.observation_space(name))

    def observation(self, name: str) -> Any:
        """Return what an agent observes now."""
        return shown_as(self._game.observation_space(name), self._game.observe(name))

    def mask(self, name: str) -> Array | None:
        """Return which actions of an agent are legal, [A] int8; None where the game does not say.

        All are where none is, as after the end.
        """
        found = self._game.observe(name)[MASK] if with_mask(self._game.observation_space(name)) else None
        found = self._game.infos.get(name, {}).get(MASK) if found is None else found
        if found is None:
            return None
        row = np.asarray(found, np.int8)
        return row if row.any() else np.ones_like(row)


def space_shown(space: Any) -> spaces.Space[Any]:
    """Return the space of what is shown of observations of `space`."""
    shown = space if not with_mask(space) else _without_mask(space.spaces, spaces.Dict)
    return _planes_first_space(shown) if _is_board(shown) else shown


def shown_as(space: Any, observed: Any) -> Any:
    """Return what is shown of an observation of `space`."""
    if with_mask(space):
        space, observed = _without_mask(space.spaces, spaces.Dict), _without_mask(observed, dict)
    return np.moveaxis(observed, -1, 0) if _is_board(space) else observed


def with_mask(space: Any) -> bool:
    """Return whether observations of `space` hold a mask of legal actions."""
    return isinstance(space, spaces.Dict) and MASK in space.spaces


def _without_mask(parts: Mapping[str, Any], composed: Any) -> Any:
    """Return the parts that are no mask: the only one as it is."""
    others = {key: part for key, part in parts.items() if key != MASK}
    return next(iter(others.values())) if len(others) == 1 else composed(others)


def _is_board(space: Any) -> bool:
    """Return whether a space is of boards [rows, columns, planes], as PettingZoo has them, and not of pixels."""
    return isinstance(space, spaces.Box) and len(space.shape) == 3 and space.dtype != np.uint8


def _planes_first_space(space: Any) -> spaces.Box:
    return spaces.Box(np.moveaxis(space.low, -1, 0), np.moveaxis(space.high, -1, 0), dtype=space.dtype)
