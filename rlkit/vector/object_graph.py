"""The state of Python objects as plain data, and back: what they hold, what that holds, and so on.

Each object, list, dict and array that is met is a node of a table, and whoever holds it refers to its row: what two
share before they share after, in circles too. What begins the walk, a *root*, is written back in place.

A state can come from a stranger, so `rlkit.vector.object_restoring` runs no code: only classes of named packages are
made, by ``object.__new__``, only if their module is loaded already, and their fields are set as they are.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from random import Random
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import State
from rlkit.vector.snapshot import BIT_GENERATORS

PLAIN = (type(None), bool, int, float, str)

FACTORIES = {"NoneType": None, "dict": dict, "float": float, "int": int, "list": list, "set": set}
"""What a `defaultdict` may make, by its name."""


class NotPlainError(Exception):
    """An object that has no plain data; the message says where it was met and what it is."""


class Graph(NamedTuple):
    """Which objects are one state.

    Attributes:
        roots: whose attributes are read and written in place.
        packages: of whose modules classes may be.
        constants: attributes of roots that stay as they are, and so does what they hold.
    """

    roots: Sequence[Any]
    packages: Collection[str]
    constants: Collection[str] = ()

    def fields(self, root: Any) -> dict[str, Any]:
        """Return the attributes of a root that are part of the state."""
        return {name: value for name, value in vars(root).items() if name not in self.constants}

    def kept(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Yield each object that stays as it is, with how a state refers to it."""
        for i, root in enumerate(self.roots):
            for name in sorted(self.constants):
                if not isinstance(value := vars(root).get(name), PLAIN):
                    yield value, {"constant": [i, name]}
        yield from ((root, {"root": i}) for i, root in enumerate(self.roots))


def capture(graph: Graph) -> State:
    """Return the state as plain data.

    Raises:
        NotPlainError: it holds an object of another package, or one that is not made of attributes.
    """
    return _NodesMet(graph).state()


class _NodesMet:
    """The nodes met so far."""

    def __init__(self, graph: Graph):
        self._graph = graph
        self._nodes: list[Any] = []
        self._known = {id(value): reference for value, reference in graph.kept()}
        self._waiting: list[tuple[int, str, Any]] = []

    def state(self) -> State:
        roots = [self._fields(type(root).__name__, self._graph.fields(root)) for root in self._graph.roots]
        while self._waiting:
            row, path, value = self._waiting.pop()
            self._nodes[row] = self._node(path, value)
        return {"roots": roots, "nodes": self._nodes}

    def refer(self, path: str, value: Any) -> Any:
        """Return a value as it stands in a node: itself if it is plain, else a reference."""
        if type(value) in PLAIN or isinstance(value, np.generic):
            return value
        if id(value) not in self._known:
            self._known[id(value)] = {"node": len(self._nodes)}
            self._waiting.append((len(self._nodes), path, value))
            self._nodes.append(None)
        return self._known[id(value)]

    def _fields(self, path: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: self.refer(f"{path}.{name}", value) for name, value in fields.items()}

    def _items(self, path: str, values: Any) -> list[Any]:
        return [self.refer(f"{path}[{i}]", value) for i, value in enumerate(values)]

    def _pairs(self, path: str, value: dict[Any, Any]) -> list[Any]:
        return [[self.refer(f"{path} keys", key), self.refer(f"{path}[{key!r}]", item)] for key, item in value.items()]

    def _node(self, path: str, value: Any) -> Any:
        kind = type(value)
        if kind in (list, tuple, set, frozenset):
            return {kind.__name__: self._items(path, value)}
        if kind in (dict, OrderedDict):
            return {kind.__name__: self._pairs(path, value)}
        if kind is deque:
            return {"deque": self._items(path, value), "maxlen": value.maxlen}
        if kind is defaultdict and (factory := getattr(value.default_factory, "__name__", "NoneType")) in FACTORIES:
            return {"defaultdict": self._pairs(path, value), "factory": factory}
        if kind is np.ndarray:
            return self._array(path, value)
        if isinstance(value, np.dtype) and not value.hasobject:
            return {"dtype": value.str}
        return _generator(value) or self._object(path, value)

    def _array(self, path: str, value: Any) -> Any:
        if value.dtype.hasobject:
            return {"objects": self._items(path, value.ravel()), "shape": list(value.shape)}
        return {"array": value.copy()}

    def _object(self, path: str, value: Any) -> Any:
        if isinstance(value, type):
            return {"class": _name_of(path, value, self._graph.packages)}
        name = _name_of(path, type(value), self._graph.packages)
        if isinstance(value, Enum):
            return {"member": value.name, "of": name}
        if isinstance(value, tuple):
            return {"named_tuple": name, "items": self._items(path, value)}
        _require_attributes(path, type(value))
        return {"object": name, "fields": self._fields(path, _fields_of(value))}


def _generator(value: Any) -> Any:
    """Return the node of a random generator; None for anything else."""
    if isinstance(value, np.random.Generator) and type(value.bit_generator).__name__ in BIT_GENERATORS:
        return {"generator": value.bit_generator.state}
    if isinstance(value, np.random.RandomState):
        return {"random_state": value.get_state(legacy=False)}
    return {"random": value.getstate()} if type(value) is Random else None


def _name_of(path: str, kind: type, packages: Collection[str]) -> str:
    """Return the name under which `_class` finds a class again."""
    if not is_of(kind.__module__, packages) or "<" in kind.__qualname__:
        raise NotPlainError(f"{path} is of {kind.__module__}.{kind.__qualname__}, which is not plain data")
    return f"{kind.__module__}:{kind.__qualname__}"


def is_of(module: str, packages: Collection[str]) -> bool:
    """Return whether a module is one of `packages`, or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _require_attributes(path: str, kind: Any) -> None:
    if kind.__new__ is not object.__new__:
        raise NotPlainError(f"{path} is a {kind.__module__}.{kind.__qualname__}, which holds more than its attributes")


def _fields_of(value: Any) -> dict[str, Any]:
    slots = [name for part in type(value).__mro__ for name in _slots(part) if hasattr(value, name)]
    return {**{name: getattr(value, name) for name in slots}, **getattr(value, "__dict__", {})}


def _slots(kind: type) -> Sequence[str]:
    named = vars(kind).get("__slots__", ())
    return [name for name in ((named,) if isinstance(named, str) else named) if name not in ("__dict__", "__weakref__")]
