"""Where the parameters of a small network went while it learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlkit.core.figure import figure, write
from rlkit.core.types import Array
from rlkit.fitting.plots.look import colour
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset

MOST = 8
"""Parameters that one plot can show."""


def draw_parameters(directory: Path, data: Dataset, outcome: Outcome) -> Path | None:
    """Draw ``parameters.png``: each parameter and the cost by epoch, where the learner kept a history of a few."""
    kept: Sequence[Array] = getattr(outcome.pipeline[-1], "parameter_history_", ())
    if len(kept) == 0 or len(kept[0]) > MOST or "cost" not in outcome.histories:
        return None
    history, cost = np.array(kept), outcome.histories["cost"]
    sheet = figure(8, 4.2, directory.name)
    left = sheet.subplots()
    right = left.twinx()
    for number, path in enumerate(history.T):
        left.plot(np.arange(len(path)), path, color=colour(number), label=f"parameter {number + 1}")
    right.plot(cost.epochs, cost.values, color=colour(len(history.T)), linestyle="--", label="cost")
    if cost.values.min() > 0 and cost.values.max() > 100 * cost.values.min():
        right.set_yscale("log")
    left.set(xlabel="epochs", ylabel="parameters")
    right.set_ylabel("cost")
    left.grid(alpha=0.25)
    lines = [*left.get_lines(), *right.get_lines()]
    left.legend(lines, [str(line.get_label()) for line in lines], loc="best")
    return write(sheet, directory / "parameters.png")
