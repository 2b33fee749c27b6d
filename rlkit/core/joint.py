"""Rows of several agents of one game, seen together: N rows are G games of P agents, game by game."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.types import Array, Tree


def joint_space(space: Any, players: int) -> Any:
    """Return the space of what `joint` returns of observations of `space`: a longer vector, or a `Tuple` of P."""
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        return spaces.Box(np.tile(space.low, players), np.tile(space.high, players), dtype=space.dtype.type)
    return spaces.Tuple([space] * players)


def joint(observation: Tree, players: int) -> Tree:
    """Return for each row what all agents of its game observe, its own first and the others in turn.

    Args:
        observation: [N, ...].
        players: P.

    Returns:
        [N, P * D] of vectors [N, D]; of anything else a tuple of P trees [N, ...].
    """
    each = tuple(tree.map(partial(_turned, players=players, by=k), observation) for k in range(players))
    vectors = isinstance(observation, np.ndarray) and observation.ndim == 2
    return np.concatenate(each, axis=1) if vectors else each


def _turned(rows: Array, players: int, by: int) -> Array:
    """Return for each row that of the agent `by` places further in its game."""
    games = rows.reshape(-1, players, *rows.shape[1:])
    return np.roll(games, -by, axis=1).reshape(rows.shape)
