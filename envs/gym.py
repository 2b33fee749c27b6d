"""Any registered Gymnasium environment."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from typing import Any, TypeVar

import gymnasium
from gymnasium import error
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import VectorEnv

from rlkit.config.gym_packages import ids_of_packages
from rlkit.config.messages import nearest
from rlkit.core.resources import of_drawing
from rlkit.core.types import FromRun, Interrupted, UsageError, described

Made = gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]
T = TypeVar("T")


def make(
    id: str,
    kwargs: Mapping[str, Any],
    num_envs: FromRun[int],
    vectorization: FromRun[str],
    filmed: FromRun[bool],
    render_mode: str | None = None,
) -> Made:
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

    def made() -> Made:
        tabular = vectorization == "native" and _has_no_vector(id)
        if vectorization == "native" and not tabular:
            return gymnasium.make_vec(id, num_envs, vectorization_mode="vector_entry_point", **kwargs)
        env: gymnasium.Env[Any, Any] = gymnasium.make(id, disable_env_checker=True, **mode_of(render_mode), **kwargs)
        return env if filmed or not tabular else _by_table(env, num_envs)

    return explained(made, id, kwargs, render_mode)


def mode_of(render_mode: str | None) -> dict[str, Any]:
    """Return the option of a render mode: not every environment takes one, so none is given where none is wanted."""
    return {} if render_mode is None else {"render_mode": render_mode}


def explained(made: Callable[[], T], id: str, kwargs: Mapping[str, Any], render_mode: str | None) -> T:
    """Return what `made` makes of an id.

    Raises:
        UsageError: it fails; for want of an id, an option, a package or a render mode in a line that says which.
    """
    try:
        with warnings.catch_warnings():
            # An id that is out of date is refused below, in one line.
            warnings.simplefilter("ignore", DeprecationWarning)
            return made()
    except UsageError:
        raise
    except (error.DependencyNotInstalled, ModuleNotFoundError) as problem:
        raise UsageError(f"env.id={id} needs a package that is not installed: {_remedy(id, problem)}") from problem
    except error.Error as problem:
        if not isinstance(problem, (error.UnregisteredEnv, error.DeprecatedEnv)) and "Malformed" not in str(problem):
            raise UsageError(_misfit(id, kwargs, problem)) from problem
        raise UsageError(f"there is no Gymnasium environment {id or repr(id)}{_hint(id)}") from problem
    except (Interrupted, KeyboardInterrupt):
        raise
    except BaseException as problem:  # an environment's constructor is somebody else's code and can raise anything
        if render_mode is not None and (modes := _other_modes(id, render_mode)) is not None:
            raise UsageError(
                f"{id} cannot be filmed: it draws {modes}, and not {render_mode}; set video=none"
            ) from problem
        raise UsageError(_misfit(id, kwargs, problem)) from problem


def _hint(id: str) -> str:
    """Return the end of the message for an id that is not registered: what it may have been meant to be."""
    module, _, name = id.rpartition(":")
    if _is_of_old_gym(name):
        return (
            f", but one of the old gym: Shimmy converts it (pip install shimmy; env.id=GymV21Environment-v0 "
            f"env.kwargs.env_id={id}), or name its class: env={module or 'its_module'}:ItsClass"
        )
    if module and not _registers(module.partition(".")[0]):
        return (
            f": {module} registers none with Gymnasium; if it is of the old gym, Shimmy converts it (pip install "
            f"shimmy), or name its class: env={module}:ItsClass"
        )
    elsewhere = ids_of_packages()
    if name in elsewhere:
        return f", but its package registers it when it is imported: env.id={elsewhere[name]}"
    close = difflib.get_close_matches(name, [*gymnasium.registry, *elsewhere], n=1, cutoff=0.5)
    if close and close[0] not in gymnasium.registry:
        return f"; did you mean {elsewhere[close[0]]}?"
    found = close[0] if close and _is_known_alone(close[0]) else f"{module}:{close[0]}" if close and module else ""
    return f"; did you mean {found}?" if found else "; `rlkit list gym` shows the registered ones"


def _is_of_old_gym(name: str) -> bool:
    with suppress(Exception):
        registry = sys.modules["gym"].envs.registry
        return name in getattr(registry, "env_specs", registry)
    return False


def _is_known_alone(id: str) -> bool:
    """Return whether another process finds an id without a module: it is Gymnasium's, or its package declares it."""
    declared = {point.module.partition(".")[0] for point in entry_points(group="gymnasium.envs")}
    return _package(gymnasium.registry[id].entry_point) in {"gymnasium", *declared}


def _registers(package: str) -> bool:
    """Return whether an environment of a package is registered."""
    return any(_package(spec.entry_point) == package for spec in gymnasium.registry.values())


def _package(entry: Any) -> str:
    module = entry if isinstance(entry, str) else str(getattr(entry, "__module__", ""))
    return module.partition(":")[0].partition(".")[0]


def _other_modes(id: str, mode: str) -> str | None:
    """Return the render modes of an environment whose metadata do not have `mode`; None where they cannot be read."""
    with suppress(Exception):
        spec = gymnasium.registry[id.rpartition(":")[2]]
        made = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
        modes = (getattr(made, "metadata", None) or {}).get("render_modes") or (
            (getattr(made, "metadata", None) or {}).get("render.modes") or []
        )
        return None if mode in modes else f"by render_mode {', '.join(map(str, modes))}" if modes else "nothing"
    return None


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
        return f"{id} cannot be made{given}: {described(problem)}{of_drawing(problem)} (RLKIT_TRACEBACK=1 shows where)"
    if found[1] == "render_mode":
        return f"{id} takes no render_mode, so it cannot be filmed; set video=none"
    return f"env.kwargs.{found[1]} is not an option of {id}{nearest(found[1], _options(id))}"


def _options(id: str) -> list[str]:
    """Return the options of the constructor of an id; none where they cannot be read."""
    with suppress(Exception):
        entry = gymnasium.registry[id.rpartition(":")[2]].entry_point
        made = load_env_creator(entry) if isinstance(entry, str) else entry
        return [name for name in inspect.signature(made).parameters if name != "render_mode"]  # type: ignore[arg-type]
    return []


def _remedy(id: str, problem: Exception) -> str:
    """Return the command that brings what Gymnasium's own families need; what others need, they say themselves."""
    spec = gymnasium.registry.get(id)
    families = [name for name in ("box2d", "mujoco") if spec is not None and name in str(spec.entry_point)]
    return f'pip install "gymnasium[{families[0]}]"' if families else str(problem)
