"""The predictions over one or two columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core.figure import figure, write
from rlkit.core.types import Array
from rlkit.fitting.plots.look import MOST_CLASSES, class_names, colour, numbers, some
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset
from rlkit.learners.scores import probabilities_of

POINTS = 250
"""Along each axis."""


def draw_plane(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``boundaries.png`` where there are one or two columns of numbers: what is predicted everywhere."""
    X, names = numbers(data, outcome.split.train.X)
    if len(names) not in (1, 2) or len(names) != len(data.features) or outcome.kind == "recommender":
        return None
    X = X[np.isfinite(X).all(1)]
    sheet = figure(6.5, 5 if len(names) == 2 else 4, directory.name)
    axes = sheet.subplots()
    (_along_line if len(names) == 1 else _over_plane)(sheet, axes, data, outcome)
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1] if len(names) == 2 else data.target)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, loc="upper right")
    return write(sheet, directory / "boundaries.png")


def _grid(values: Array) -> Array:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    edge = 0.08 * ((high - low) or 1.0)
    return np.linspace(low - edge, high + edge, POINTS)


def _along_line(sheet: Any, axes: Any, data: Dataset, outcome: Outcome) -> None:
    train = outcome.split.train
    x = np.asarray(train.X[:, 0], np.float64)
    at = _grid(x)
    draw = _classes_along if outcome.kind == "classifier" else _values_along
    heights = draw(axes, at, data, outcome)
    shown = some(len(x))
    axes.plot(x[shown], heights[shown], "o", color=colour(0), markersize=4, alpha=0.7, label="rows")
    axes.grid(alpha=0.25)


def _values_along(axes: Any, at: Array, data: Dataset, outcome: Outcome) -> Array:
    """Draw what is predicted, and return where the rows are; clusters have no height."""
    axes.plot(at, outcome.pipeline.predict(at[:, None]), color=colour(1), label="predicted")
    train = outcome.split.train
    return np.zeros(len(train.X)) if train.y is None else np.asarray(train.y)


def _classes_along(axes: Any, at: Array, data: Dataset, outcome: Outcome) -> Array:
    """Draw the probability of the second of two classes, or the numbers of more, and return those of the rows."""
    labels = outcome.pipeline.classes_
    found = probabilities_of(outcome.pipeline, at[:, None]) if len(labels) == 2 else None
    if found is None:
        codes = np.searchsorted(labels, outcome.pipeline.predict(at[:, None]))
        axes.plot(at, codes, color=colour(1), label="predicted class")
    else:
        axes.plot(at, found[:, 1], color=colour(1), label=f"P({class_names(data, labels)[1]})")
        axes.axhline(0.5, color="#999999", linewidth=0.8, linestyle=":")
    return np.asarray(np.searchsorted(labels, np.asarray(outcome.split.train.y)))


def _over_plane(sheet: Any, axes: Any, data: Dataset, outcome: Outcome) -> None:
    from matplotlib.colors import ListedColormap

    train = outcome.split.train
    X = np.asarray(train.X, np.float64)
    x, y = np.meshgrid(_grid(X[:, 0]), _grid(X[:, 1]))
    predicted = outcome.pipeline.predict(np.column_stack([x.ravel(), y.ravel()]).astype(train.X.dtype))
    shown = some(len(X))
    if outcome.kind == "regressor":
        shades = axes.contourf(x, y, predicted.reshape(x.shape), 20, cmap="viridis")
        sheet.colorbar(shades, ax=axes, label=data.target)
        axes.plot(X[shown, 0], X[shown, 1], ".", color="white", markersize=2)
        return
    labels, codes = np.unique(predicted, return_inverse=True)
    palette = ListedColormap([colour(i) for i in range(max(len(labels), 1))])
    axes.pcolormesh(x, y, codes.reshape(x.shape), cmap=palette, alpha=0.25, vmin=-0.5, vmax=len(labels) - 0.5)
    own = train.y if outcome.kind == "classifier" and train.y is not None else outcome.pipeline.predict(train.X)
    if len(labels) > MOST_CLASSES:
        return
    for label, name in zip(np.unique(own), class_names(data, np.unique(own)), strict=True):
        points = shown[own[shown] == label]
        number = int(np.searchsorted(labels, label))
        what = name if outcome.kind == "classifier" else f"cluster {label}"
        axes.plot(X[points, 0], X[points, 1], "o", color=colour(number), markersize=3, label=what)
