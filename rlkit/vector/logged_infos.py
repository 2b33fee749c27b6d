"""Numbers that environments return in their infos and that a run logs: ``log.info=[x_position, success]``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.core.types import Array, UsageError

SENT = "rlkit/info/"
"""The beginning of the keys under which a worker process sends them: always floats."""

LISTED = 12


class LoggedInfos:
    """Reads the numbers of some keys from the infos of steps.

    Attributes:
        keys: of the infos.
    """

    def __init__(self, keys: Sequence[str] = ()):
        """Read `keys`."""
        self.keys = tuple(keys)
        self._found: set[str] = set()
        self._others: set[str] = set()
        self._looks = bool(keys)

    def of_each(self, infos: Sequence[Mapping[str, Any]], lasts: Sequence[bool]) -> Array | None:
        """Return the numbers [N, K] float64 of N infos, NaN where a key is missing; None without keys.

        Args:
            infos: of the steps of N environments.
            lasts: whether each ended an episode; after the first, a warning names keys that were in none of its infos.

        Raises:
            UsageError: a value is no number.
        """
        if not self.keys:
            return None
        if self._looks:
            self._look_at(infos, any(lasts))
        return np.array([[number(key, info[key]) if key in info else np.nan for key in self.keys] for info in infos])

    def of_vector(self, ended: Mapping[str, Any], ongoing: Mapping[str, Any], last: Array) -> Array | None:
        """Return those of a vector environment, as in `of_each`.

        Args:
            ended: the infos of episodes that ended in this step.
            ongoing: those of the others.
            last: [N] bool, whether an episode ended.
        """
        if not self.keys:
            return None
        values = np.full((len(last), len(self.keys)), np.nan)
        for k, key in enumerate(self.keys):
            for infos, rows in ((ongoing, ~last), (ended, last)):
                _fill(values[:, k], infos, key, rows)
        if self._looks:
            there = {key for key, column in zip(self.keys, values.T, strict=True) if not np.isnan(column).all()}
            self._look_at([dict.fromkeys(there, 0)], bool(last.any()))
        return values

    def sent(self, info: Mapping[str, Any]) -> dict[str, float]:
        """Return what a worker process sends of an info.

        Raises:
            UsageError: a value is no number.
        """
        return {f"{SENT}{key}": number(key, info[key]) for key in self.keys if key in info}

    def _look_at(self, infos: Sequence[Mapping[str, Any]], ended: bool) -> None:
        for info in infos:
            self._found.update(key for key in self.keys if key in info)
            self._others.update(key for key in info if isinstance(key, str) and not key.startswith("rlkit/"))
        self._looks = not ended and len(self._found) < len(self.keys)
        missing = [key for key in self.keys if key not in self._found]
        if ended and missing:
            there = sorted(self._others)[:LISTED]
            has = f"; it has: {', '.join(there)}" if there else ""
            warnings.warn(
                f"log.info: {', '.join(missing)} was in no info of the first episode, and stays empty until it is{has}",
                stacklevel=2,
            )


def number(key: str, value: Any) -> float:
    """Return the value of a key of an info as a float.

    Raises:
        UsageError: it is no number.
    """
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise UsageError(
            f"log.info: {key} is {' '.join(repr(value).split())[:60]} in the info of a step; only numbers are logged"
        )
    return float(array.reshape(()))


def _fill(column: Array, infos: Mapping[str, Any], key: str, rows: Array) -> None:
    """Write the values of a key into the `rows` [N] of a column [N]."""
    name = next((name for name in (f"{SENT}{key}", key) if name in infos), None)
    if name is not None:
        known = rows & np.asarray(infos.get(f"_{name}", np.ones(len(rows), bool)))
        values = np.asarray(infos[name])
        for i in np.flatnonzero(known):
            column[i] = number(key, values[i])
