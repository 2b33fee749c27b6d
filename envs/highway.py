"""Driving among others by highway-env (Leurent, 2018): highways, roundabouts, intersections, parking, racing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from rlkit.config.messages import nearest
from rlkit.core.types import UsageError
from rlkit.envs.registered import made_with_state, spec_of

CONSTANT = (
    *("action_space", "config", "enable_auto_render", "metadata", "observation_space", "render_mode", "spec"),
    *("viewer", "_record_video_wrapper"),
)
"""Attributes of a world that are no part of its state."""


def make(id: str, config: Mapping[str, Any], render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """Return a world, whose state can be read and written unless images are observed.

    Args:
        id: of highway-env.
        config: what differs from the world's own configuration.
        render_mode: Gymnasium's.

    Raises:
        UsageError: highway-env is not installed, or has no such world or option.
    """
    try:
        import highway_env  # noqa: F401
    except ImportError as error:
        raise UsageError("env=highway needs highway-env: pip install highway-env") from error
    kwargs = {"config": _merged(config, _own(id))} if config else {}
    return made_with_state(id, kwargs, render_mode, "highway_env", CONSTANT)


def _own(id: str) -> Mapping[str, Any]:
    """Return the configuration of a world where nothing is changed."""
    spec = spec_of(id, "highway_env")
    kind: Any = load_env_creator(str(spec.entry_point))
    return {**kind.default_config(), **spec.kwargs.get("config", {})}


def _merged(config: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `config`; a part of an observation or action of the world's own kind has the other parts.

    Raises:
        UsageError: a key is probably misspelled.
    """
    for key in config:
        if key not in own and (hint := nearest(key, own)):
            raise UsageError(f"env.config.{key} is no key of the configuration{hint}")
    return {key: _with_own_parts(value, own.get(key)) for key, value in config.items()}


def _with_own_parts(value: Any, own: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    merged = (
        {**own, **value}
        if isinstance(own, Mapping) and value.get("type", own.get("type")) == own.get("type")
        else value
    )
    # The shape of an image must be a tuple, which YAML does not have.
    return {key: tuple(part) if key == "observation_shape" else part for key, part in merged.items()}
