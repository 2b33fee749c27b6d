"""Texts with classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlkit.core.types import FromRun
from rlkit.learners.datasets.cache import DataSource, decoded, read
from rlkit.learners.datasets.dataset import Dataset, Rows

FILES = ("rt-polarity.neg", "rt-polarity.pos")


def movie_reviews(url: str, folder: str | None, notify: FromRun[Callable[[str], None]]) -> Dataset:
    """Return 5,331 negative (class 0) and as many positive snippets of film reviews (Pang and Lee, 2005).

    Args:
        url: of the archive.
        folder: the user's own folder with ``rt-polarity.neg`` and ``rt-polarity.pos``, or the archive.
        notify: takes a line for the user.

    Raises:
        UsageError: the user's folder does not hold the files.
        RunError: they cannot be downloaded.
    """
    place = DataSource("movie_reviews", url, folder, notify=notify)
    # Only line feeds end a snippet: other separators occur within.
    lines = [[line.strip() for line in decoded(read(place, file)).split("\n") if line.strip()] for file in FILES]
    texts = np.array([*lines[0], *lines[1]], dtype=object)
    y = np.repeat([0, 1], [len(lines[0]), len(lines[1])])
    return Dataset("classification", Rows(texts, y), target="sentiment", classes=("negative", "positive"))
