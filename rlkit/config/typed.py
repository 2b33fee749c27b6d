"""Conversion of plain data to frozen dataclasses, which validates it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from omegaconf import MISSING as NO_VALUE

from rlkit.config.messages import nearest
from rlkit.config.values import check_keys
from rlkit.core.types import UsageError

C = TypeVar("C")


def typed(kind: type[C], values: Mapping[str, Any], path: str = "") -> C:
    """Return plain data as an object of the dataclass `kind`; `path` is that of the data, for messages.

    Keys with a default may be left out.

    Raises:
        UsageError: a key is missing or unknown, or a value has the wrong type or is out of its range.
    """
    kinds = get_type_hints(kind)
    for key in values:
        if key not in kinds:
            raise UsageError(f"there is no key {path}{key}{nearest(key, kinds)}")
    for one in fields(kind):  # type: ignore[arg-type]  # there is no bound for dataclasses
        if one.name not in values and one.default in (MISSING, NO_VALUE) and one.default_factory is MISSING:
            raise UsageError(f"{path}{one.name} is missing")
    check_keys(kind, values, path)
    return kind(**{key: _value(kinds[key], value, f"{path}{key}") for key, value in values.items()})


def _value(kind: Any, value: Any, path: str) -> Any:
    if get_origin(kind) in (Union, UnionType):  # with None, as all of them
        [inner] = (one for one in get_args(kind) if one is not NoneType)
        return None if value is None else _value(inner, value, path)
    if kind is Any:
        return value  # an open node
    kind = get_origin(kind) or kind
    if is_dataclass(kind) and isinstance(value, Mapping):
        return typed(cast(type, kind), value, f"{path}.")
    if issubclass(kind, Enum):
        return _choice(kind, value, path)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise UsageError(f"{path} is {value!r}; it must be of type {kind.__name__}")
    return value


def _choice(kind: type[Enum], value: Any, path: str) -> Enum:
    if not isinstance(value, str) or value not in kind.__members__:
        raise UsageError(f"{path} is {value}; there is: {', '.join(kind.__members__)}")
    return kind[value]


def plain_data(config: Any) -> dict[str, Any]:
    """Return an object of a dataclass as plain data: the inverse of `typed`."""
    return {field.name: _plain(getattr(config, field.name)) for field in fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name
    return plain_data(value) if is_dataclass(value) else value
