"""Plots of images: rows with their predictions, and weights in the shape of an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core.figure import figure, write
from rlkit.core.types import Array
from rlkit.fitting.plots.look import class_names, colour
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset

COLUMNS = 10
SHOWN = 50
UNITS = 100
GAP = 0.45
"""Between rows of images, in heights of one: room for their titles."""


def draw_images(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``predictions.png`` of images with classes: fifty rows, held out if any are, and their predictions."""
    if data.image_shape is None or outcome.kind != "classifier":
        return None
    rows = outcome.split.test or outcome.split.train
    shown = _spread(len(rows.X), SHOWN)
    predicted = outcome.pipeline.predict(rows.X[shown])
    names = class_names(data, predicted)
    truth = class_names(data, rows.y[shown]) if rows.y is not None else names
    titles = [
        (name, "black") if name == true else (f"{name}, not {true}", colour(1))
        for name, true in zip(names, truth, strict=True)
    ]
    images = [_image(row, data.image_shape) for row in rows.X[shown]]
    return _grid(directory / "predictions.png", images, titles)


def draw_weights(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``weights.png``: those of the first layer, or of each class, as images; of many units, a hundred."""
    if data.image_shape is None:
        return None
    weights = first_weights(outcome.pipeline[-1])
    if weights is None or weights.shape[1] != int(np.prod(data.image_shape)):
        return None
    images = [unit.reshape(data.image_shape).mean(0) for unit in weights[_spread(len(weights), UNITS)]]
    # Grey is zero in each.
    return _grid(directory / "weights.png", [0.5 + image / (2 * (np.abs(image).max() or 1)) for image in images], [])


def _spread(count: int, shown: int) -> Array:
    return np.unique(np.linspace(0, count - 1, min(count, shown)).round().astype(int))


def _image(row: Array, shape: tuple[int, int, int]) -> Array:
    """Return a flat row as [height, width], or in colour as [height, width, 3], from 0 to 1."""
    pixels = np.asarray(row, np.float64).reshape(shape)
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / ((high - low) or 1)
    return np.asarray(pixels[0] if shape[0] == 1 else pixels.transpose(1, 2, 0)[:, :, :3])


def _grid(path: Path, images: Sequence[Array], titles: Sequence[tuple[str, str]]) -> Path:
    """Write images of one size from 0 to 1 side by side, each with a title and its colour."""
    height, width = images[0].shape[:2]
    lines = -(-len(images) // COLUMNS)
    gap = GAP if titles else 0.08
    sheet = figure(COLUMNS * 0.95, lines * 0.95 * (1 + gap) * height / width + 0.5, path.parent.name)
    axes = sheet.subplots()
    axes.axis("off")
    for i, image in enumerate(images):
        left, top = i % COLUMNS * 1.08 * width, i // COLUMNS * (1 + gap) * height
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(left, left + width, top + height, top))
    for i, (title, ink) in enumerate(titles):
        left, top = i % COLUMNS * 1.08 * width, i // COLUMNS * (1 + gap) * height
        axes.text(left + width / 2, top - 0.06 * height, title, color=ink, ha="center", va="bottom", fontsize=7)
    axes.set_xlim(0, COLUMNS * 1.08 * width)
    axes.set_ylim(lines * (1 + gap) * height, -gap * height)
    return write(sheet, path)


def first_weights(learner: Any) -> Array | None:
    """Return the weights [units, inputs] of the first layer (``coefs_``) or of each class (``coef_``), or centres."""
    if (layers := getattr(learner, "coefs_", None)) is not None:
        return np.asarray(layers[0]).T
    for name in ("coef_", "cluster_centers_"):
        if (found := getattr(learner, name, None)) is not None:
            return np.atleast_2d(np.asarray(found))
    return None
