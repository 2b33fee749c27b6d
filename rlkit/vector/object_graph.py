"""The state of Python objects as plain data, and back: what they hold, what that holds, and so on.

Each object, list, dict and array that is met is a node of a table, and whoever holds it refers to its row: what two
share before they share after, in circles too. What begins the walk, a *root*, is written back in place.

A state can come from a stranger, so restoring runs no code: only classes of named packages are made, by
``object.__new__``, only if their module is loaded already, and their fields are set as they are.
"""

from __future__ import annotations

import math
import random
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import RunError, State
from rlkit.vector.snapshot import BIT_GENERATORS

PLAIN = (type(None), bool, int, float, str)

FACTORIES = {"NoneType": None, "dict": dict, "float": float, "int": int, "list": list, "set": set}
"""What a `defaultdict` may make, by its name."""

NOT_MADE = object()


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
    return _Table(graph).state()


class _Table:
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
    return {"random": value.getstate()} if type(value) is random.Random else None


def _name_of(path: str, kind: type, packages: Collection[str]) -> str:
    """Return the name under which `_class` finds a class again."""
    if not _is_of(kind.__module__, packages) or "<" in kind.__qualname__:
        raise NotPlainError(f"{path} is of {kind.__module__}.{kind.__qualname__}, which is not plain data")
    return f"{kind.__module__}:{kind.__qualname__}"


def _is_of(module: str, packages: Collection[str]) -> bool:
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


def restore(graph: Graph, state: State) -> None:
    """Restore a state from `capture` in the roots of `graph`, which are built like the captured ones.

    Raises:
        RunError: `capture` did not return it for such objects.
    """
    try:
        _Rebuilt(graph, state["nodes"]).write(state["roots"])
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise RunError(f"the saved objects do not fit {type(graph.roots[0]).__name__}: {error}") from error


class _Rebuilt:
    """The objects of a table, made first and filled then, as they can hold each other."""

    def __init__(self, graph: Graph, nodes: Sequence[Any]):
        self._graph = graph
        self._nodes = nodes
        self._kept = {str(reference): value for value, reference in graph.kept()}
        self._made = [self._shell(node) for node in nodes]

    def write(self, roots: Sequence[Any]) -> None:
        for row in sorted(range(len(self._nodes)), key=lambda row: _is_hashing(self._nodes[row])):
            self._fill(self._made[row], self._nodes[row])
        for root, saved in zip(self._graph.roots, roots, strict=True):
            values = {name: self._value(value) for name, value in saved.items() if name not in self._graph.constants}
            for name in self._graph.fields(root).keys() - values.keys():
                del vars(root)[name]
            vars(root).update(values)

    def _shell(self, node: Any) -> Any:
        """Return what a node stands for, still without what it holds; nothing for what cannot be changed later."""
        if found := {"list", "dict", "OrderedDict", "set"} & node.keys():
            return {"list": list, "dict": dict, "OrderedDict": OrderedDict, "set": set}[found.pop()]()
        if "deque" in node:
            return deque(maxlen=node["maxlen"])
        if "defaultdict" in node:
            return defaultdict(FACTORIES[node["factory"]])
        if "array" in node:
            return np.array(node["array"])
        if "objects" in node:
            if math.prod(node["shape"]) != len(node["objects"]):
                raise ValueError(f"{len(node['objects'])} objects are no array of shape {node['shape']}")
            return np.empty(tuple(node["shape"]), object)
        if "object" in node:
            return self._blank(node["object"])
        if "class" in node:
            return self._class(node["class"])
        if "member" in node:
            return self._enum(node["of"])[node["member"]]
        return np.dtype(str(node["dtype"])) if "dtype" in node else _made_generator(node)

    def _class(self, name: str) -> Any:
        module, _, path = name.partition(":")
        if not _is_of(module, self._graph.packages) or module not in sys.modules:
            raise ValueError(f"{name} is no class of {', '.join(self._graph.packages)}")
        found: Any = sys.modules[module]
        for part in path.split("."):
            found = vars(found)[part]
        if not isinstance(found, type) or found.__module__ != module:
            raise ValueError(f"{name} is no class")
        return found

    def _blank(self, name: str) -> Any:
        """Return an object of a class, without attributes."""
        kind = self._class(name)
        if kind.__new__ is not object.__new__:
            raise ValueError(f"objects of {name} hold more than attributes")
        return object.__new__(kind)

    def _enum(self, name: str) -> Any:
        found = self._class(name)
        if not issubclass(found, Enum):
            raise ValueError(f"{name} has no members")
        return found

    def _value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return self._kept[str(value)] if "node" not in value else self._node(value["node"])

    def _node(self, row: int) -> Any:
        if self._made[row] is NOT_MADE:
            self._made[row] = self._fixed(self._nodes[row])
        return self._made[row]

    def _fixed(self, node: Any) -> Any:
        """Return what cannot be filled later: a tuple or frozen set."""
        if "tuple" in node:
            return tuple(map(self._value, node["tuple"]))
        if "frozenset" in node:
            return frozenset(map(self._value, node["frozenset"]))
        kind = self._class(node["named_tuple"])
        if not issubclass(kind, tuple):
            raise ValueError(f"{node['named_tuple']} is no tuple")
        return tuple.__new__(kind, map(self._value, node["items"]))

    def _fill(self, made: Any, node: Any) -> None:
        if "object" in node:
            for name, value in node["fields"].items():
                object.__setattr__(made, name, self._value(value))
        elif found := {"list", "deque"} & node.keys():
            made.extend(map(self._value, node[found.pop()]))
        elif "set" in node:
            made.update(map(self._value, node["set"]))
        elif found := {"dict", "OrderedDict", "defaultdict"} & node.keys():
            made.update((self._value(key), self._value(value)) for key, value in node[found.pop()])
        elif "objects" in node:
            made.reshape(-1)[:] = _row_of(list(map(self._value, node["objects"])))


def _is_hashing(node: Any) -> bool:
    """Return whether filling a node asks what it holds for its hash, for which that must be complete."""
    return bool({"set", "dict", "OrderedDict", "defaultdict"} & node.keys())


def _row_of(values: list[Any]) -> Any:
    row = np.empty(len(values), object)
    for i, value in enumerate(values):
        row[i] = value
    return row


def _made_generator(node: Any) -> Any:
    """Return the generator of a node, or `NOT_MADE`."""
    if "generator" in node:
        bits = BIT_GENERATORS[node["generator"]["bit_generator"]]()
        bits.state = node["generator"]
        return np.random.Generator(bits)
    if "random_state" in node:
        drawn = np.random.RandomState(0)
        drawn.set_state(node["random_state"])
        return drawn
    if "random" in node:
        plain = random.Random(0)
        plain.setstate(node["random"])
        return plain
    return NOT_MADE
