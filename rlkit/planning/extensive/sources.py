"""Trees of the games that environments are."""

from __future__ import annotations

from typing import Any

import gymnasium

from rlkit.core.types import UsageError
from rlkit.planning.extensive.tree import GameTree


def tree_of(env: gymnasium.Env[Any, Any]) -> GameTree:
    """Return the attribute `tree` of an environment.

    Raises:
        UsageError: it has none.
    """
    inner: Any = env.unwrapped
    own = getattr(inner, "tree", None)
    if isinstance(own, GameTree):
        return own
    raise UsageError(
        f"{type(inner).__name__} is no game whose tree is known: it has no attribute tree, an "
        "rlkit.planning.extensive.GameTree; take env=kuhn_poker, leduc_poker or matrix_game"
    )
