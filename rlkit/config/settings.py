"""Constructors with a frozen dataclass of settings, whose fields are keys of the constructor's own node in YAML.

``DQN(network=…, settings: DQNSettings, …)`` is therefore configured by ``agent.gamma``, not
by ``agent.settings.gamma``.
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
    """Return the first parameter of `target` that is annotated with a frozen dataclass, or None.

    A class that passes ``**options`` to its base has the base's. A subclass that adds settings says so with an
    annotation of the attribute, ``settings: MySettings``; its constructor can stay the base's.
    """
    try:
        parameters = inspect.signature(target).parameters
    except ValueError:
        return None
    for name, parameter in parameters.items():
        if (kind := _frozen_dataclass(parameter.annotation, target)) is not None:
            kind = _narrowed(name, kind, target)
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
    """Return the arguments, with those that are fields of `settings` gathered into one settings object.

    Raises:
        UsageError: the settings do not accept a value.
    """
    if settings is None:
        return dict(arguments)
    values = {name: value for name, value in arguments.items() if name in settings.fields}
    rest = {name: value for name, value in arguments.items() if name not in settings.fields}
    return {**rest, settings.name: settings.kind(**values)}


def _narrowed(name: str, kind: type, target: Callable[..., Any]) -> type:
    """Return the class by which the nearest class of `target` annotates the attribute `name`, if it extends `kind`."""
    for one in target.__mro__ if isinstance(target, type) else ():
        if (annotation := inspect.get_annotations(one).get(name)) is not None:
            written = (
                getattr(sys.modules.get(one.__module__), annotation, None)
                if isinstance(annotation, str)
                else annotation
            )
            if isinstance(written, type) and issubclass(written, kind) and dataclasses.is_dataclass(written):
                return written
            return kind
    return kind


def _frozen_dataclass(annotation: Any, target: Callable[..., Any]) -> type | None:
    """Return the class of an annotation, which may be text, if it is a frozen dataclass.

    Only this name is looked up: others in the signature may be imported only for type checkers.
    """
    kind = _named(annotation, target) if isinstance(annotation, str) else annotation
    is_one = isinstance(kind, type) and dataclasses.is_dataclass(kind)
    return kind if is_one and kind.__dataclass_params__.frozen else None


def _named(name: str, target: Callable[..., Any]) -> Any:
    """Return the value of a dotted `name` in the module of the signature of `target`, or None."""
    written = target.__init__ if isinstance(target, type) else target  # type: ignore[misc]
    value: Any = sys.modules.get(getattr(written, "__module__", ""))
    for part in name.split("."):
        value = getattr(value, part, None)
    return value
