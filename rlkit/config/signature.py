"""What YAML gives a constructor, held against the names and the types that its signature says."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any

from rlkit.config import settings
from rlkit.config.messages import nearest
from rlkit.core.types import UsageError

Parameters = Mapping[str, inspect.Parameter]

SCALARS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
}


def parameters(target: Callable[..., Any]) -> Parameters:
    """Return the parameters of `target`, none where it does not tell; settings by their fields.

    A class that passes ``**options`` on to the one it extends has that one's, too.
    """
    try:
        own = settings.flattened(inspect.signature(target).parameters, target)
    except ValueError:
        return {}
    rest = [name for name, parameter in own.items() if parameter.kind is parameter.VAR_KEYWORD]
    if not rest or not isinstance(target, type) or target.__base__ in (None, object):
        return own
    inherited = parameters(target.__base__)
    return {**inherited, **{name: parameter for name, parameter in own.items() if name not in rest}}


def check(given: Mapping[str, Any], target: Callable[..., Any], path: str) -> None:
    """Refuse options that `target` does not have, and values that are of another type than it says.

    Only what is certain is refused: a plain value for an annotation that is a plain type or a class of objects.

    Raises:
        UsageError: naming ``path.key``, the value and the remedy.
    """
    wanted = parameters(target)
    _refuse_unknown(given, wanted, target, path)
    for key, value in given.items():
        if key in wanted and (problem := _mismatch(value, wanted[key].annotation, target)):
            raise UsageError(f"{path}.{key} is {_shown(value)}, {problem}")


def require(wanted: Parameters, given: AbstractSet[str], target: Callable[..., Any], path: str) -> None:
    """Refuse a call that leaves out options without a default.

    Raises:
        UsageError: naming the first of them.
    """
    for name, parameter in wanted.items():
        optional = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if not optional and name not in given:
            owner = getattr(target, "__name__", str(target))
            raise UsageError(
                f"{path}.{name} is missing: {owner} needs it; give it a value in its YAML or on the command line"
            )


def _refuse_unknown(given: Mapping[str, Any], wanted: Parameters, target: Callable[..., Any], path: str) -> None:
    if not wanted or any(parameter.kind is parameter.VAR_KEYWORD for parameter in wanted.values()):
        return
    for key in given:
        if key not in wanted:
            name = getattr(target, "__name__", str(target))
            raise UsageError(f"{path}.{key} is not an option of {name}{nearest(key, wanted)}")


def _mismatch(value: Any, annotation: Any, target: Callable[..., Any]) -> str:
    """Return what is wrong with `value`, or nothing."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    name = text.removesuffix(" | None")
    if value is None:
        return f"but it must be {SCALARS[name][1]}" if text in SCALARS else ""
    if name in SCALARS:
        types, article = SCALARS[name]
        fits = isinstance(value, types) and (not isinstance(value, bool) or bool in types)
        return "" if fits else f"but it must be {article}"
    if name.startswith(("Sequence[", "list[", "tuple[")) and not isinstance(value, (list, tuple)):
        return "but it must be a list"
    if name.startswith(("Mapping[", "dict[")) and not isinstance(value, dict):
        return "but it must have keys of its own"
    if isinstance(value, (bool, int, float, str)) and _is_class_of_objects(name, target):
        return f"which is no {name}: set the keys inside it, or choose another file for it (rlkit train --help)"
    return ""


def _is_class_of_objects(name: str, target: Callable[..., Any]) -> bool:
    """Tell whether `name`, read in the module of `target`, is a class that no plain value can stand for."""
    found: Any = sys.modules.get(target.__module__)
    for part in name.split("."):
        found = getattr(found, part, None)
    # From Python 3.11 on `Any` is a class.
    return isinstance(found, type) and found not in (Any, object) and not issubclass(found, (os.PathLike, Enum))


def _shown(value: Any) -> str:
    return "null" if value is None else repr(value)
