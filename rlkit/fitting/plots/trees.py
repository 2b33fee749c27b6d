"""The diagram of a tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.figure import figure, write
from rlkit.core.types import Array
from rlkit.fitting.plots.look import class_names, colour, short
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset

DEEPEST = 4
"""Levels below the root that are drawn."""


class NodePosition(NamedTuple):
    """Where a node is drawn."""

    number: int
    x: float
    level: int
    parent: tuple[float, int] | None
    truncated: bool  # there are nodes below that are not drawn


def draw_tree(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``tree.png``: a tree, or the first of a forest, down to the fourth level.

    An estimator has a tree where its ``tree_`` has scikit-learn's arrays ``children_left``, ``children_right``,
    ``feature``, ``threshold``, ``value`` and ``n_node_samples``.
    """
    learner = outcome.pipeline[-1]
    members = vars(learner).get("estimators_")
    first = learner if members is None or not len(members) else np.asarray(members, object).ravel()[0]
    tree = vars(first).get("tree_")
    if tree is None or outcome.kind not in ("classifier", "regressor"):
        return None
    places = list(_laid_out(tree))
    width = max(place.x for place in places) + 1
    sheet = figure(max(6, 1.5 * width), 1.6 + 1.15 * (1 + max(place.level for place in places)), directory.name)
    axes = sheet.subplots()
    axes.axis("off")
    names = _names(data, outcome)
    for place in places:
        _draw_node(axes, place, tree, names, data, outcome)
    axes.set_xlim(-0.6, width - 0.4)
    axes.set_ylim(-max(place.level for place in places) - 0.6, 0.5)
    more = "; a thick edge: there is more below" if any(place.truncated for place in places) else ""
    axes.set_title(f"yes to the left, no to the right{more}", fontsize=9)
    return write(sheet, directory / "tree.png")


def _laid_out(tree: Any) -> Iterator[NodePosition]:
    """Yield the nodes; leaves side by side, each parent above the middle of its children."""
    left, right = np.asarray(tree.children_left), np.asarray(tree.children_right)
    places: dict[int, float] = {}
    free = 0.0

    def settle(number: int, level: int) -> float:
        nonlocal free
        if left[number] < 0 or level == DEEPEST:
            places[number], free = free, free + 1
        else:
            places[number] = (settle(left[number], level + 1) + settle(right[number], level + 1)) / 2
        return places[number]

    settle(0, 0)
    waiting: list[tuple[int, int, tuple[float, int] | None]] = [(0, 0, None)]
    while waiting:
        number, level, parent = waiting.pop()
        inner = left[number] >= 0
        yield NodePosition(number, places[number], level, parent, bool(inner and level == DEEPEST))
        if inner and level < DEEPEST:
            own = (places[number], level)
            waiting += [(int(left[number]), level + 1, own), (int(right[number]), level + 1, own)]


def _names(data: Dataset, outcome: Outcome) -> list[str] | None:
    """Return the names of the learner's columns, where they are known."""
    if len(outcome.pipeline) == 1:
        return list(data.features) or None
    try:
        features = list(data.features) or None
        names = outcome.pipeline[:-1].get_feature_names_out(features)
    except (AttributeError, ValueError):  # a transformer without names
        return None
    return [str(name).partition("__")[2] or str(name) for name in names]


def _draw_node(
    axes: Any, place: NodePosition, tree: Any, names: list[str] | None, data: Dataset, outcome: Outcome
) -> None:
    number = place.number
    if place.parent is not None:
        x, level = place.parent
        axes.plot([x, place.x], [-level, -place.level], color="#999999", linewidth=0.8, zorder=1)
    value = np.asarray(tree.value[number]).ravel()
    text, ink = _prediction(value, data, outcome)
    rows = int(np.asarray(tree.n_node_samples)[number])
    if np.asarray(tree.children_left)[number] >= 0:
        column = int(np.asarray(tree.feature)[number])
        name = names[column] if names is not None else f"column {column}"
        text = f"{name} ≤ {short(float(np.asarray(tree.threshold)[number]))}\n{text}"
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": ink, "linewidth": 2.5 if place.truncated else 1}
    axes.text(place.x, -place.level, f"{text}\n{rows:,} rows", ha="center", va="center", fontsize=7, bbox=box, zorder=2)


def _prediction(value: Array, data: Dataset, outcome: Outcome) -> tuple[str, str]:
    """Return what a node predicts, and its color."""
    if outcome.kind == "regressor":
        return short(float(value[0])), colour(0)
    best = int(value.argmax())
    label = class_names(data, np.asarray(outcome.pipeline.classes_))[best]
    return f"{label} {value[best] / value.sum():.0%}", colour(best)
