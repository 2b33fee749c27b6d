"""What a class declares by attributes (`state_fields`, `keeps_frames`, …), and how far subclasses inherit that."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from types import CodeType
from typing import Any

import numpy as np

MUTABLE = (bytearray, dict, list, set, np.ndarray)
BY_NAME = frozenset({"setattr", "delattr", "__setattr__", "__delattr__", "__dict__"})


def declarer(kind: type, declares: Callable[[type], bool], changes: Callable[[type], bool]) -> type | None:
    """Return the nearest class of `kind`'s bases, itself included, that declares something.

    None where no class does, or where a class on the way to it changes what was declared, and so has to declare it
    itself.
    """
    for part in kind.__mro__:
        if declares(part):
            return part
        if changes(part):
            return None
    return None


def own_names(kind: type) -> frozenset[str]:
    """Return the names that a class itself defines, without those between double underscores."""
    return frozenset(name for name in vars(kind) if not (name.startswith("__") and name.endswith("__")))


@cache
def attributes_set_by(kind: type) -> frozenset[str]:
    """Return the attributes, of whatever object, that a class's own methods set, and its own mutable ones.

    This is read from the bytecode, so that it depends neither on an instance nor on the time. What sets attributes by
    name (`setattr`, ``__dict__``) counts as an attribute of that name.
    """
    found: set[str] = set()
    for name, value in vars(kind).items():
        if isinstance(value, cached_property) or (name in own_names(kind) and isinstance(value, MUTABLE)):
            found.add(name)
        for code in _codes(value):
            found |= _set_in(code)
    return frozenset(found)


def _codes(value: Any) -> Iterator[CodeType]:
    """Yield the code of a method or a property, of what it wraps, and of functions within."""
    parts: list[Any] = [value.fget, value.fset, value.fdel] if isinstance(value, property) else [value]
    for part in parts:
        function: Any = inspect.unwrap(getattr(part, "__func__", getattr(part, "func", part)))
        code = getattr(function, "__code__", None)
        if isinstance(code, CodeType):
            yield from _nested(code)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _set_in(code: CodeType) -> set[str]:
    instructions = list(dis.get_instructions(code))
    stored = {found.argval for found in instructions if found.opname in ("STORE_ATTR", "DELETE_ATTR")}
    return stored | (BY_NAME & set(code.co_names))
