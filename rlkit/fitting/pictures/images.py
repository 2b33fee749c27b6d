"""Pictures of pictures: rows, what is predicted for them, and weights that have their form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core import Array
from rlkit.data import Dataset
from rlkit.figures import figure, write
from rlkit.fitting.pictures.look import class_names, colour
from rlkit.fitting.session import Outcome

GRID = (5, 10)
UNITS = 100


def draw_images(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``predictions.png`` of pictures with classes: fifty rows, held out if any are, and what they are called."""
    if data.image_shape is None or outcome.kind != "classifier":
        return None
    rows = outcome.split.test or outcome.split.train
    count = min(len(rows.X), GRID[0] * GRID[1])
    shown = np.unique(np.linspace(0, len(rows.X) - 1, count).round().astype(int))
    predicted = outcome.pipeline.predict(rows.X[shown])
    sheet = figure(GRID[1] * 0.95, GRID[0] * 1.12 + 0.4, directory.name)
    panels = sheet.subplots(*GRID).ravel()
    for axes in panels:
        axes.axis("off")
    names = class_names(data, predicted)
    truth = class_names(data, rows.y[shown]) if rows.y is not None else names
    pictures = [_picture(rows.X[row], data.image_shape) for row in shown]
    for axes, picture, name, true in zip(panels, pictures, names, truth, strict=False):
        axes.imshow(picture, cmap="gray")
        right = name == true
        axes.set_title(name if right else f"{name}, not {true}", fontsize=7, color="black" if right else colour(1))
    return write(sheet, directory / "predictions.png")


def _picture(row: Array, shape: tuple[int, int, int]) -> Array:
    """Return a flat row as [height, width], or in colour as [height, width, 3] from 0 to 1."""
    pixels = np.asarray(row, np.float64).reshape(shape)
    if shape[0] == 1:
        return pixels[0]
    return np.clip(pixels.transpose(1, 2, 0)[:, :, :3] / (255 if pixels.max() > 1 else 1), 0, 1)


def draw_weights(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``weights.png``: those of the first layer, or of each class, as pictures; of many units, a hundred."""
    if data.image_shape is None:
        return None
    weights = first_weights(outcome.pipeline[-1])
    if weights is None or weights.shape[1] != int(np.prod(data.image_shape)):
        return None
    shown = np.unique(np.linspace(0, len(weights) - 1, min(len(weights), UNITS)).round().astype(int))
    columns = int(np.ceil(np.sqrt(len(shown))))
    lines = int(np.ceil(len(shown) / columns))
    sheet = figure(0.62 * columns + 0.4, 0.62 * lines + 0.8, directory.name)
    panels = np.atleast_1d(sheet.subplots(lines, columns)).ravel()
    for axes in panels:
        axes.axis("off")
    for axes, unit in zip(panels, weights[shown], strict=False):
        picture = unit.reshape(data.image_shape).mean(0)
        bound = np.abs(picture).max() or 1.0
        axes.imshow(picture, cmap="gray", vmin=-bound, vmax=bound)
    return write(sheet, directory / "weights.png")


def first_weights(learner: Any) -> Array | None:
    """Return the weights [units, inputs] of the first layer (``coefs_``) or of each class (``coef_``), or centres."""
    if (layers := getattr(learner, "coefs_", None)) is not None:
        return np.asarray(layers[0]).T
    for name in ("coef_", "cluster_centers_"):
        if (found := getattr(learner, name, None)) is not None:
            return np.atleast_2d(np.asarray(found))
    return None
