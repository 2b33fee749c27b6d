"""Class labels and the numbers that stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from rlkit.core.types import Array
from rlkit.learners.estimators.settings import SettingError


def encoded(y: Any, least: int = 1) -> tuple[Array, Array]:
    """Return the classes in order, and the index [n] among them of each label.

    Raises:
        ValueError: the labels are continuous, or of fewer than `least` classes.
    """
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < least:
        raise ValueError(f"y holds {len(classes)} class with positive weight; give rows of at least {least} classes")
    return classes, codes.reshape(np.shape(y))


def codes_among(y: Any, classes: Array) -> Array:
    """Return the index [n] of each label among classes that are known already.

    Raises:
        SettingError: a label is none of them.
    """
    unknown = np.setdiff1d(y, classes).tolist()
    if unknown:
        raise SettingError(f"y holds {unknown[0]!r}, which is none of the classes {classes.tolist()}")
    return np.searchsorted(classes, y)


def one_hot(codes: Array, number: int) -> Array:
    """Return [n, number] with a one at each row's code."""
    indicators = np.zeros((len(codes), number))
    indicators[np.arange(len(codes)), codes] = 1
    return indicators
