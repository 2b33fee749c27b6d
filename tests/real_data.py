"""Real data from the folder that RLKIT_TEST_DATA names; without it, the tests that need them are skipped."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.core.types import Array


def folder(name: str) -> Path:
    """Return the folder of a data set."""
    where = os.environ.get("RLKIT_TEST_DATA")
    if where is None:
        pytest.skip("RLKIT_TEST_DATA names no folder with real data")
    return Path(where) / name


def house_prices(*columns: str) -> tuple[Array, Array]:
    """Return columns [1460, d] of the training rows and their prices [1460]."""
    with (folder("house_prices") / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    features = np.array([[float(row[column]) for column in columns] for row in rows])
    return features, np.array([float(row["SalePrice"]) for row in rows])


def movie_reviews() -> tuple[Array, Array]:
    """Return the snippets [10662] of objects, the positive ones first, and 1 or 0 [10662]."""
    texts = [
        (folder("movie_reviews") / f"rt-polarity.{end}").read_text("utf-8").split("\n")[:-1] for end in ("pos", "neg")
    ]
    return np.array(texts[0] + texts[1], dtype=object), np.repeat([1, 0], [len(one) for one in texts])


def mnist() -> tuple[Any, Any]:
    """Return 10,000 digits as pixels [10000, 784] and classes, uint8."""
    images, labels = (
        np.frombuffer(gzip.decompress((folder("mnist") / f"t10k-{name}-ubyte.gz").read_bytes()), np.uint8, offset=skip)
        for name, skip in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return images.reshape(-1, 784), labels


def plays() -> Any:
    """Return last.fm's rows [92834, 3] of user, artist and plays; its first two lines are no rows."""
    lines = (folder("lastfm") / "user_artists.dat").read_text().splitlines()
    return np.array([[int(n) for n in line.split("\t")] for line in lines if line.count("\t") == 2])
