"""Trees: an array, or a dict, tuple or list of trees. Observations, actions and memories are such, with leading N.

A plain array is its own only leaf: its type is checked, and nothing else is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rlkit.core.types import Array, Tree


def map(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """Return `tree` with ``function(leaf)`` in place of each leaf."""
    if type(tree) is np.ndarray:
        return function(tree)
    if isinstance(tree, dict):
        return {key: map(function, part) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = [map(function, part) for part in tree]
        return tuple(parts) if isinstance(tree, tuple) else parts
    return function(tree)


def map_many(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Return `tree` with ``function(leaf, *leaves of the others at the same place)`` in place of each leaf.

    Leaves are those of `tree`; the others' dicts may have their keys in another order.

    Raises:
        KeyError: one of the others lacks a key.
        ValueError: a tuple or list of the others is longer or shorter.
    """
    if type(tree) is np.ndarray:
        return function(tree, *others)
    if isinstance(tree, dict):
        return {key: map_many(function, part, *[other[key] for other in others]) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = [map_many(function, *row) for row in zip(tree, *others, strict=True)]
        return tuple(parts) if isinstance(tree, tuple) else parts
    return function(tree, *others)


def leaves(tree: Tree) -> list[Any]:
    """Return the leaves in their order."""
    return [leaf for _, leaf in _paths(tree, ())]


def _paths(tree: Tree, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield each leaf with its path of keys and places."""
    if type(tree) is not np.ndarray and isinstance(tree, (dict, tuple, list)):
        for key, part in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _paths(part, (*path, key))
    else:
        yield path, tree


def length(tree: Tree) -> int:
    """Return N, the number of rows of the first leaf."""
    return len(tree if type(tree) is np.ndarray else next(_paths(tree, ()))[1])


def nbytes(tree: Tree) -> int:
    """Return the bytes of all leaves."""
    return sum(leaf.nbytes for leaf in leaves(tree))


def take(tree: Tree, index: Any) -> Tree:
    """Return ``leaf[index]`` of each leaf; `index` is any index of NumPy's."""
    return tree[index] if type(tree) is np.ndarray else map(lambda leaf: leaf[index], tree)


def put(tree: Tree, index: Any, values: Tree) -> None:
    """Write the leaves of `values`, which may be numbers, to ``leaf[index]`` of each leaf of `tree`."""
    if type(tree) is np.ndarray:
        tree[index] = values
    else:
        map_many(lambda leaf, value: leaf.__setitem__(index, value), tree, values)


def clear(tree: Tree, index: Any) -> None:
    """Write zeros to ``leaf[index]`` of each leaf."""
    for leaf in leaves(tree):
        leaf[index] = 0


def stack(trees: Sequence[Tree]) -> Tree:
    """Return trees of one structure, whose leaves may be numbers, as one with a new first axis."""
    return map_many(lambda *parts: np.stack(parts), *trees)


def concatenate(trees: Sequence[Tree]) -> Tree:
    """Return the rows of trees of one structure, one tree after the other."""
    return map_many(lambda *parts: np.concatenate(parts), *trees)


def where(mask: Array, tree: Tree, other: Tree) -> Tree:
    """Return the rows of `tree` where `mask` [N] bool is True, else those of `other`."""
    return map_many(lambda a, b: np.where(mask.reshape(-1, *[1] * (b.ndim - 1)), a, b), tree, other)


def copy(tree: Tree) -> Tree:
    """Return a tree of copies; a leaf that is not an array becomes one."""
    return tree.copy() if type(tree) is np.ndarray else map(lambda leaf: np.array(leaf, order="C"), tree)


def equal(tree: Tree, other: Tree) -> bool:
    """Return whether two trees of one structure have leaves of the same shapes and values."""
    return all(leaves(map_many(np.array_equal, tree, other)))


def empty_like(tree: Tree, *axes: int) -> Tree:
    """Return uninitialized leaves like these with `axes` before theirs."""
    return map(lambda leaf: np.empty((*axes, *leaf.shape), leaf.dtype), tree)


def pack(tree: Tree) -> Array:
    """Return a tree of leaves [N, ...] as one array: a structured one [N] with a field for each leaf.

    A plain array is returned as it is. Fields are named by the path to their leaf as JSON, so keys must be strings;
    lists become tuples, and parts without leaves are lost.
    """
    if type(tree) is np.ndarray or not isinstance(tree, (dict, tuple, list)):
        return np.asarray(tree)
    named = [(json.dumps(path), leaf) for path, leaf in _paths(tree, ())]
    packed = np.empty(length(tree), [(name, leaf.dtype, leaf.shape[1:]) for name, leaf in named])
    for name, leaf in named:
        packed[name] = leaf
    return packed


def unpack(packed: Any) -> Tree:
    """Return the tree, of copies, that `pack` made into one array; an array without fields is returned as it is."""
    names = packed.dtype.names
    return packed if names is None else _grown([(json.loads(name), packed[name].copy()) for name in names])


def _grown(branches: list[tuple[list[str | int], Array]]) -> Tree:
    """Return the tree of leaves given by their paths."""
    if not branches[0][0]:
        return branches[0][1]
    parts: dict[str | int, list[tuple[list[str | int], Array]]] = {}
    for (key, *rest), leaf in branches:
        parts.setdefault(key, []).append((rest, leaf))
    grown = {key: _grown(part) for key, part in parts.items()}
    return grown if isinstance(next(iter(grown)), str) else tuple(grown.values())
