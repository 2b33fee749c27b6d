"""Recorded episodes as a data set: observations and the actions taken."""

from __future__ import annotations

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.types import UsageError
from rlkit.learners.datasets.dataset import Dataset, Rows
from rlkit.learners.datasets.demonstrations import read_episodes
from rlkit.learners.datasets.demonstrations.formats import PREFIX

TARGETS = ("intended", "action")


def minari(id: str, target: str) -> Dataset:
    """Return the steps of a Minari data set that lies on this machine; nothing is downloaded.

    Args:
        id: as ``minari list local`` shows it, such as ``D4RL/door/human-v2``.
        target: as in `recorded`, and so are errors.
    """
    return recorded(f"{PREFIX}{id}", target)


def recorded(path: str, target: str) -> Dataset:
    """Return the steps of recorded episodes: observations, flat, and actions.

    Args:
        path: the folder that ``rlkit play record=true`` wrote, or that of a Minari data set, or ``minari:<id>``.
        target: ``intended``, what the player meant to do, or ``action``, what was done.

    Raises:
        UsageError: the folder or the target is not there, or actions are several numbers.
        RunError: a part of the folder is damaged.
    """
    if target not in TARGETS:
        raise UsageError(f"there is no data.target={target}{nearest(target, TARGETS)}; there is: {', '.join(TARGETS)}")
    found = read_episodes(path)
    y = found.intended if target == "intended" else found.action
    if y[0].size != 1:
        raise UsageError(
            f"data.path={path}: an action is {y[0].size} numbers, a target is one; agent=cloning learns it"
        )
    task = "classification" if y.dtype.kind in "iu" else "regression"
    shape = found.observation.shape[1:]
    images = found.observation.dtype == np.uint8 and len(shape) in (2, 3)
    return Dataset(
        task,
        Rows(found.observation.reshape(len(y), -1), y.reshape(-1)),
        () if images else tuple(f"x{i}" for i in range(int(np.prod(shape)))),
        target,
        image_shape=(shape if len(shape) == 3 else (1, *shape)) if images else None,
    )
