"""Recorded episodes as rows that estimators learn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlkit.core.types import Array, UsageError, require_probability
from rlkit.learners.datasets.dataset import Rows
from rlkit.learners.datasets.demonstrations.recorded import Recorded
from rlkit.learners.splits import Split


def split_by_episode(rows: Rows, episode: Array, share: float, rng: np.random.Generator) -> Split:
    """Hold out whole episodes, since the steps of one are too much alike to be scored on those of the same.

    Args:
        rows: of T steps.
        episode: [T] their episodes.
        share: of the episodes; at least one, and at least one is left to learn from; 0: none.
        rng: draws them.

    Raises:
        UsageError: `share` is no share, or there is only one episode.
    """
    if require_probability("agent.held_out", share) == 0:
        return Split(rows, None)
    numbers = np.unique(episode)
    if len(numbers) < 2:
        raise UsageError("one episode cannot be split: record more, or set agent.held_out=0")
    count = min(max(1, round(share * len(numbers))), len(numbers) - 1)
    held_out = np.isin(episode, rng.choice(numbers, count, replace=False))
    return Split(_chosen(rows, ~held_out), _chosen(rows, held_out))


def balanced(rows: Rows, repeat: Mapping[int, float], balance: float, rng: np.random.Generator) -> Rows:
    """Return rows of which those of some classes come less often or more often.

    Args:
        rows: of classes y.
        repeat: how often the rows of a class count; 0.5 leaves out half of them, 2.5 has each of them twice and half of
            them once more. Other classes count once.
        balance: beyond that, from 0 (as often as they are) to 1 (all classes equally often, and as many rows as
            before); in between, a class of n rows is as frequent as n to the power of 1 - balance.
        rng: draws the rows that are left out or come once more.

    Raises:
        UsageError: `balance` is no share, or a factor is negative or of no class.
    """
    require_probability("agent.balance", balance)
    assert rows.y is not None, "classes are what is balanced"
    classes, counts = np.unique(rows.y, return_counts=True)
    factors = _factors(classes, repeat)
    wanted = (counts * factors) ** (1 - balance)
    wanted *= (counts * factors).sum() / max(wanted.sum(), 1e-12)
    if np.array_equal(wanted, counts):
        return rows
    chosen = [_drawn(np.flatnonzero(rows.y == k), n, rng) for k, n in zip(classes, wanted, strict=True)]
    return _chosen(rows, np.sort(np.concatenate(chosen)))


def _factors(classes: Array, repeat: Mapping[int, float]) -> Array:
    for label, factor in repeat.items():
        if factor < 0 or int(label) not in classes:
            raise UsageError(
                f"agent.repeat={{{label}: {factor:g}}}: factors are at least 0, of the actions that were recorded: "
                f"{', '.join(map(str, classes.tolist()))}"
            )
    return np.array([float({int(key): value for key, value in repeat.items()}.get(int(k), 1.0)) for k in classes])


def _drawn(index: Array, wanted: float, rng: np.random.Generator) -> Array:
    """Return `wanted` of the rows at `index`: each as often as all can be, and some drawn to come once more."""
    times, more = divmod(round(wanted), len(index))
    return np.concatenate((np.tile(index, times), rng.choice(index, more, replace=False)))


def _chosen(rows: Rows, index: Any) -> Rows:
    return Rows(rows.X[index], None if rows.y is None else rows.y[index])


def require_made_for(recorded: Recorded, path: str, *, setting: str = "agent.episodes", **spaces: Any) -> None:
    """Check that episodes were recorded in an environment with these spaces; `setting` is that which named `path`.

    Raises:
        UsageError: they were not.
    """
    for name, space in spaces.items():
        if recorded.about[name] != str(space):
            raise UsageError(
                f"{setting}={path}: {name.replace('_', ' ')} is {recorded.about[name]}, the environment's is "
                f"{space}; choose the env= in which they were recorded"
            )
