"""Real data sets in the folder that the variable RLKIT_TEST_DATA names; without it, tests of them are skipped."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def folder(name: str) -> Path:
    """Return the folder of a data set, or skip the test."""
    data = os.environ.get("RLKIT_TEST_DATA")
    if not data:
        pytest.skip(f"RLKIT_TEST_DATA names no folder with {name}")
    return Path(data) / name


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
