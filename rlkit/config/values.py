"""Checks of plain values against the types and ranges that annotations declare (`rlkit.core.ranges`)."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import numpy as np

from rlkit.config.annotations import MARK, UNKNOWN, Namespace, evaluated
from rlkit.core.ranges import FINITE, Range, shown
from rlkit.core.types import UsageError

SCALARS: Mapping[type, tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    bool: ((bool,), "true or false"),
    str: ((str,), "text"),
    np.integer: ((int,), "a whole number"),
    np.floating: ((int, float), "a number"),
}

MADE_OF_PLAIN = ("builtins", "numpy", "numbers", "decimal", "fractions", "datetime")
"""Modules whose classes somebody else's constructor may make of a plain value, as ``np.asarray`` does."""

ENDS = {0: "at step 0", sys.maxsize: "in the end"}
"""The steps at which a schedule's value is held against its range; between them it moves one way."""


class Declared:
    """What the annotation of a parameter says about its values.

    Attributes:
        kind: the evaluated annotation.
    """

    def __init__(self, annotation: Any, names: Namespace, *, may_be_none: bool = False):
        """Evaluate an annotation, which may be text that uses `names`; `may_be_none`: whatever it says."""
        self.kind = evaluated(annotation, names)
        self._may_be_none = may_be_none

    def settled(self, value: Any) -> Any:
        """Return `value`; numbers such as 1e5 become whole ones where those are declared."""
        return _settled(value, self.kind)

    def problem(self, value: Any, path: str) -> str:
        """Return an error message if `value`, which `path` was set to, is not what is declared, else an empty text."""
        return "" if value is None and self._may_be_none else next(_problems(value, self.kind, path), "")


def of_parameter(parameter: inspect.Parameter, owner: Callable[..., Any]) -> Declared:
    """Return what a parameter declares, of the callable `owner` in whose module its annotation is written.

    One whose default is None may be None, whether its annotation says so or not.
    """
    return Declared(parameter.annotation, Namespace(owner), may_be_none=parameter.default is None)


def check_fields(settings: Any, part: str) -> None:
    """Check the fields of a dataclass object, a `part` of the configuration, against their annotations.

    Raises:
        UsageError: a value has the wrong type or is out of its range.
    """
    kind: Any = type(settings)
    for name, declared in declared_fields(kind).items():
        if problem := declared.problem(getattr(settings, name), f"{part}.{name}".lstrip(".")):
            raise UsageError(problem)


def check_keys(kind: type, values: Mapping[str, Any], path: str = "") -> None:
    """Check plain data of a schema `kind` against its annotations; `path` is that of the data, with a dot at its end.

    Raises:
        UsageError: a number is out of its range.
    """
    for name, declared in declared_fields(kind).items():
        value = values.get(name)
        if is_dataclass(declared.kind) and isinstance(value, Mapping):
            check_keys(cast(type, declared.kind), value, f"{path}{name}.")
        elif isinstance(value, (int, float)) and (problem := declared.problem(value, f"{path}{name}")):
            raise UsageError(problem)


@cache
def declared_fields(kind: type) -> Mapping[str, Declared]:
    """Return what the fields of a dataclass declare."""
    names = Namespace(kind)
    return {field.name: Declared(field.type, names) for field in fields(kind)}


def _settled(value: Any, kind: Any) -> Any:
    if isinstance(value, list) and _wants_array(kind):
        return _array(value)
    if isinstance(value, list):
        [item, *_] = get_args(_sequence_in(kind)) or [Any]
        return [_settled(one, item) for one in value]
    kinds = {_bare(part) for part in _members(kind)}
    whole = isinstance(value, float) and int in kinds and float not in kinds and value.is_integer()
    return int(value) if whole else value


def _wants_array(kind: Any) -> bool:
    """Return whether an array is declared, and no sequence that a list is, too."""
    members = [get_origin(_bare(part)) or _bare(part) for part in _members(kind)]
    return any(part is np.ndarray for part in members) and not any(map(_is_sequence, members))


def _array(value: list[Any]) -> Any:
    """Return a list of numbers, or of lists of them, as an array; anything else as it is."""
    try:
        array = np.array(value)
    except ValueError:  # rows of several lengths
        return value
    return array if array.dtype.kind in "biuf" else value


def _sequence_in(kind: Any) -> Any:
    """Return the sequence among the members of a union."""
    return next((part for part in _members(kind) if _is_sequence(part)), None)


def _problems(value: Any, kind: Any, path: str) -> Iterator[str]:
    """Yield what is wrong with a value, as whole messages."""
    members = list(_members(kind))
    if not all(map(_is_known, members)):
        return
    if value is None and NoneType in members:
        return
    found = [list(_of_one(value, part, path)) for part in members if part is not NoneType]
    if found and all(found):
        # A number out of its range is the mistake, rather than that it is not one of the other members.
        problem = min((one[0] for one in found), key=lambda text: ", but it must be" in text or ", not a" in text)
        yield f"{problem}, or null" if NoneType in members and " it must be " in problem else problem


