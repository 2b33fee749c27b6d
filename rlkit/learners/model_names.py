"""The classes and functions that a saved model may name; nothing else is imported when it is read."""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from rlkit.config.trust import PACKAGE, Trust, is_trusted, plugin_packages
from rlkit.core.types import RunError, State

KIND = "__kind__"

FUNCTIONS = frozenset(
    {
        "rlkit.learners.estimators.backprop:uniform",
        "rlkit.learners.transformers:brightness",
        "rlkit.learners.transformers:category_columns",
        "rlkit.learners.transformers:number_columns",
    }
)
RECORDS = frozenset({"rlkit.learners.estimators.tree_growing:FittedTree"})
ESTIMATORS = re.compile(r"(sklearn|rlkit\.learners)(\.(?!tests?\b|conftest\b)\w+)+:\w+")
MODULES = re.compile(r"(torch\.optim|torch\.nn\.modules|rlkit\.networks)(\.\w+)*:\w+")
"""Where estimators, and modules and optimizers of torch, may come from without `Trust`."""

NAME = re.compile(rf"{PACKAGE.pattern}:[^\W\d]\w*")


class SavingError(RunError):
    """An estimator that cannot be saved as plain data, or read: the message names the part that is not."""


def name_of(value: Any) -> str:
    """Return the name of a class or function as a model has it, ``module:Name``."""
    return f"{value.__module__}:{value.__qualname__}"


def named_estimator(name: Any, trust: Trust) -> Any:
    """Return the class of an estimator.

    Raises:
        SavingError: a model may not name it, it is not there, or it is no estimator.
    """
    from sklearn.base import BaseEstimator

    found = _located(name, trust, bool(ESTIMATORS.fullmatch(str(name))), "estimator")
    return _fitting(found, name, isinstance(found, type) and issubclass(found, BaseEstimator), "estimator")


def named_record(name: Any, trust: Trust) -> Any:
    """Return the class of a record; the errors are those of `named_estimator`."""
    found = _located(name, trust, name in RECORDS, "record")
    return _fitting(found, name, isinstance(found, type) and is_record(found), "record")


def named_callable(name: Any, trust: Trust) -> Any:
    """Return a function of rlkit, or a module or optimizer of torch; the errors are those of `named_estimator`."""
    known = name in FUNCTIONS or bool(MODULES.fullmatch(str(name)))
    what = "function of a model, module or optimizer"
    found = _located(name, trust, known, what)
    return _fitting(found, name, may_be_called(found), what)


def may_be_called(value: Any) -> bool:
    """Return whether a model may hold a callable: one of `FUNCTIONS`, or a module or optimizer, whoever made it."""
    if isinstance(value, FunctionType):
        return name_of(value) in FUNCTIONS
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, type) and issubclass(value, (torch.nn.Module, torch.optim.Optimizer))


def is_record(kind: type) -> bool:
    """Return whether a class is a dataclass or NamedTuple."""
    return dataclasses.is_dataclass(kind) or (issubclass(kind, tuple) and hasattr(kind, "_fields"))


def packages_of(state: Any) -> tuple[str, ...]:
    """Return the packages of other people that a state of one's own making names."""
    roots = {name.partition(":")[0].partition(".")[0] for name in names_in(state)}
    return tuple(sorted(roots - {"rlkit", "sklearn", "torch"}))


def names_in(state: Any) -> Iterator[str]:
    """Yield what a state names."""
    if isinstance(state, Mapping):
        kind = state.get(KIND)
        if kind in ("estimator", "record", "partial"):
            yield str(state.get("callable" if kind == "partial" else "class"))
        if kind == "callable":
            yield str(state.get("value"))
    items = state.values() if isinstance(state, Mapping) else state if isinstance(state, (list, tuple)) else ()
    for value in items:
        yield from names_in(value)


def trusted_names(state: State, trust: Trust) -> dict[str, str]:
    """Return what a state names beyond rlkit, scikit-learn and torch, each with the reason that it may."""
    names = (name for name in names_in(state) if NAME.fullmatch(name))
    owners = ((name, package) for name in names for package in trust if is_trusted(name.partition(":")[0], [package]))
    plugins = (name for name in names_in(state) if is_trusted(name.partition(":")[0], plugin_packages()))
    return {**dict.fromkeys(plugins, "installed plugin"), **{name: f"trust={package}" for name, package in owners}}


def _located(name: Any, trust: Trust, known: bool, what: str) -> Any:
    module, _, qualname = str(name).partition(":")
    if not NAME.fullmatch(str(name)) or not (known or is_trusted(module, [*trust, *plugin_packages()])):
        owners = "rlkit or an installed plugin"
        raise SavingError(f"the model names {name}, which is no {what} of {owners}{_remedy(module)}")
    try:
        return getattr(importlib.import_module(module), qualname)
    except (ImportError, AttributeError, ValueError) as error:
        raise SavingError(f"the model needs {name}, which cannot be imported: {error}; install its package") from error


def _fitting(found: Any, name: str, fits: bool, what: str) -> Any:
    # A name that a module only imported belongs to somebody else.
    if not fits or name_of(found) != name:
        raise SavingError(f"the model names {name}, which is no {what}")
    return found


def _remedy(module: str) -> str:
    root = module.partition(".")[0]
    if not PACKAGE.fullmatch(root) or root in sys.stdlib_module_names or root in ("rlkit", "torch", "sklearn"):
        return ": no file may name it"
    return f"; if you know its package: trust={root}"
