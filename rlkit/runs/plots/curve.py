"""The learning curve of a run, drawn from its CSV files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core.csv_tables import read_table
from rlkit.core.figure import figure, write
from rlkit.core.types import Array

WINDOW = 10, 50
"""Episodes in a moving average: a tenth of all, but so many at least and at most."""

CROWDED = 200
"""Episodes from which on their dots are small."""

EVALUATIONS = "#d1662a"


def draw(directory: Path) -> Path:
    """Write ``curve.png``: return and length of each episode with a moving average, evaluations on top; epsilon below.

    Lengths are left out where they are the returns, but for the sign: one point a step, as in CartPole.

    Raises:
        UsageError: the run has no CSV files.
    """
    episodes = read_table(directory / "episodes.csv")
    evaluations = read_table(directory / "evaluations.csv")
    whole = {name: values[episodes["truncated_by_checkpoint"] == 0] for name, values in episodes.items()}
    metrics = read_table(directory / "metrics.csv")
    panels = [("return/raw", "return"), ("length", "episode length")]
    if not _lengths_differ(whole) and not _lengths_differ(evaluations):
        panels = panels[:1]
    heights = [3] * len(panels) + [1] * ("epsilon" in metrics)
    sheet = figure(9, 1.2 + 0.9 * sum(heights), directory.name)
    all_axes = sheet.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False).ravel()
    for axes, (column, label) in zip(all_axes, panels, strict=False):
        _panel(axes, whole["step"], whole[column], label)
        if len(evaluations["step"]):
            _evaluations(axes, evaluations["step"], evaluations[column])
    for axes in all_axes[len(panels) :]:
        point = "o" if len(metrics["step"]) == 1 else ""
        axes.plot(metrics["step"], metrics["epsilon"], color="#5b8f68", linewidth=1.8, marker=point)
        axes.set_ylabel("epsilon")
        axes.set_ylim(0, 1.05)
    for axes in all_axes:
        _marked(axes)
    all_axes[-1].set_xlabel("steps")
    # Outside of the panels, where it hides nothing.
    handles, _ = all_axes[0].get_legend_handles_labels()
    if handles:
        sheet.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return write(sheet, directory / "curve.png")


def thousands(value: float, position: int | None = None) -> str:
    """Return a tick's number with thousands marks: −12,500."""
    return f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")


def _lengths_differ(episodes: Mapping[str, Array]) -> bool:
    returns = episodes["return/raw"]
    return not any(np.array_equal(sign * returns, episodes["length"]) for sign in (1, -1))


def _marked(axes: Any) -> None:
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25)
    axes.xaxis.set_major_formatter(thousands)
    axes.yaxis.set_major_formatter(thousands)


def window(episodes: int) -> int:
    """Return over how many of so many episodes a moving average goes."""
    least, most = WINDOW
    return min(max(episodes // 10, least), most)


def moving_average(values: Array, window: int) -> Array:
    """Return the mean of up to `window` values ending at each, [n] float64."""
    sums = np.cumsum(np.concatenate(([0.0], values)))
    return means_until(sums, np.arange(1, len(values) + 1), window)


def means_until(sums: Array, ends: Array, window: int) -> Array:
    """Return the mean of up to `window` values before each of `ends` [n], from the sums of all values before each."""
    starts = np.maximum(ends - window, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def _panel(axes: Any, steps: Array, values: Array, label: str) -> None:
    if len(steps):
        size = 3 if len(steps) > CROWDED else 6
        axes.plot(steps, values, ".", color="#9db0cc", markersize=size, label="episodes")
        taken = window(len(values))
        means = moving_average(values, taken)
        axes.plot(steps, means, color="#1f4e9c", linewidth=1.8, label=f"mean of {taken} episodes")
    axes.set_ylabel(label)


def _evaluations(axes: Any, steps: Array, values: Array) -> None:
    at = np.unique(steps)
    groups = [values[steps == step] for step in at]
    low, high, means = ([pick(group) for group in groups] for pick in (np.min, np.max, np.mean))
    axes.plot(at, means, "o-", color=EVALUATIONS, markersize=5, linewidth=1.2, label="evaluations, mean")
    if len(at) > 1:
        axes.fill_between(at, low, high, color=EVALUATIONS, alpha=0.18, linewidth=0, label="lowest to highest")
