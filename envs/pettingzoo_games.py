"""Games of PettingZoo (Terry et al., 2021) by their names, and what their state is made of."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, Literal

from rlkit.config.messages import nearest
from rlkit.core.types import UsageError, described
from rlkit.vector.object_graph import Graph

PACKAGES = ("pettingzoo", "gymnasium.spaces", "chess", "rlcard", "mpe2")

PARTICLES = "mpe2"
"""The package of the particle environments, whose modules have games that are not registered."""

CONSTANT = frozenset(
    {"action_space", "action_spaces", "clock", "metadata", "observation_space", "observation_spaces", "render_mode"}
    | {"bg_image", "game_font", "piece_images", "screen", "state_space", "window_surface"}
)
"""Attributes of a game that are no part of its state: spaces, and what draws."""


def graph_of(game: Any) -> Graph:
    """Return the objects that are a game: its layers of wrappers, and what they hold."""
    layers = [game]
    while inner := [vars(layers[-1])[name] for name in ("env", "aec_env", "par_env") if name in vars(layers[-1])]:
        layers += inner[:1]
    return Graph(layers, PACKAGES, CONSTANT)


def game_of(id: str, options: Mapping[str, Any], kind: Literal["aec", "parallel"] = "aec") -> Any:
    """Return a game in which agents move in turn, or at once; None where there is none of the latter.

    Raises:
        UsageError: PettingZoo, or what the game needs, is not installed, there is no such game, or it takes no such
            options.
    """
    try:
        registration = importlib.import_module("pettingzoo.env_registry.registration")
        from pettingzoo.utils.env_logger import EnvLogger
    except ImportError as error:
        raise UsageError("env=pettingzoo needs PettingZoo: pip install pettingzoo") from error
    make_game = _maker(registration, id, kind)
    # An illegal move loses the game, which its reward says; PettingZoo would print a warning for each.
    EnvLogger.suppress_output()
    try:
        return None if make_game is None else make_game(**options)
    except UsageError:
        raise
    except ImportError as error:
        family = id.partition("/")[0]
        raise UsageError(f'{id} needs more of PettingZoo: pip install "pettingzoo[{family}]"') from error
    except Exception as error:  # somebody else's constructor
        raise UsageError(f"{id} cannot be made with env.kwargs={dict(options)}: {described(error)}") from error


def _maker(registration: Any, id: str, kind: Literal["aec", "parallel"]) -> Callable[..., Any] | None:
    """Return what makes a game; None where there is one of the other kind only."""
    from pettingzoo.env_registry.exceptions import FailedToImport

    family, _, name = id.partition("/")
    if family == PARTICLES:
        return _particles(name, "env" if kind == "aec" else "parallel_env")
    if id not in registration.aec_registry:
        raise UsageError(f"PettingZoo has no game {id}{nearest(id, list(registration.aec_registry))}")
    if kind == "parallel" and id not in registration.parallel_registry:
        return None

    def make(**options: Any) -> Any:
        try:
            return registration.make(kind, id, **options)
        except FailedToImport as error:
            raise ImportError(str(error)) from error

    return make


def _particles(name: str, maker: str) -> Callable[..., Any]:
    try:
        import mpe2
    except ImportError as error:
        raise UsageError(f"env.id={PARTICLES}/{name} needs mpe2: pip install mpe2") from error
    known = [found.name for found in pkgutil.iter_modules(mpe2.__path__) if not found.ispkg]
    if name not in known:
        raise UsageError(f"mpe2 has no game {name}{nearest(name, known)}")
    return getattr(importlib.import_module(f"{PARTICLES}.{name}"), maker)  # type: ignore[no-any-return]
