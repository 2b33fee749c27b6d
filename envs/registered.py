"""Environments of other packages that register them with Gymnasium, with a state that can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator

from rlkit.config.messages import nearest
from rlkit.core.types import UsageError
from rlkit.envs.gym import explained, mode_of
from rlkit.vector.object_state import why_not_plain, with_object_state


def made_with_state(
    id: str, kwargs: Mapping[str, Any], render_mode: str | None, package: str, constants: Sequence[str]
) -> gymnasium.Env[Any, Any]:
    """Return the environment that an imported package registers under `id`.

    Its state can be read and written, unless it holds what is no plain Python object, as an image of pygame's that is
    observed: then the environment is as the package makes it.

    Args:
        id: as the package registers it.
        kwargs: the environment's own options.
        render_mode: Gymnasium's.
        package: whose classes it is made of.
        constants: attributes that are no part of its state.

    Raises:
        UsageError: the package has no such environment, or that has no such option.
    """
    spec = spec_of(id, package)

    def made(spec: EnvSpec) -> gymnasium.Env[Any, Any]:
        return gymnasium.make(spec, disable_env_checker=True, **mode_of(render_mode), **kwargs)

    def checked() -> gymnasium.Env[Any, Any]:
        kind: Any = load_env_creator(str(spec.entry_point))
        readable: Any = with_object_state(kind, (package, "gymnasium.spaces"), constants)
        env = made(replace(spec, entry_point=readable))
        env.unwrapped.reset(seed=0)
        why = why_not_plain(env.unwrapped)
        if why is None:
            return env
        opaque = made(spec)
        world: Any = opaque.unwrapped
        world.why_unreadable = why
        return opaque

    return explained(checked, id, kwargs, render_mode)


def spec_of(id: str, package: str) -> EnvSpec:
    """Return what an imported package registered under an id.

    Raises:
        UsageError: there is nothing.
    """
    own = [name for name, spec in gymnasium.registry.items() if str(spec.entry_point).partition(".")[0] == package]
    if id not in own:
        raise UsageError(
            f"{package} has no environment {id}{nearest(id, own)}; env=gym env.id={id} makes those of other packages"
        )
    return gymnasium.registry[id]
