"""Plots of the data that a learner is fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core.figure import figure, write
from rlkit.core.types import Array
from rlkit.fitting.plots.look import LIGHT, MOST_CLASSES, class_names, colour, numbers, short, some
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset

STRONGEST = 10
WORDS = 20


def draw_columns(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``data.png`` of a table with classes: the two columns that part them best, and two principal components."""
    X, names = numbers(data, outcome.split.train.X)
    y = outcome.split.train.y
    if data.task != "classification" or y is None or len(names) < 3 or len(np.unique(y)) > MOST_CLASSES:
        return None
    if data.image_shape is not None:
        return None
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import f_classif
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import scale

    X = SimpleImputer(strategy="median", keep_empty_features=True).fit_transform(X)
    with np.errstate(all="ignore"):
        strength = np.nan_to_num(f_classif(X[:, X.std(0) > 0], y)[0], posinf=np.inf)
    order = np.flatnonzero(X.std(0) > 0)[np.argsort(-strength, kind="stable")][:2]
    sheet = figure(10, 4.6, directory.name)
    left, right = sheet.subplots(1, 2)
    _by_class(left, X[:, order], y, data)
    left.set_xlabel(names[order[0]])
    left.set_ylabel(names[order[1]])
    left.set_title("the two columns that part the classes best", fontsize=9)
    components = PCA(2, svd_solver="full").fit_transform(scale(X))
    _by_class(right, components, y, data)
    right.set_xlabel("first principal component")
    right.set_ylabel("second")
    right.set_title("all columns, standardised", fontsize=9)
    left.legend(fontsize=8, loc="upper left")
    return write(sheet, directory / "data.png")


def _by_class(axes: Any, points: Array, y: Array, data: Dataset) -> None:
    labels = np.unique(y)
    shown = some(len(points))
    for i, (label, name) in enumerate(zip(labels, class_names(data, labels), strict=True)):
        own = shown[y[shown] == label]
        axes.plot(points[own, 0], points[own, 1], "o", color=colour(i), markersize=3.5, alpha=0.7, label=name)
    axes.grid(alpha=0.25)


def draw_target(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``data.png`` of a table with a quantity: how it is spread, and against the three columns most like it."""
    X, names = numbers(data, outcome.split.train.X)
    y = outcome.split.train.y
    if data.task != "regression" or y is None or not names:
        return None
    strongest = np.argsort(-np.abs(_correlations(X, y)), kind="stable")[:3]
    sheet = figure(4 * (1 + len(strongest)), 3.8, directory.name)
    panels = sheet.subplots(1, 1 + len(strongest))
    panels[0].hist(y, bins=40, color=colour(0))
    panels[0].set_xlabel(data.target)
    panels[0].set_ylabel("rows")
    panels[0].axvline(y.mean(), color=colour(1), label=f"mean {short(y.mean())}")
    panels[0].legend(fontsize=8, loc="upper right")
    shown = some(len(y))
    for axes, column in zip(panels[1:], strongest, strict=True):
        axes.plot(X[shown, column], y[shown], ".", color=colour(0), markersize=3, alpha=0.5)
        axes.set_xlabel(names[column])
        axes.set_ylabel(data.target)
    for axes in panels:
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=7)
        axes.locator_params(axis="x", nbins=6)
    return write(sheet, directory / "data.png")


def _correlations(X: Array, y: Array) -> Array:
    """Return the correlation [d] of each column with `y` over the rows without a gap in it; 0 for a constant."""
    found = np.zeros(X.shape[1])
    for i, column in enumerate(X.T):
        there = np.isfinite(column)
        if column[there].std() > 0 and y[there].std() > 0:
            found[i] = np.corrcoef(column[there], y[there])[0, 1]
    return found


def draw_correlations(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``correlations.png``: those of the ten columns most like the target, with it and with each other."""
    y = outcome.split.train.y
    if data.task != "regression" or y is None:
        return None
    table = data.extra.get("table")
    if table is not None:
        y, columns = table[data.target], {name: cells for name, cells in table.items() if name != data.target}
        X, names = np.column_stack(list(columns.values())), list(columns)
    else:
        X, names = numbers(data, outcome.split.train.X)
    if len(names) < 2:
        return None
    strongest = np.argsort(-np.abs(_correlations(X, y)), kind="stable")[:STRONGEST]
    all_columns = np.column_stack([y, X[:, strongest]])
    grid = np.stack([_correlations(all_columns, column) for column in np.nan_to_num(all_columns).T])
    labels = [data.target, *(names[i] for i in strongest)]
    size = 2.5 + 0.55 * len(labels)
    sheet = figure(size, size - 0.6, directory.name)
    axes = sheet.subplots()
    heat = axes.imshow(grid, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    for (row, column), value in np.ndenumerate(grid):
        ink = "white" if abs(value) > 0.6 else "black"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=7, color=ink)
    sheet.colorbar(heat, ax=axes, label="correlation", shrink=0.8)
    return write(sheet, directory / "correlations.png")


def draw_words(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``data.png`` of texts: rows of each class, and the most frequent words, as the pipeline counts them."""
    y = outcome.split.train.y
    if not data.texts or y is None or len(outcome.pipeline) < 2:
        return None
    before = outcome.pipeline[:-1]
    counts = before.transform(outcome.split.train.X)
    totals = np.asarray(counts.sum(0)).ravel()
    words = np.asarray(before.get_feature_names_out())
    most = np.argsort(-totals, kind="stable")[:WORDS]
    labels, rows = np.unique(y, return_counts=True)
    sheet = figure(10, 4.6, directory.name)
    left, right = sheet.subplots(1, 2, width_ratios=[1, 2])
    left.bar(class_names(data, labels), rows, color=[colour(i) for i in range(len(labels))])
    left.set_ylabel("rows to learn from")
    bottom = np.zeros(len(most))
    for i, (label, name) in enumerate(zip(labels, class_names(data, labels), strict=True)):
        own = np.asarray(counts[np.flatnonzero(y == label)].sum(0)).ravel()[most]
        right.bar(words[most], own, bottom=bottom, color=colour(i), label=name)
        bottom += own
    right.tick_params(axis="x", rotation=60, labelsize=8)
    right.set_title(f"the {len(most)} most frequent of {len(words):,} words", fontsize=9)
    right.legend(fontsize=8, loc="upper right")
    return write(sheet, directory / "data.png")


def draw_ratings(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``data.png`` of ratings: how many each user and item has, and how they are spread."""
    if data.task != "recommendation":
        return None
    matrix = data.rows.X
    sheet = figure(12, 3.6, directory.name)
    users, items, values = sheet.subplots(1, 3)
    per_item = np.bincount(matrix.indices, minlength=matrix.shape[1])
    for axes, counts, what in ((users, np.diff(matrix.indptr), "users"), (items, per_item, "items")):
        axes.plot(np.arange(1, len(counts) + 1), np.sort(counts)[::-1], color=colour(0))
        axes.set_xlabel(f"{what}, those with most ratings first")
        axes.set_ylabel("ratings")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(alpha=0.25)
    values.hist(matrix.data, bins=40, color=LIGHT, edgecolor=colour(0))
    values.set_xlabel(f"rating ({matrix.nnz / np.prod(matrix.shape):.3%} of all pairs)")
    values.set_ylabel("pairs")
    return write(sheet, directory / "data.png")
