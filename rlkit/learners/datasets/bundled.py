"""Data sets that come with scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rlkit.config.messages import nearest
from rlkit.core.types import UsageError
from rlkit.learners.datasets.dataset import Dataset, Rows
from rlkit.learners.datasets.tables import chosen

NAMES = ("iris", "digits", "diabetes", "wine", "breast_cancer")


def load(name: str, features: Sequence[str] | None = None) -> Dataset:
    """Return one of `NAMES`: iris 150x4, digits 1797x64 (0..16), diabetes 442x10, wine 178x13, breast_cancer 569x30.

    Args:
        name: which.
        features: the columns to learn from; None: all.

    Raises:
        UsageError: there is no such data set or column.
    """
    if name not in NAMES:
        raise UsageError(f"there is no data.name={name}{nearest(name, NAMES)}")
    from sklearn import datasets

    loader: Callable[[], Mapping[str, Any]] = getattr(datasets, f"load_{name}")
    found = loader()
    # Names without blanks can be typed.
    names = tuple(_typed(str(feature)) for feature in found["feature_names"])
    columns = chosen(names, features)
    X = np.asarray(found["data"], np.float64)[:, [names.index(column) for column in columns]]
    if name == "diabetes":
        return Dataset("regression", Rows(X, np.asarray(found["target"])), columns, "progression")
    classes = tuple(str(label) for label in found["target_names"])
    shape = (1, 8, 8) if name == "digits" and features is None else None
    return Dataset("classification", Rows(X, np.asarray(found["target"])), columns, "class", classes, shape)


def _typed(name: str) -> str:
    return name.replace(" (cm)", "").replace(" ", "_")
