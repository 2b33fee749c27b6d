"""What training in epochs shares: batches, rows held out, when to stop, and reports of progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from rlkit.core.types import Array

OnEpoch = Callable[[int, int, Mapping[str, float]], None]
"""Is called after each epoch with its number, from 1; how many there are at most; and its metrics."""


def report_epoch(on_epoch: OnEpoch | None, epoch: int, epochs: int, **histories: Sequence[float]) -> None:
    """Call `on_epoch` with the newest metric of each history; one that is empty is left out."""
    if on_epoch is not None:
        on_epoch(epoch, epochs, {name: history[-1] for name, history in histories.items() if history})


def batches(rows: int, size: int, rng: np.random.Generator, least: int = 1) -> Iterator[Array]:
    """Yield the rows [B] int64 of each batch: all in random order, `size` at a time, and what is left at the end.

    What is left joins the batch before it where it is fewer than `least`.
    """
    order = rng.permutation(rows)
    ends = [*range(size, rows, size), rows]
    if len(ends) > 1 and rows - ends[-2] < least:
        del ends[-2]
    yield from np.split(order, ends[:-1])


def held_out(rows: int, share: float, strata: Array | None, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the rows to learn from and the `share` of them that is held out.

    Where there are rows enough of all `strata` [rows], they are held out in equal shares.

    Raises:
        ValueError: a share that leaves nothing on one side.
    """
    seed = int(rng.integers(2**31))
    if strata is not None:
        counts = np.unique(strata, return_counts=True)[1]
        if counts.min() < 2 or min(share, 1 - share) * rows < len(counts):
            strata = None
    kept, left = train_test_split(np.arange(rows), test_size=share, random_state=seed, stratify=strata)
    return np.sort(kept), np.sort(left)


class EarlyStopping:
    """Keeps the parameters with the lowest validation cost, and stops when it does not fall any more.

    Attributes:
        best: what was kept, or None before the first epoch.
    """

    def __init__(self, patience: int, tol: float):
        """Stop after `patience` epochs in a row without a cost lower than the best one by more than `tol`."""
        self.best: Any = None
        self._patience = patience
        self._tol = tol
        self._lowest = inf
        self._waited = 0
        self._kept = inf

    def stops(self, cost: float, parameters: Any) -> bool:
        """Add an epoch's validation cost and a copy of its parameters; return whether training should stop."""
        if cost < self._kept or self.best is None:
            self._kept, self.best = cost, parameters
        if cost < self._lowest - self._tol:
            self._lowest, self._waited = cost, 0
        else:
            self._waited += 1
        return self._waited >= self._patience
