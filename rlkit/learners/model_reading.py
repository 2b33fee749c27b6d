"""Saved models read again: each kind of plain data becomes what it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from rlkit.config.trust import Trust
from rlkit.core.types import State
from rlkit.learners.model_names import KIND, SavingError, named_callable, named_estimator, named_record
from rlkit.learners.model_shapes import check_shapes
from rlkit.learners.model_trees import check_trees, make_tree

TYPES: Mapping[str, type] = {kind.__name__: kind for kind in (bool, int, float, str, object, bytes)}


class Reader:
    """Reads a state that `rlkit.learners.persistence.to_state` made."""

    def __init__(self, trust: Trust):
        """Allow classes of the packages in `trust`, beside those that a model may always name."""
        self._trust = trust
        self._readers: Mapping[str, Callable[[State], Any]] = {
            "estimator": self._estimator,
            "mapping": self._sequence(dict),
            "floats": lambda state: state["value"].tolist(),
            "number": lambda state: np.dtype(state["dtype"]).type(state["value"]),
            "set": self._sequence(set),
            "frozenset": self._sequence(frozenset),
            "slice": lambda state: slice(*state["value"]),
            "dtype": lambda state: np.dtype(state["value"]),
            "type": _type,
            "ufunc": _ufunc,
            "callable": lambda state: named_callable(state["value"], self._trust),
            "partial": self._partial,
            "objects": self._objects,
            "sparse": _sparse,
            "record": self._record,
            "tree": lambda state: make_tree(*map(self.read, state["value"])),
        }

    def read(self, value: Any) -> Any:
        """Return what plain data stands for.

        Raises:
            SavingError: it names what it may not name, or is of no known kind.
        """
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.read, value))
        if not isinstance(value, dict):
            return value
        if KIND not in value:
            return {key: self.read(inner) for key, inner in value.items()}
        reader = self._readers.get(value[KIND])
        if reader is None:
            raise SavingError(
                f"the model holds a {value[KIND]!r}, which this version does not know: install a newer rlkit"
            )
        return reader(value)

    def _estimator(self, state: State) -> Any:
        kind = named_estimator(state["class"], self._trust)
        if not isinstance(state["params"].get("memory"), (int, type(None))):
            raise SavingError("the model names a folder of pickles (memory), which is never read")
        made = kind(**{name: self.read(inner) for name, inner in state["params"].items()})
        vars(made).update({str(name): self.read(inner) for name, inner in state["fitted"].items()})
        check_trees(made)
        check_shapes(made)
        return made

    def _objects(self, state: State) -> Any:
        array = np.empty(len(state["value"]), dtype=object)
        array[:] = [self.read(item) for item in state["value"]]
        return array.reshape(state["shape"])

    def _record(self, state: State) -> Any:
        kind = named_record(state["class"], self._trust)
        return kind(**{name: self.read(inner) for name, inner in state["value"].items()})

    def _partial(self, state: State) -> Any:
        arguments, keywords = map(self.read, state["value"])
        return partial(named_callable(state["callable"], self._trust), *arguments, **keywords)

    def _sequence(self, make: Callable[[Sequence[Any]], Any]) -> Callable[[State], Any]:
        return lambda state: make([self.read(item) for item in state["value"]])


def _sparse(state: State) -> Any:
    from scipy import sparse

    parts, (form, _, kind) = state["value"], state["format"].partition("_")
    if form not in ("bsr", "coo", "csc", "csr", "dia", "dok", "lil") or kind not in ("array", "matrix"):
        raise SavingError(f"the model holds a {state['format']}, which is no sparse matrix")
    made = sparse.csr_array if kind == "array" else sparse.csr_matrix
    rows = made((parts["data"], parts["indices"], parts["indptr"]), shape=tuple(state["shape"]))
    rows.check_format(full_check=True)
    return rows.asformat(form)


def _type(state: State) -> type:
    name = state["value"]
    found = TYPES.get(name) or vars(np).get(name)
    if not isinstance(found, type) or not (name in TYPES or issubclass(found, np.generic)):
        raise SavingError(f"the model names the type {name}, which is none of numbers")
    return found


def _ufunc(state: State) -> Any:
    found = vars(np).get(state["value"])
    if not isinstance(found, np.ufunc):
        raise SavingError(f"the model names {state['value']}, which is no function of NumPy on arrays")
    return found
