"""The model of an environment: its own, its table, or copies of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from rlkit.core.types import UsageError, a_kind
from rlkit.planning.mdp import FiniteMDP
from rlkit.planning.mdp.sources import from_gymnasium, has_table
from rlkit.planning.search.copies import CopyModel
from rlkit.planning.search.finite import FiniteModel
from rlkit.planning.search.model import Model


def model_of(make: Callable[[], gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]], *, outcomes: int | None) -> Model:
    """Return the model of an environment for a search.

    That is its attribute ``model`` (an `rlkit.planning.search.Model`), its ``mdp`` or Gymnasium's table ``P``, or
    copies of it.

    Args:
        make: makes one for the model's own use.
        outcomes: of copies, see `rlkit.planning.search.copies.CopyModel`.

    Raises:
        UsageError: it is none of these.
    """
    env = make()
    if isinstance(env, VectorEnv):
        raise UsageError(f"a search needs a single environment for its model, not {a_kind(env)}")
    inner: Any = env.unwrapped
    own: Model | None = getattr(inner, "model", None)
    if own is not None:
        return own
    mdp = getattr(inner, "mdp", None)
    if isinstance(mdp, FiniteMDP):
        return FiniteModel(mdp)
    return FiniteModel(from_gymnasium(env)) if has_table(env) else CopyModel(env, outcomes)
