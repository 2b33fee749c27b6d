"""The kinds of estimators, and which of them fit the task of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.types import Array, UsageError
from rlkit.learners.datasets import Dataset
from rlkit.learners.datasets.dataset import Rows

KINDS = {
    "classification": ("classifier", "clusterer"),
    "regression": ("regressor", "clusterer"),
    "clustering": ("clusterer",),
    "recommendation": ("recommender",),
    "language": ("language_model",),
}
"""The kinds of estimators for each task; the first is the usual one."""


def kind_of(learner: Any) -> str:
    """Return what a learner is: a key of `KINDS`' values, or transformer for one that predicts nothing."""
    from sklearn.base import is_classifier, is_clusterer, is_regressor

    if callable(getattr(type(learner), "recommend", None)):
        return "recommender"
    if callable(getattr(type(learner), "generate", None)):
        return "language_model"
    if is_classifier(learner):
        return "classifier"
    if is_regressor(learner):
        return "regressor"
    return "clusterer" if is_clusterer(learner) and callable(getattr(learner, "predict", None)) else "transformer"


def require_fit(pipeline: Any, data: Dataset) -> str:
    """Return the kind of `pipeline`, if it fits the data's task and columns.

    Raises:
        UsageError: it is not.
    """
    name, kind = type(pipeline[-1]).__name__, kind_of(pipeline[-1])
    wanted = KINDS[data.task]
    if kind not in wanted:
        raise UsageError(
            f"{name} is a {kind}, but the data is for {data.task}, which takes a {' or '.join(wanted)}; choose another "
            "learner= (rlkit list learner)"
        )
    if kind == "language_model":
        if len(pipeline) > 1:
            raise UsageError("prepare= changes columns of features, and a language model reads texts; leave it out")
        return kind
    if kind == "recommender" and len(pipeline) > 1:
        raise UsageError("prepare= changes columns of features, and ratings have none; leave it out")
    if len(pipeline) == 1:
        _require_numbers(data, name, pipeline)
    return kind


def _require_numbers(data: Dataset, name: str, pipeline: Any) -> None:
    from sklearn.utils import get_tags

    if data.texts:
        raise UsageError(f"the rows are texts, which {name} does not take; prepare=words counts their words")
    if data.task == "recommendation":
        return
    X = data.rows.X
    if X.dtype == object:
        raise UsageError(
            f"{_some(data, text_columns(X))} of text, which {name} does not take; prepare=table encodes them"
        )
    gaps = np.flatnonzero(np.isnan(X).any(0))
    if len(gaps) and not get_tags(pipeline).input_tags.allow_nan:
        raise UsageError(f"{_some(data, gaps)} with gaps, which {name} does not take; prepare=impute fills them")


def text_columns(X: Array) -> Array:
    """Return the columns [k] int64 of X [n, d] object that hold text."""
    return np.flatnonzero([any(isinstance(cell, str) for cell in column) for column in X.T])


def _some(data: Dataset, columns: Array) -> str:
    names = [data.features[column] if data.features else str(column) for column in columns[:3]]
    more = f" and {len(columns) - 3} more" if len(columns) > 3 else ""
    return f"there are columns ({', '.join(names)}{more})"


def taken(rows: Rows, index: Array) -> Rows:
    """Return the rows `index` [B] int64."""
    return Rows(rows.X[index], None if rows.y is None else rows.y[index])
