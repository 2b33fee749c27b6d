"""Plots of a fit run: its data, and what was learned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rlkit.fitting.plots.costs import draw_costs
from rlkit.fitting.plots.images import draw_images, draw_weights
from rlkit.fitting.plots.palette import draw_palette
from rlkit.fitting.plots.parameters import draw_parameters
from rlkit.fitting.plots.plane import draw_plane
from rlkit.fitting.plots.results import draw_confusion, draw_fit, draw_ranking
from rlkit.fitting.plots.rows import draw_columns, draw_correlations, draw_ratings, draw_target, draw_words
from rlkit.fitting.plots.trees import draw_tree
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset

DRAWERS: tuple[Callable[[Path, Dataset, Outcome], Path | None], ...] = (
    draw_columns,
    draw_target,
    draw_correlations,
    draw_words,
    draw_ratings,
    draw_images,
    draw_plane,
    draw_costs,
    draw_parameters,
    draw_tree,
    draw_confusion,
    draw_fit,
    draw_ranking,
    draw_palette,
    draw_weights,
)
"""Each writes one file, or returns None where there is nothing to show."""


def draw(directory: Path, data: Dataset, outcome: Outcome) -> Iterator[Path]:
    """Draw what there is to show into a run folder, and yield the files."""
    for drawer in DRAWERS:
        path = drawer(directory, data, outcome)
        if path is not None:
            yield path
