"""What a saved model knows of its data: which columns, of which kind, which classes, which items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rlkit.core.types import a_kind
from rlkit.learners.datasets import Dataset
from rlkit.learners.datasets.dataset import TASKS
from rlkit.learners.datasets.ratings import SCALES
from rlkit.learners.kinds import text_columns
from rlkit.learners.model_names import SavingError

LARGEST_IMAGE = 100_000_000
"""Numbers in an image that a model may ask for."""


def about(data: Dataset) -> dict[str, Any]:
    """Return what a model needs to know of its data to predict new rows."""
    X = data.rows.X
    ratings = None
    if data.task == "recommendation":
        ratings = {"items": data.extra["items"], "names": list(data.items), "scale": data.extra["scale"]}
    return {
        "task": data.task,
        "texts": data.texts,
        "features": list(data.features),
        "text_features": _text_features(data),
        "columns": None if data.texts else int(X.shape[1]),
        "target": data.target,
        "classes": list(data.classes),
        "image_shape": None if data.image_shape is None else list(data.image_shape),
        "missing": list(data.missing),
        "ratings": ratings,
    }


def _text_features(data: Dataset) -> list[str]:
    """Return the columns of a table that are text: those of a new file are of the same kinds, whatever is in them."""
    X = data.rows.X
    has_text = bool(data.features) and isinstance(X, np.ndarray) and X.dtype == object
    return [data.features[column] for column in text_columns(X)] if has_text else []


def checked_about(state: Any) -> Mapping[str, Any]:
    """Return what `about` made, read from a file of somebody else.

    Raises:
        SavingError: it is something else.
    """
    if not isinstance(state, Mapping):
        raise SavingError(f"the model's description of its data is {a_kind(state)}; fit it again")
    for name, is_right in RULES.items():
        if name not in state or not is_right(state[name]):
            shown = " ".join(repr(state[name]).split())[:60] if name in state else "nothing"
            raise SavingError(f"the model's description of its data has {shown} as {name}; fit it again")
    if (state["task"] == "recommendation") != (state["ratings"] is not None):
        raise SavingError("the model's description of its data does not fit its task; fit it again")
    return state


def _is_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_shape(value: Any) -> bool:
    if value is None:
        return True
    whole = isinstance(value, (list, tuple)) and all(type(item) is int and item > 0 for item in value)
    return whole and len(value) == 3 and value[0] in (1, 3) and value[0] * value[1] * value[2] <= LARGEST_IMAGE


def _is_ratings(value: Any) -> bool:
    if value is None:
        return True
    if not isinstance(value, Mapping) or not _is_texts(value.get("names")) or value.get("scale") not in SCALES:
        return False
    items: Any = value.get("items")
    has_ids = isinstance(items, np.ndarray) and items.dtype.kind in "iu" and items.shape == (len(value["names"]),)
    return has_ids and len(items) > 0 and bool(np.all(items[1:] > items[:-1]))


RULES: Mapping[str, Callable[[Any], bool]] = {
    "task": lambda value: isinstance(value, str) and value in TASKS,
    "texts": lambda value: isinstance(value, bool),
    "features": _is_texts,
    "text_features": _is_texts,
    "columns": lambda value: value is None or (type(value) is int and value >= 0),
    "target": lambda value: isinstance(value, str),
    "classes": _is_texts,
    "image_shape": _is_shape,
    "missing": _is_texts,
    "ratings": _is_ratings,
}
