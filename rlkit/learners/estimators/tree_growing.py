"""From rows and targets to a grown tree, and what a grown tree holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators import tree_kernel as kernel
from rlkit.learners.estimators.tree_kernel import Data, Nodes, Room, SplitRules
from rlkit.learners.estimators.tree_walk import find_leaves, preorder

CRITERIA = {
    "squared_error": kernel.SQUARED_ERROR,
    "std": kernel.STD,
    "gini": kernel.GINI,
    "entropy": kernel.ENTROPY,
}


@dataclass(frozen=True)
class FittedTree:
    """A binary tree as arrays over its nodes, in the order node, left subtree, right subtree, as in scikit-learn.

    Attributes:
        children_left, children_right: [nodes] int64; -1 in a leaf.
        feature: [nodes] int64; -2 in a leaf.
        threshold: [nodes] float64; a row goes left if its feature is at most that; -2 in a leaf. It is inf where all
            known values go left and missing ones right.
        missing_go_to_left: [nodes] uint8; where a missing value goes.
        impurity, weighted_n_node_samples: [nodes] float64.
        n_node_samples: [nodes] int64.
        value: [nodes, outputs, classes] float64: shares of the classes, or means ([nodes, outputs, 1]).
    """

    children_left: Array
    children_right: Array
    feature: Array
    threshold: Array
    missing_go_to_left: Array
    impurity: Array
    n_node_samples: Array
    weighted_n_node_samples: Array
    value: Array
    depth: Array

    @property
    def node_count(self) -> int:
        """The number of nodes, leaves included."""
        return len(self.feature)

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return int((self.children_left < 0).sum())

    @property
    def max_depth(self) -> int:
        """The number of splits above the deepest leaf."""
        return int(self.depth.max())

    def apply(self, X: Array) -> Array:
        """Return the index [n] of the leaf that each row of X [n, d] float64 ends in."""
        arrays = self.children_left, self.children_right, self.feature, self.threshold, self.missing_go_to_left
        found = np.empty(len(X), np.int64)
        find_leaves(np.ascontiguousarray(X), *arrays, found)
        return found

    def predict(self, X: Array) -> Array:
        """Return the values [n, outputs, classes] for rows X [n, d] float64."""
        return self.value[self.apply(X)]

    def importances(self, features: int) -> Array:
        """Return how much each of the features [d] lowers the weighted impurity, in all 1, or 0 without splits."""
        inner = np.flatnonzero(self.children_left >= 0)
        mass = self.weighted_n_node_samples * self.impurity
        gains = mass[inner] - mass[self.children_left[inner]] - mass[self.children_right[inner]]
        total = np.bincount(self.feature[inner], gains, features)
        return total / total.sum() if total.sum() > 0 else total


class Targets(NamedTuple):
    """What a tree is to predict, as the compiled code takes it."""

    numbers: (
        Array  # [n, m] float64: numbers around `center`, or the place of the row's class among all outputs' classes
    )
    center: Array  # [m] float64, what was taken from the numbers; [0] of classes
    ends: Array  # [m] int: after the last channel of each output

    @property
    def channels(self) -> int:
        """The length of what is added up in a node."""
        return int(self.ends[-1])


def number_targets(y: Array) -> Targets:
    """Return the targets of numbers y [n, m].

    They are moved to around zero, so that little is lost when their squares are subtracted, but by a coarse number:
    whole numbers stay whole, add up without rounding, and splits that are equally good are found equal.
    """
    grain = np.exp2(np.floor(np.log2(np.where(y.std(axis=0) > 0, y.std(axis=0), 1.0))))
    center = np.rint(y.mean(axis=0) / grain) * grain
    return Targets(y - center, center, np.arange(1, y.shape[1] + 1))


def class_targets(codes: Array, classes: list[int]) -> Targets:
    """Return the targets of class indices [n, m], of so many classes each."""
    ends = np.cumsum(classes)
    return Targets((codes + ends - classes).astype(np.float64), np.zeros(0), ends)


def columns_of(X: Array, ranked: bool) -> tuple[Array, Array]:
    """Return the columns [d, n] of rows X [n, d], and the ranks of their values (none where `ranked` is false)."""
    columns = np.array(X.T, dtype=np.float64, order="C")
    ranks = np.empty((len(columns), X.shape[0]) if ranked else (0, 0), np.int32)
    for column, rank in zip(columns, ranks, strict=False):
        order = np.argsort(column)
        ordered = column[order]
        steps = np.empty(len(order), np.int32)
        steps[0], steps[1:] = 0, ordered[1:] != ordered[:-1]
        rank[order] = np.cumsum(steps, dtype=np.int32)
        rank[order[len(order) - np.isnan(ordered).sum() :]] = -1
    return columns, ranks


def grow(columns: tuple[Array, Array], targets: Targets, weights: Array, rules: SplitRules, seed: int) -> FittedTree:
    """Grow a tree on the rows whose weights [n] are positive."""
    samples = np.flatnonzero(weights).astype(np.int32)
    data = Data(*columns, targets.numbers, np.asarray(weights, np.float64))
    room = _room(samples, targets, len(columns[0]), seed)
    most_leaves = min(len(samples), rules.max_leaves or len(samples), 2 ** min(rules.max_depth, 40))
    nodes = Nodes(
        np.zeros((2 * most_leaves - 1, 8), np.int64),
        np.zeros((2 * most_leaves - 1, 4)),
        np.zeros((2 * most_leaves - 1, targets.channels)),
    )
    nodes.places[0, kernel.END] = len(samples)
    count = kernel.grow(data, rules, room, nodes, np.zeros(most_leaves, np.int64))
    return _tree(Nodes(*(array[:count] for array in nodes)), targets)


def _room(samples: Array, targets: Targets, features: int, seed: int) -> Room:
    rows, channels, outputs = len(samples), targets.channels, targets.numbers.shape[1]
    return Room(
        samples=samples,
        spare=np.empty_like(samples),
        keys=np.empty((2, rows), np.int64),
        counts=np.empty(2048, np.int64),
        y=np.empty((rows, outputs)),
        w=np.empty(rows),
        sums=np.empty((3, channels)),
        squares=np.empty((3, channels)),
        features=np.arange(features),
        best=np.empty(4),
        bits=np.array([seed], np.uint64),
    )


def _tree(nodes: Nodes, targets: Targets) -> FittedTree:
    """Return the tree with its nodes in order."""
    left, right = nodes.places[:, kernel.LEFT], nodes.places[:, kernel.RIGHT]
    order, stack = np.empty(len(left), np.int64), np.empty(len(left), np.int64)
    preorder(left.copy(), right.copy(), order, stack)
    rank = np.empty(len(order) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(order)), -1
    places, numbers, values = (array[order] for array in nodes)
    children_left, children_right = rank[places[:, kernel.LEFT]], rank[places[:, kernel.RIGHT]]
    return FittedTree(
        children_left=children_left,
        children_right=children_right,
        feature=places[:, kernel.FEATURE].copy(),
        threshold=numbers[:, kernel.THRESHOLD].copy(),
        missing_go_to_left=_sides(places, children_left, children_right),
        impurity=numbers[:, kernel.IMPURITY].copy(),
        n_node_samples=places[:, kernel.ROWS].copy(),
        weighted_n_node_samples=numbers[:, kernel.WEIGHT].copy(),
        value=_values(values, targets),
        depth=places[:, kernel.DEPTH].copy(),
    )


def _sides(places: Array, left: Array, right: Array) -> Array:
    """Return [nodes] uint8 whether missing values go left: as in training, or with most rows where none was missing."""
    inner, rows = left >= 0, places[:, kernel.ROWS]
    side = places[:, kernel.MISSING_LEFT]
    return (inner & np.where(side < 0, rows[left] > rows[right], side == 1)).astype(np.uint8)


def _values(values: Array, targets: Targets) -> Array:
    """Return the values of nodes and channels as [nodes, outputs, classes], zeros beyond an output's classes."""
    if len(targets.center):
        return (values + targets.center)[:, :, None]
    starts = np.concatenate([[0], targets.ends[:-1]])
    found = np.zeros((len(values), len(starts), int((targets.ends - starts).max())))
    for output, (start, end) in enumerate(zip(starts, targets.ends, strict=True)):
        found[:, output, : end - start] = values[:, start:end]
    return found
