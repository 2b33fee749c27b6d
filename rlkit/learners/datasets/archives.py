"""Arrays in NumPy's archives, as a learner can use them."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.types import Array, UsageError

DAMAGED = (
    *(ValueError, OSError, AttributeError, EOFError, KeyError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)


class Archive(NamedTuple):
    """An ``.npz`` file."""

    arrays: Mapping[str, Array]
    path: str

    def array(self, key: str, name: str) -> Array:
        """Return the array [...] that `key` names.

        Raises:
            UsageError: it is not there.
        """
        if name not in self.arrays:
            raise UsageError(f"{key}={name} is no array of {self.path}{nearest(name, self.arrays)}")
        return self.arrays[name]

    def rows(self, key: str, name: str) -> Array:
        """Return an array [n, …] of numbers.

        Raises:
            UsageError: it is not there, holds something else than numbers, or has no rows.
        """
        found = self.array(key, name)
        if found.dtype.kind not in "biuf":
            raise UsageError(f"{key}={name} of {self.path} holds {found.dtype}; rows are real numbers")
        if found.ndim == 0 or found.size == 0:
            raise UsageError(f"{key}={name} of {self.path} has the shape {list(found.shape)}; rows are [n, d]")
        return found


def opened(content: bytes, key: str, path: str) -> Archive:
    """Return the arrays in the content of an ``.npz`` file, which the setting `key` names.

    Raises:
        UsageError: it is damaged, or needs pickle.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return Archive({name: archive[name] for name in archive.files}, path)
    except DAMAGED as error:
        raise UsageError(f"{key}={path} is no archive of plain arrays (numpy.savez): {error}") from error
