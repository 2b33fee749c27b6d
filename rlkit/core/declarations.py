"""Declarations by class attributes (`state_fields`, `keeps_frames`, …), and when subclasses inherit them."""

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
    """Return the nearest class among `kind` and its bases that declares something.

    Return None if no class does, or if a class before it changes what was declared and so must declare it itself.
    """
    for part in kind.__mro__:
        if declares(part):
            return part
        if changes(part):
            return None
    return None


def own_names(kind: type) -> frozenset[str]:
    """Return the names that a class itself defines, except those between double underscores."""
    return frozenset(name for name in vars(kind) if not (name.startswith("__") and name.endswith("__")))


@cache
def attributes_set_by(kind: type) -> frozenset[str]:
    """Return the attributes, of any object, that a class's own methods set, and its own mutable attributes.

    This is read from the bytecode, so it does not depend on an instance or its history. What sets attributes by name
    (`setattr`, ``__dict__``) counts as an attribute of that name.
    """
    return frozenset[str]().union(*(_set_by(kind, name) for name in vars(kind)))


@cache
def attributes_changed_by(kind: type) -> frozenset[str]:
    """Return the attributes that are set after construction: `attributes_set_by` without what ``__init__`` sets.

    A global variable that a method sets counts as an attribute of its name.
    """
    methods = [name for name in vars(kind) if name != "__init__"]
    codes = [code for name in methods for code in _codes(vars(kind)[name])]
    return frozenset[str]().union(*(_set_by(kind, name) for name in methods), *map(_globals_set_in, codes))


def _set_by(kind: type, name: str) -> frozenset[str]:
    """Return the attributes that an attribute of a class sets, or is, if it can change."""
    value = vars(kind)[name]
    itself = isinstance(value, cached_property) or (name in own_names(kind) and isinstance(value, MUTABLE))
    return frozenset({name} if itself else ()).union(*map(_set_in, _codes(value)))


def _globals_set_in(code: CodeType) -> set[str]:
    return {one.argval for one in dis.get_instructions(code) if one.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")}


def _codes(value: Any) -> Iterator[CodeType]:
    """Yield the code of a method or property, of the function that it wraps, and of nested functions."""
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
    stored = {one.argval for one in instructions if one.opname in ("STORE_ATTR", "DELETE_ATTR")}
    return stored | (BY_NAME & set(code.co_names))
