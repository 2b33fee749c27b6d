"""Constructors that take a frozen dataclass of settings: in YAML its fields are keys of the constructor's own node.

``DQN(network=…, settings: DQNSettings, …)`` is so configured by ``agent.gamma``, not by ``agent.settings.gamma``.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Parameters = Mapping[str, inspect.Parameter]


class SettingsParameter(NamedTuple):
    """The parameter of a constructor that is a frozen dataclass."""

    name: str
    kind: type
    fields: Parameters  # of the dataclass


def settings_of(target: Callable[..., Any]) -> SettingsParameter | None:
    """Return the first parameter of `target` that is annotated with a frozen dataclass; None where there is none.

    A class that passes ``**options`` on to the one it extends takes that one's.
    """
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:
        return None
    for name, parameter in parameters.items():
        if (kind := _frozen_dataclass(parameter.annotation, target)) is not None:
            return SettingsParameter(name, kind, inspect.signature(kind).parameters)
    passes_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    base = target.__base__ if isinstance(target, type) and passes_on else None
    return None if base in (None, object) else settings_of(base)


def flattened(parameters: Parameters, settings: SettingsParameter | None) -> Parameters:
    """Return the `parameters` of a callable with the fields of its `settings` in their place."""
    if settings is None:
        return parameters
    return {**{name: one for name, one in parameters.items() if name != settings.name}, **settings.fields}


def gathered(arguments: Mapping[str, Any], settings: SettingsParameter | None) -> dict[str, Any]:
    """Return arguments with those that are fields of `settings` gathered into these.

    Raises:
        UsageError: what the settings refuse.
    """
    if settings is None:
        return dict(arguments)
    values = {name: value for name, value in arguments.items() if name in settings.fields}
    rest = {name: value for name, value in arguments.items() if name not in settings.fields}
    return {**rest, settings.name: settings.kind(**values)}


def _frozen_dataclass(annotation: Any, target: Callable[..., Any]) -> type | None:
    """Return the class that an annotation names, as text or itself, where it is a frozen dataclass.

    Only this name is looked up: others in the signature may be those of imports that only a type checker makes.
    """
    found = _named(annotation, target) if isinstance(annotation, str) else annotation
    is_one = isinstance(found, type) and dataclasses.is_dataclass(found)
    return found if is_one and found.__dataclass_params__.frozen else None


def _named(name: str, target: Callable[..., Any]) -> Any:
    """Return what a dotted `name` is in the module in which the signature of `target` was written; None: nothing."""
    written = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    found: Any = sys.modules.get(getattr(written, "__module__", ""))
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
