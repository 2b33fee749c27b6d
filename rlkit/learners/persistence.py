"""Fitted estimators as plain data: the class, the constructor's parameters, and what was learned.

Nothing is pickled. A state holds arrays, numbers, text and containers of them, sparse matrices, nested estimators, and
records (NamedTuples and dataclasses) of these, so that a model from a stranger cannot run code: only estimators and
records are built when it is read. What an estimator keeps for itself (a leading underscore) and is no plain data is
left out; `proven` shows that it was not needed.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from rlkit.core.types import RunError, State

KIND = "__kind__"
TYPES: Mapping[str, type] = {kind.__name__: kind for kind in (bool, int, float, str, object, bytes)}
LONG = 50
"""Lists of so many floats, such as the costs of epochs, become arrays."""


class SavingError(RunError):
    """An estimator that cannot be saved as plain data: the message names the part that is not."""


def to_state(estimator: Any) -> State:
    """Return a fitted estimator as plain data, which `rlkit.core.checkpoint.Store` writes.

    Raises:
        SavingError: something that it has learned is no plain data.
    """
    return _estimator(estimator, type(estimator).__name__)


def from_state(state: State) -> Any:
    """Return the estimator that `to_state` made plain.

    Raises:
        SavingError: it names a class that is not there, or is no estimator.
    """
    return _read(state)


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
        same = np.array_equal(predict(from_state(state)), predict(estimator))
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
        "class": _name_of(type(estimator)),
        "params": {name: _parameter(name, value, path) for name, value in params.items()},
        "fitted": {name: _plain(value, f"{path}.{name}") for name, value in kept.items()},
    }


def _parameter(name: str, value: Any, path: str) -> Any:
    # A generator is needed only to fit again; each member of an ensemble has one.
    return None if name == "random_state" and not _is_plain(value) else _plain(value, f"{path}.{name}")


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
    if isinstance(value, FunctionType) and _may_be_called(value) and "<" not in value.__qualname__:
        return _tagged("callable", _name_of(value))
    if isinstance(value, partial):
        return _tagged("partial", _plain([list(value.args), value.keywords], path), callable=_name_of(value.func))
    if _is_record(type(value)):
        return _record(value, path)
    if _is_tree(value):
        _, arguments, state = value.__reduce__()
        return _tagged("tree", _plain([*arguments, state], path))
    raise SavingError(f"{path} is a {type(value).__name__}, which is no plain data: the model cannot be saved")


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
    if _may_be_called(value):
        return _tagged("callable", _name_of(value))
    raise SavingError(f"{path} is the class {value.__name__}, which is no plain data: the model cannot be saved")


def _is_record(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


def _record(value: Any, path: str) -> State:
    named = hasattr(value, "_asdict")
    names = value._fields if named else [field.name for field in dataclasses.fields(value) if field.init]
    parts = {name: _plain(getattr(value, name), f"{path}.{name}") for name in names}
    return _tagged("record", parts, **{"class": _name_of(type(value))})


def _may_be_called(value: Any) -> bool:
    """Return whether a model may name a callable: one of rlkit, or a module or optimizer of torch, whoever made it."""
    if value.__module__.partition(".")[0] == "rlkit":
        return True
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, type) and issubclass(value, (torch.nn.Module, torch.optim.Optimizer))


def _name_of(value: Any) -> str:
    return f"{value.__module__}:{value.__qualname__}"


def _located(name: str) -> Any:
    module, _, qualname = name.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise SavingError(f"the model needs {name}, which cannot be imported: {error}; install its package") from error
    return found


def _read(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_read, value))
    if not isinstance(value, dict):
        return value
    if KIND not in value:
        return {key: _read(inner) for key, inner in value.items()}
    if value[KIND] == "estimator":
        return _read_estimator(value)
    reader = READERS.get(value[KIND])
    if reader is None:
        raise SavingError(f"the model holds a {value[KIND]!r}, which this version does not know: install a newer rlkit")
    return reader(value)


def _read_estimator(state: State) -> Any:
    from sklearn.base import BaseEstimator

    kind = _located(state["class"])
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise SavingError(f"the model names {state['class']}, which is no estimator; it is not one of rlkit's")
    made = kind(**{name: _read(inner) for name, inner in state["params"].items()})
    vars(made).update({name: _read(inner) for name, inner in state["fitted"].items()})
    return made


def _read_objects(state: State) -> Any:
    array = np.empty(len(state["value"]), dtype=object)
    array[:] = [_read(item) for item in state["value"]]
    return array.reshape(state["shape"])


def _read_sparse(state: State) -> Any:
    from scipy import sparse

    parts, (form, _, kind) = state["value"], state["format"].partition("_")
    if form not in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil") or kind not in ("array", "matrix"):
        raise SavingError(f"the model holds a {state['format']}, which is no sparse matrix")
    made = sparse.csr_array if kind == "array" else sparse.csr_matrix
    rows = made((parts["data"], parts["indices"], parts["indptr"]), shape=tuple(state["shape"]))
    return rows.asformat(form)


def _read_type(state: State) -> type:
    name = state["value"]
    found = TYPES.get(name) or getattr(np, name, None)
    if not isinstance(found, type):
        raise SavingError(f"the model names the type {name}, which is none of numbers")
    return found


def _read_record(state: State) -> Any:
    kind = _located(state["class"])
    if not (isinstance(kind, type) and _is_record(kind)):
        raise SavingError(f"the model names {state['class']}, which is no record; it is not one of rlkit's")
    return kind(**{name: _read(inner) for name, inner in state["value"].items()})


def _read_callable(state: State) -> Any:
    return _callable(state["value"])


def _callable(name: str) -> Any:
    found = _located(name)
    if not _may_be_called(found):
        raise SavingError(f"the model names {name}, which is neither rlkit's nor a module or optimizer of torch")
    return found


def _read_partial(state: State) -> Any:
    arguments, keywords = map(_read, state["value"])
    return partial(_callable(state["callable"]), *arguments, **keywords)


def _read_ufunc(state: State) -> Any:
    found = getattr(np, state["value"], None)
    if not isinstance(found, np.ufunc):
        raise SavingError(f"the model names {state['value']}, which is no function of NumPy on arrays")
    return found


def _read_tree(state: State) -> Any:
    from sklearn.tree._tree import Tree

    features, classes, outputs, inner = map(_read, state["value"])
    tree = Tree(features, classes, outputs)
    tree.__setstate__(inner)
    return tree


def _read_sequence(make: Callable[[Sequence[Any]], Any]) -> Callable[[State], Any]:
    return lambda state: make([_read(item) for item in state["value"]])


READERS: Mapping[str, Callable[[State], Any]] = {
    "mapping": _read_sequence(dict),
    "floats": lambda state: state["value"].tolist(),
    "number": lambda state: np.dtype(state["dtype"]).type(state["value"]),
    "set": _read_sequence(set),
    "frozenset": _read_sequence(frozenset),
    "slice": lambda state: slice(*state["value"]),
    "dtype": lambda state: np.dtype(state["value"]),
    "type": _read_type,
    "ufunc": _read_ufunc,
    "callable": _read_callable,
    "partial": _read_partial,
    "objects": _read_objects,
    "sparse": _read_sparse,
    "record": _read_record,
    "tree": _read_tree,
}
