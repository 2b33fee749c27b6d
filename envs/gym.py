"""Any registered Gymnasium environment."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium import error
from gymnasium.vector import VectorEnv

from rlkit.core.types import FromRun, Interrupted, UsageError, described


def make(
    id: str,
    kwargs: Mapping[str, Any],
    num_envs: FromRun[int],
    vectorization: FromRun[str],
    filmed: FromRun[bool],
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]:
    """Return `gymnasium.make(id, **kwargs)`, or its own vector environment where `vectorization` is ``native``.

    A table of transitions (FrozenLake, Taxi, CliffWalking) has none: it is stepped by `rlkit.envs.tabular_vector`.

    Args:
        id: a registered id, or ``package:Name-v0`` to import the package that registers it first.
        kwargs: the environment's own options.
        render_mode: Gymnasium's.
        num_envs: of a native vector environment.
        vectorization: ``sync``, ``async`` or ``native``.
        filmed: single environments are wanted, for their frames, where `vectorization` would be the table's.

    Raises:
        UsageError: there is no such id, or it needs a package that is not installed.
    """
    try:
        tabular = vectorization == "native" and _has_no_vector(id)
        if vectorization == "native" and not tabular:
            return gymnasium.make_vec(id, num_envs, vectorization_mode="vector_entry_point", **kwargs)
        # Not every environment takes a render_mode, so none is given where none is wanted.
        mode: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
        with warnings.catch_warnings():
            # An id that is out of date is refused below, in one line.
            warnings.simplefilter("ignore", DeprecationWarning)
            env: gymnasium.Env[Any, Any] = gymnasium.make(id, disable_env_checker=True, **mode, **kwargs)
        return env if filmed or not tabular else _by_table(env, num_envs)
    except UsageError:
        raise
    except (error.DependencyNotInstalled, ModuleNotFoundError) as problem:
        raise UsageError(f"env.id={id} needs a package that is not installed: {_remedy(id, problem)}") from problem
    except error.Error as problem:
        if not isinstance(problem, (error.UnregisteredEnv, error.DeprecatedEnv)) and "Malformed" not in str(problem):
            raise UsageError(_misfit(id, kwargs, problem)) from problem
        close = difflib.get_close_matches(id, gymnasium.registry, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else "; `rlkit list gym` shows the registered ones"
        raise UsageError(f"there is no Gymnasium environment {id or repr(id)}{hint}") from problem
    except (Interrupted, KeyboardInterrupt):
        raise
    except BaseException as problem:  # an environment's constructor is somebody else's code and can raise anything
        raise UsageError(_misfit(id, kwargs, problem)) from problem


def _has_no_vector(id: str) -> bool:
    spec = gymnasium.registry.get(id.rpartition(":")[2])
    return spec is not None and spec.vector_entry_point is None


def _by_table(env: gymnasium.Env[Any, Any], num_envs: int) -> VectorEnv[Any, Any, Any]:
    from rlkit.envs.tabular_vector import FiniteMDPVector
    from rlkit.planning.mdp import from_gymnasium, has_table

    if not has_table(env):
        name = type(env.unwrapped).__name__
        raise UsageError(f"{name} has no vector environment of its own and no table P; use vectorization=sync")
    limit = None if env.spec is None else env.spec.max_episode_steps
    return FiniteMDPVector(from_gymnasium(env), num_envs, max_steps=limit)


def _misfit(id: str, kwargs: Mapping[str, Any], problem: BaseException) -> str:
    found = re.search(r"unexpected keyword argument '(\w+)'", str(problem))
    if found is None:
        given = f" with env.kwargs={dict(kwargs)}" if kwargs else ""
        return f"{id} cannot be made{given}: {described(problem)} (RLKIT_TRACEBACK=1 shows where)"
    if found[1] == "render_mode":
        return f"{id} takes no render_mode, so it cannot be filmed; set video=none"
    return f"env.kwargs.{found[1]} is not an option of {id}"


def _remedy(id: str, problem: Exception) -> str:
    """Return the command that brings what Gymnasium's own families need; what others need, they say themselves."""
    spec = gymnasium.registry.get(id)
    families = [name for name in ("box2d", "mujoco") if spec is not None and name in str(spec.entry_point)]
    return f'pip install "gymnasium[{families[0]}]"' if families else str(problem)
