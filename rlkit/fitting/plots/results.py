"""How good the predictions are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rlkit.core.figure import figure, write
from rlkit.fitting.plots.look import LIGHT, class_names, colour, some
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset

MOST_CLASSES = 30


def draw_confusion(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``confusion.png``: classes against predicted ones, of held-out rows where there are some."""
    rows, part = (outcome.split.test, "held-out rows") if outcome.split.test else (outcome.split.train, "fitted rows")
    if outcome.kind != "classifier" or rows.y is None:
        return None
    from sklearn.metrics import confusion_matrix

    labels = np.unique(np.concatenate([outcome.pipeline.classes_, np.unique(rows.y)]))
    if len(labels) > MOST_CLASSES:
        return None
    grid = confusion_matrix(rows.y, outcome.pipeline.predict(rows.X), labels=labels)
    names = class_names(data, labels)
    size = 2.6 + 0.48 * len(labels)
    sheet = figure(max(size, 4.2), max(size - 0.4, 3.6), directory.name)
    axes = sheet.subplots()
    axes.imshow(grid / np.maximum(grid.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(labels)), names, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(labels)), names, fontsize=8)
    for (row, column), count in np.ndenumerate(grid):
        ink = "white" if count > 0.6 * grid[row].sum() else "black"
        axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=ink)
    axes.set_xlabel("predicted")
    axes.set_ylabel(data.target)
    axes.set_title(f"{part}: {grid.trace():,} of {grid.sum():,} right", fontsize=9)
    return write(sheet, directory / "confusion.png")


def draw_fit(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``predictions.png`` of a quantity: predicted against true values."""
    if outcome.kind != "regressor":
        return None
    sheet = figure(5.6, 5.2, directory.name)
    axes = sheet.subplots()
    ends = []
    for rows, name, ink in ((outcome.split.train, "fitted", LIGHT), (outcome.split.test, "held out", colour(1))):
        if rows is None or rows.y is None:
            continue
        shown = some(len(rows.y))
        predicted = outcome.pipeline.predict(rows.X)
        axes.plot(rows.y[shown], predicted[shown], ".", color=ink, markersize=4, label=name)
        ends += [rows.y.min(), rows.y.max(), predicted.min(), predicted.max()]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color=colour(0), linewidth=1, label="right")
    axes.set_xlabel(data.target)
    axes.set_ylabel("predicted")
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="upper left")
    return write(sheet, directory / "predictions.png")


def draw_ranking(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``ranking.png``: precision, recall and NDCG, beside those of what is popular."""
    names = [name.partition("/")[2] for name in outcome.metrics if name.startswith("popularity/")]
    if not names:
        return None
    sheet = figure(6, 3.8, directory.name)
    axes = sheet.subplots()
    for i, (part, label) in enumerate(
        (("test", type(outcome.pipeline[-1]).__name__), ("popularity", "what is popular"))
    ):
        bars = axes.bar(
            np.arange(len(names)) + 0.4 * i,
            [outcome.metrics[f"{part}/{name}"] for name in names],
            width=0.38,
            color=colour(0) if i == 0 else LIGHT,
            label=label,
        )
        axes.bar_label(bars, fmt="%.3f", fontsize=8)
    axes.set_xticks(np.arange(len(names)) + 0.2, [name.replace("_", " ") for name in names])
    sheet.legend(fontsize=8, loc="outside lower center", ncols=2)
    return write(sheet, directory / "ranking.png")
