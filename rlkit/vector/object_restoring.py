"""Objects made again from the plain data that `rlkit.vector.object_graph.capture` returned, without running code."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Sequence
from enum import Enum
from random import Random
from typing import Any

import numpy as np

from rlkit.core.types import RunError, State
from rlkit.vector.object_graph import FACTORIES, Graph, is_of
from rlkit.vector.snapshot import BIT_GENERATORS

NOT_MADE = object()


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
        if not is_of(module, self._graph.packages) or module not in sys.modules:
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
        plain = Random(0)
        plain.setstate(node["random"])
        return plain
    return NOT_MADE
