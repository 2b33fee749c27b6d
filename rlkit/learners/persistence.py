"""Fitted estimators as plain data: the class, the constructor's parameters, and what was learned.

Nothing is pickled. A state holds arrays, numbers, text and containers of them, sparse matrices, nested estimators, and
records (NamedTuples and dataclasses) of these, so that a model from a stranger cannot run code: reading it imports only
what `rlkit.learners.model_names` allows. What an estimator keeps for itself (a leading underscore) and is no plain data
is left out; `proven` shows that it was not needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from rlkit.config.trust import Trust, say_once
from rlkit.core.types import State, a_kind
from rlkit.learners import model_names
from rlkit.learners.model_names import KIND, SavingError, is_record, may_be_called, name_of, trusted_names
from rlkit.learners.model_reading import TYPES, Reader

LONG = 50
"""Lists of so many floats, such as the costs of epochs, become arrays."""


def to_state(estimator: Any) -> State:
    """Return a fitted estimator as plain data, which `rlkit.core.checkpoint.Store` writes.

    Raises:
        SavingError: something that it has learned is no plain data.
    """
    return _estimator(estimator, type(estimator).__name__)


def from_state(state: State, trust: Trust = (), source: Path | None = None) -> Any:
    """Return the estimator that `to_state` made plain.

    Args:
        state: plain data.
        trust: packages whose estimators, records and modules it may name, beside those of rlkit, scikit-learn, torch
            and installed plugins.
        source: a file of somebody else, to which a line is printed for each class of other packages; None: no lines.

    Raises:
        SavingError: it names what it may not name or what is not there, or is damaged.
    """
    if source is not None:
        for name, owner in trusted_names(state, trust).items():
            say_once(f"{source} names {name} ({owner})")
    try:
        return Reader(trust).read(state)
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError, MemoryError, OverflowError) as error:
        raise SavingError(f"the model cannot be read: {type(error).__name__}: {error}") from error


def packages_of(estimator: Any) -> tuple[str, ...]:
    """Return the packages of other people that an estimator's class and parameters come from.

    Its configuration was allowed to name them, so a state of its kind may, too.
    """
    try:
        return model_names.packages_of(to_state(estimator))
    except SavingError:
        return ()


def proven(estimator: Any, state: State, predict: Callable[[Any], Any]) -> State:
    """Return `state` if an estimator made from it predicts as `estimator` does.

    Args:
        estimator: the one that was saved.
        state: what `to_state` made of it.
        predict: predicts a few rows with an estimator, whichever way it predicts.

    Raises:
        SavingError: it does not, so something that is needed is no plain data.
    """
    name = type(estimator).__name__
    try:
        same = np.array_equal(predict(from_state(state, model_names.packages_of(state))), predict(estimator))
    except Exception as error:  # whatever an estimator raises that lacks a part of itself
        left_out = ", ".join(_left_out(estimator)) or "nothing"
        raise SavingError(
            f"{name} read again cannot predict ({error}); left out as no plain data: {left_out}"
        ) from error
    if not same:
        raise SavingError(f"{name} read again predicts differently; left out: {', '.join(_left_out(estimator))}")
    return state


def _left_out(estimator: Any) -> list[str]:
    return [name for name, value in vars(estimator).items() if name.startswith("_") and not _is_plain(value)]


def _is_plain(value: Any) -> bool:
    try:
        _plain(value, "")
    except SavingError:
        return False
    return True


def _estimator(estimator: Any, path: str) -> State:
    params = estimator.get_params(deep=False)
    fitted = {name: value for name, value in vars(estimator).items() if name not in params}
    kept = {name: value for name, value in fitted.items() if not name.startswith("_") or _is_plain(value)}
    return {
        KIND: "estimator",
        "class": name_of(type(estimator)),
        "params": {name: _parameter(name, value, path) for name, value in params.items()},
        "fitted": {name: _plain(value, f"{path}.{name}") for name, value in kept.items()},
    }


def _parameter(name: str, value: Any, path: str) -> Any:
    # They are needed only to fit again: each member of an ensemble has a generator, and a pipeline may have a cache.
    is_left_out = (name == "random_state" and not _is_plain(value)) or (name == "memory" and not isinstance(value, int))
    return None if is_left_out else _plain(value, f"{path}.{name}")


def _plain(value: Any, path: str) -> Any:
    """Return `value` as plain data; what is more than that becomes a dict with a `KIND`."""
    from scipy import sparse
    from sklearn.base import BaseEstimator

    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray):
        return _array(value, path)
    if isinstance(value, BaseEstimator) and not isinstance(value, type):
        return _estimator(value, type(value).__name__)
    if isinstance(value, Mapping):
        items = [[_plain(key, path), _plain(inner, f"{path}[{key!r}]")] for key, inner in value.items()]
        return dict(items) if all(type(key) is str and key != KIND for key in value) else _tagged("mapping", items)
    if sparse.issparse(value):
        return _sparse(value)
    if type(value) is list and len(value) >= LONG and {*map(type, value)} == {float}:
        return _tagged("floats", np.array(value))
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_plain(inner, f"{path}[{i}]") for i, inner in enumerate(value))
    return _special(value, path)


def _special(value: Any, path: str) -> Any:
    if isinstance(value, np.generic):
        return _tagged("number", value.item(), dtype=value.dtype.str)
    if isinstance(value, (set, frozenset)):
        return _tagged(type(value).__name__, sorted(_plain(inner, path) for inner in value))
    if isinstance(value, slice):
        return _tagged("slice", [value.start, value.stop, value.step])
    if isinstance(value, np.dtype):
        return _tagged("dtype", value.str)
    if isinstance(value, type):
        return _type(value, path)
    if isinstance(value, np.ufunc):
        return _tagged("ufunc", value.__name__)
    if isinstance(value, FunctionType) and may_be_called(value):
        return _tagged("callable", name_of(value))
    if isinstance(value, partial) and may_be_called(value.func):
        return _tagged("partial", _plain([list(value.args), value.keywords], path), callable=name_of(value.func))
    if is_record(type(value)):
        return _record(value, path)
    if _is_tree(value):
        _, arguments, state = value.__reduce__()
        return _tagged("tree", _plain([*arguments, state], path))
    raise SavingError(f"{path} is {a_kind(value)}, which is no plain data: the model cannot be saved")


def _is_tree(value: Any) -> bool:
    from sklearn.tree._tree import Tree

    return type(value) is Tree


def _tagged(kind: str, value: Any, **more: Any) -> State:
    return {KIND: kind, "value": value, **more}


def _array(array: Any, path: str) -> Any:
    if array.dtype.names:
        return _without_padding(array)
    if not array.dtype.hasobject:
        return array
    items = [_plain(item, f"{path}[{i}]") for i, item in enumerate(array.ravel().tolist())]
    return _tagged("objects", items, shape=list(array.shape))


def _without_padding(array: Any) -> Any:
    """Return a structured array, such as a tree's nodes, whose bytes between fields are zeros: they hold anything."""
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    return clean


def _sparse(matrix: Any) -> State:
    # The compressed formats by rows keep everything; explicit zeros stay, which are not missing.
    rows = matrix.tocsr()
    parts = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr}
    return _tagged("sparse", parts, shape=list(matrix.shape), format=type(matrix).__name__)


def _type(value: type, path: str) -> State:
    if issubclass(value, np.generic):
        return _tagged("type", value.__name__)
    if TYPES.get(value.__name__) is value:
        return _tagged("type", value.__name__)
    if may_be_called(value):
        return _tagged("callable", name_of(value))
    raise SavingError(f"{path} is the class {value.__name__}, which is no plain data: the model cannot be saved")


def _record(value: Any, path: str) -> State:
    named = hasattr(value, "_asdict")
    names = value._fields if named else [field.name for field in dataclasses.fields(value) if field.init]
    parts = {name: _plain(getattr(value, name), f"{path}.{name}") for name in names}
    return _tagged("record", parts, **{"class": name_of(type(value))})
