"""Transformers that go before a learner, fitted on training rows alone; scikit-learn's, put together for tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.kinds import text_columns


def table(ordinal: bool = False) -> Any:
    """Return a transformer of tables: medians fill gaps in numbers, and categories become numbers.

    A gap in a column of text is a category of its own; one that was not there while fitting counts as none.

    Args:
        ordinal: a column of the categories' numbers, −1 for unknown ones; else a column of 0 and 1 for each category.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

    if ordinal:
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    else:
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    numbers = SimpleImputer(strategy="median", keep_empty_features=True)
    return ColumnTransformer([("numbers", numbers, number_columns), ("categories", encoder, category_columns)])


def category_columns(X: Any) -> list[int]:
    """Return the columns of a table that hold text."""
    array = np.asarray(X)
    return text_columns(array).tolist() if array.dtype == object else []


def number_columns(X: Any) -> list[int]:
    """Return the columns of a table that hold numbers."""
    return sorted(set(range(np.shape(X)[1])) - set(category_columns(X)))


def pixels() -> Any:
    """Return a transformer of pixels from 0..255 to 0..1."""
    from sklearn.preprocessing import FunctionTransformer

    return FunctionTransformer(brightness, feature_names_out="one-to-one")


def brightness(X: Array) -> Array:
    """Return pixels [...] from 0..255 as float32 from 0 to 1."""
    return np.asarray(X, np.float32) / np.float32(255)
