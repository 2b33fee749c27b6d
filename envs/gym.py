"""Any registered Gymnasium environment."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium import error
from gymnasium.vector import VectorEnv

from rlkit.core import UsageError


def make(
    id: str,
    kwargs: Mapping[str, Any],
    render_mode: str | None = None,
    num_envs: int = 1,
    vectorization: str = "sync",
) -> gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]:
    """Return `gymnasium.make(id, **kwargs)`, or its own vector environment where `vectorization` is ``native``.

    Args:
        id: a registered id, or ``package:Name-v0`` to import the package that registers it first.
        kwargs: the environment's own options.
        render_mode: Gymnasium's.
        num_envs: of a native vector environment.
        vectorization: ``sync``, ``async`` or ``native``.

    Raises:
        UsageError: there is no such id, or it needs a package that is not installed.
    """
    try:
        if vectorization == "native":
            return gymnasium.make_vec(id, num_envs, vectorization_mode="vector_entry_point", **kwargs)
        return gymnasium.make(id, render_mode=render_mode, disable_env_checker=True, **kwargs)
    except (error.DependencyNotInstalled, ModuleNotFoundError) as problem:
        raise UsageError(f"env.id={id} needs a package that is not installed: {problem}; {_remedy(id)}") from problem
    except (error.UnregisteredEnv, error.DeprecatedEnv) as problem:
        close = difflib.get_close_matches(id, gymnasium.registry, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else "; `rlkit list gym` shows the registered ones"
        raise UsageError(f"there is no Gymnasium environment {id}{hint}") from problem
    except error.Error as problem:
        raise UsageError(f"env.id={id} cannot be made: {' '.join(str(problem).split())}") from problem


def _remedy(id: str) -> str:
    spec = gymnasium.registry.get(id)
    if spec is not None and "box2d" in str(spec.entry_point):
        return 'pip install "rlkit[box2d]"'
    return "install it with pip"
