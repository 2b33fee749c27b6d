"""Checks of trees in saved models: compiled loops walk through them, and no index may lead out of an array."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.model_names import SavingError

PER_NODE = ("children_left", "children_right", "feature", "threshold", "missing_go_to_left", "value")
UNCHECKED = frozenset(f"sklearn.ensemble.{name}" for name in ("_forest", "_gb", "_iforest"))
"""Modules of ensembles that walk through their members' trees without asking the members."""


def make_tree(features: Any, classes: Any, outputs: Any, inner: dict[str, Any]) -> Any:
    """Return scikit-learn's tree from what its ``__reduce__`` returned.

    Raises:
        SavingError: sizes do not fit together, or a node leads out of the tree.
    """
    from sklearn.tree._tree import NODE_DTYPE, Tree

    nodes, values, classes = inner["nodes"], inner["values"], np.asarray(classes)
    _require(type(features) is int and type(outputs) is int and features > 0 and outputs > 0, "sizes")
    _require(classes.dtype == np.intp and classes.shape == (outputs,) and classes.min() > 0, "classes")
    _require(nodes.dtype == NODE_DTYPE and nodes.ndim == 1 and inner["node_count"] == len(nodes) > 0, "nodes")
    _require(values.dtype == np.float64 and values.shape == (len(nodes), outputs, classes.max()), "values")
    _require_walkable(nodes["left_child"], nodes["right_child"], nodes["feature"], features)
    _require(inner["max_depth"] == _depth(nodes["left_child"], nodes["right_child"]), "depth")
    tree = Tree(features, classes, outputs)
    tree.__setstate__({**inner, "nodes": np.ascontiguousarray(nodes), "values": np.ascontiguousarray(values)})
    return tree


def check_trees(estimator: Any) -> None:
    """Check that the trees of an estimator look at no other features than it has, and lead to nodes of their own.

    Raises:
        SavingError: one does not.
    """
    for tree, features in _trees(estimator):
        _require(isinstance(features, (int, np.integer)) and int(features) > 0, "number of features")
        arrays = [np.asarray(getattr(tree, name)) for name in PER_NODE if hasattr(tree, name)]
        _require(all(len(array) == len(arrays[0]) > 0 for array in arrays), "arrays of different lengths")
        _require(getattr(tree, "n_features", features) == features, "number of features")
        _require_walkable(arrays[0], arrays[1], arrays[2], features)


def _trees(estimator: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each tree with the number of features of the rows that it is walked with."""
    own = vars(estimator)
    features = own.get("n_features_in_")
    trees = [own.get("tree_"), *(own.get("trees_") or ())]
    yield from ((tree, features) for tree in trees if hasattr(tree, "children_left"))
    if UNCHECKED.isdisjoint(kind.__module__ for kind in type(estimator).__mro__):
        return
    chosen = own.get("estimators_features_")
    for i, member in enumerate(np.ravel(own.get("estimators_"))):
        taken = features if chosen is None else min(features, len(chosen[i]))
        if hasattr(tree := getattr(member, "tree_", None), "children_left"):
            yield tree, taken


def _require_walkable(left: Array, right: Array, feature: Array, features: int) -> None:
    """Check that every walk ends: a child comes behind its parent, a leaf has none, and features exist."""
    _require(all(array.ndim == 1 and array.dtype == np.int64 for array in (left, right, feature)), "nodes")
    inner = np.flatnonzero(left != -1)
    children = np.stack((left[inner], right[inner]))
    _require(bool(((children > inner) & (children < len(left))).all()), "child")
    _require(bool(((feature[inner] >= 0) & (feature[inner] < features)).all()), "feature")


def _depth(left: Array, right: Array) -> int:
    """Return the number of splits above the deepest leaf of a tree that is walkable."""
    depth, reached = -1, np.zeros(1, np.int64)
    while len(reached):
        depth += 1
        inner = reached[left[reached] != -1]
        reached = np.unique(np.concatenate((left[inner], right[inner])))
    return depth


def _require(holds: bool, part: str) -> None:
    if not holds:
        raise SavingError(f"the model holds a damaged tree ({part}); fit it again")
