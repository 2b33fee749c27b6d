"""The learning curve of a run, drawn from its CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core.csv_tables import read_table
from rlkit.core.figure import figure, write
from rlkit.core.types import Array

WINDOW = 10, 50
"""Episodes in a moving average: a tenth of all, but so many at least and at most."""


def draw(directory: Path) -> Path:
    """Write ``curve.png``: return and length of each episode with a moving average, evaluations on top; epsilon below.

    Raises:
        UsageError: the run has no CSV files.
    """
    episodes = read_table(directory / "episodes.csv")
    evaluations = read_table(directory / "evaluations.csv")
    whole = {name: values[episodes["truncated_by_checkpoint"] == 0] for name, values in episodes.items()}
    metrics = read_table(directory / "metrics.csv")
    heights = [3, 3, 1] if "epsilon" in metrics else [3, 3]
    sheet = figure(9, 6.5, directory.name)
    upper, lower, *rest = sheet.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    for axes, column, label in ((upper, "return/raw", "return"), (lower, "length", "episode length")):
        _panel(axes, whole["step"], whole[column], label)
        if len(evaluations["step"]):
            _evaluations(axes, evaluations["step"], evaluations[column])
    for axes in rest:
        axes.plot(metrics["step"], metrics["epsilon"], color="#5b8f68", linewidth=1.8)
        axes.set_ylabel("epsilon")
        axes.set_ylim(0, None)
        axes.grid(alpha=0.25)
    [lower, *rest][-1].set_xlabel("steps")
    # Outside of the panels, where it hides nothing.
    if upper.lines:
        sheet.legend(handles=upper.lines, loc="outside lower center", ncols=len(upper.lines), frameon=False)
    return write(sheet, directory / "curve.png")


def window(episodes: int) -> int:
    """Return over how many of so many episodes a moving average goes."""
    least, most = WINDOW
    return min(max(episodes // 10, least), most)


def moving_average(values: Array, window: int) -> Array:
    """Return the mean of up to `window` values ending at each, [n] float64."""
    sums = np.cumsum(np.concatenate(([0.0], values)))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def _panel(axes: Any, steps: Array, values: Array, label: str) -> None:
    if len(steps):
        axes.plot(steps, values, ".", color="#b8c4d6", markersize=3, label="episodes")
        taken = window(len(values))
        means = moving_average(values, taken)
        axes.plot(steps, means, color="#1f4e9c", linewidth=1.8, label=f"mean of {taken} episodes")
    axes.set_ylabel(label)
    axes.grid(alpha=0.25)


def _evaluations(axes: Any, steps: Array, values: Array) -> None:
    at = np.unique(steps)
    means = np.array([values[steps == step].mean() for step in at])
    axes.plot(at, means, "o-", color="#d1662a", markersize=5, linewidth=1.2, label="evaluations")