def _members(kind: Any) -> Iterator[Any]:
    """Yield the members of a union, those of marked annotations unpacked."""
    if get_origin(kind) in (Union, UnionType):
        for part in get_args(kind):
            yield from _members(part)
    elif get_origin(kind) is Annotated and MARK in kind.__metadata__:
        yield from _members(kind.__origin__)
    else:
        yield kind


def _of_one(value: Any, kind: Any, path: str) -> Iterator[str]:
    bare, ranges = _bare(kind), [part for part in getattr(kind, "__metadata__", ()) if isinstance(part, Range)]
    if bare in SCALARS:
        yield from _of_scalar(value, bare, ranges, path)
    elif get_origin(bare) is Literal:
        if str(value) not in map(str, get_args(bare)):
            yield f"{path} is {shown(value)}, but it must be one of {', '.join(map(str, get_args(bare)))}"
    elif _is_sequence(bare):
        yield from _of_sequence(value, bare, path)
    elif _is_mapping(bare):
        yield from _of_mapping(value, bare, path)
    elif _is_class_of_objects(bare):
        yield from _of_object(value, bare, ranges, path)


def _of_scalar(value: Any, kind: type, ranges: Sequence[Range], path: str) -> Iterator[str]:
    types, article = SCALARS[kind]
    if not isinstance(value, types) or (isinstance(value, bool) and kind is not bool):
        yield f"{path} is {shown(value)}, but it must be {article}"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _out_of_range(value, ranges, f"{path} is {shown(value)}")


def _out_of_range(value: float, ranges: Sequence[Range], start: str) -> Iterator[str]:
    for one in ranges or [FINITE]:
        if problem := one.problem(value):
            yield f"{start}; {problem}"


def _of_sequence(value: Any, kind: Any, path: str) -> Iterator[str]:
    if not isinstance(value, (list, tuple)):
        if isinstance(value, (bool, int, float, str, dict)) or value is None:
            yield f"{path} is {shown(value)}, but it must be a list, e.g. {path}=[{_example(kind)}]"
        return
    items = get_args(kind)
    if get_origin(kind) is tuple and items and items[-1] is not Ellipsis:
        if len(value) != len(items):
            yield f"{path} is {shown(list(value))}, but it must be a list of {len(items)}"
            return
    else:
        items = (*items[:1],) * len(value)
    for i, (item, part) in enumerate(zip(value, items, strict=False)):
        yield from _problems(item, part, f"{path}[{i}]")


def _example(kind: Any) -> str:
    """Return items of a list of `kind`, as typed."""
    items = {_bare(part) for item in get_args(kind)[:1] for part in _members(item)}
    return "1,2" if int in items else "0.5,1.5" if float in items else "a,b"


def _of_mapping(value: Any, kind: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path} is {shown(value)}, but it must have keys of its own, e.g. {path}={{key:value}}"
        return
    for key, item in value.items() if len(get_args(kind)) == 2 else ():
        yield from _problems(item, get_args(kind)[1], f"{path}.{key}")


def _of_object(value: Any, kind: Any, ranges: Sequence[Range], path: str) -> Iterator[str]:
    """Yield what is wrong with a value where an object is wanted, which a node describes."""
    if _is_plain(value) and not _is_instance(value, get_origin(kind) or kind):
        name = getattr(kind, "__name__", str(kind))
        yield (
            f"{path} is {shown(value)}, not a {name}: set the keys inside it, or choose another file for it "
            "(rlkit train --help)"
        )
    elif ranges and callable(value):
        for step, when in ENDS.items():
            yield from _out_of_range(value(step), ranges, f"{path} {when} is {value(step):g}")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, list, dict))


def _is_instance(value: Any, kind: type) -> bool:
    try:
        return isinstance(value, kind)
    except TypeError:
        return False  # a protocol that says nothing of objects


def _is_known(kind: Any) -> bool:
    """Return whether an annotation says something."""
    return kind is not None and kind not in (Any, object, inspect.Parameter.empty) and not isinstance(kind, UNKNOWN)


def _bare(kind: Any) -> Any:
    return kind.__origin__ if get_origin(kind) is Annotated else kind


def _is_sequence(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, (list, tuple, Sequence)) and origin is not str


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, (dict, Mapping))


def _is_class_of_objects(kind: Any) -> bool:
    """Return whether `kind` is a class whose objects are not plain values."""
    origin = get_origin(kind) or kind
    # From Python 3.11 on `Any` is a class.
    if not isinstance(origin, type) or origin in (Any, object) or issubclass(origin, (os.PathLike, Enum)):
        return False
    return origin.__module__.partition(".")[0] not in MADE_OF_PLAIN
