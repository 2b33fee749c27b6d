"""The palette of an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rlkit.core.figure import figure, write
from rlkit.core.types import Array
from rlkit.fitting.predictions import write_csv
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset


def draw_palette(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``palette.png``, an image beside the colors of its clusters; ``palette.csv`` has them as hexadecimal."""
    image = data.extra.get("image")
    if image is None or outcome.kind != "clusterer":
        return None
    colours, shares = palette(data.rows.X, outcome.pipeline.predict(data.rows.X))
    write_csv(directory / "palette.csv", ("colour", "share"), zip(map(hexadecimal, colours), shares, strict=True))
    height, width, _ = image.shape
    sheet = figure(9, max(2.6, 5.2 * height / width), directory.name)
    left, right = sheet.subplots(1, 2, width_ratios=[3, 2])
    left.imshow(image)
    left.axis("off")
    edges = np.concatenate(([0.0], np.cumsum(shares)))
    for colour, share, top in zip(colours, shares, edges[:-1], strict=True):
        right.axhspan(top, top + share, color=hexadecimal(colour))
        ink = "black" if colour @ [0.299, 0.587, 0.114] > 140 else "white"
        if share > 0.025:
            right.text(0.5, top + share / 2, f"{hexadecimal(colour)}  {share:.1%}", ha="center", va="center", color=ink)
    right.set_xlim(0, 1)
    right.set_ylim(1, 0)
    right.axis("off")
    return write(sheet, directory / "palette.png")


def palette(pixels: Array, cluster: Array) -> tuple[Array, Array]:
    """Return the mean color [k, 3] int64 of each cluster and its share [k] float64 of the pixels, the largest first."""
    labels, counts = np.unique(cluster, return_counts=True)
    means = np.stack([pixels[cluster == label].mean(0) for label in labels])
    order = np.argsort(-counts, kind="stable")
    return np.rint(means[order]).astype(int), counts[order] / counts.sum()


def hexadecimal(colour: Array) -> str:
    """Return a color [3] from 0 to 255 as ``#rrggbb``."""
    return "#" + "".join(f"{int(channel):02x}" for channel in colour)
