"""How the cost fell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core.figure import figure, write
from rlkit.fitting.plots.look import colour
from rlkit.fitting.session import Outcome, thinned
from rlkit.learners.datasets import Dataset

LONG = 1000
"""Epochs from which their axis is logarithmic: most happens at the start."""


def draw_costs(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``curve.png`` of what was recorded in each epoch, training and validation in one panel."""
    if not outcome.histories:
        return None
    sheet = figure(8, 4.2, directory.name)
    axes = sheet.subplots()
    for i, (name, history) in enumerate(outcome.histories.items()):
        shown = thinned(history)
        axes.plot(shown.epochs, shown.values, color=colour(i), label=name.replace("_", " "))
    _scale(axes, outcome)
    axes.set_xlabel("epochs")
    axes.grid(alpha=0.25)
    axes.legend(loc="upper right")
    return write(sheet, directory / "curve.png")


def _scale(axes: Any, outcome: Outcome) -> None:
    values = np.concatenate([history.values for history in outcome.histories.values()])
    if values.min() > 0 and values.max() > 100 * values.min():
        axes.set_yscale("log")
    if max(history.epochs[-1] for history in outcome.histories.values()) >= LONG:
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(left=min(history.epochs[0] for history in outcome.histories.values()))
