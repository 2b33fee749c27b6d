"""What estimators require of their arguments, and their random generators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.random import RandomState

from rlkit.core.types import UsageError

T = TypeVar("T")


class SettingError(UsageError, ValueError):
    """A constructor's argument that cannot be; a `ValueError` too, as scikit-learn's tools expect."""


def require(fulfilled: bool, name: str, value: Any, rule: str) -> None:
    """Check a rule of an estimator's argument.

    Raises:
        SettingError: it is not `fulfilled`; `rule` says what the argument must be.
    """
    if not fulfilled:
        raise SettingError(f"{name} is {value!r}; it must be {rule}")


def choose(name: str, value: Any, table: Mapping[str, T]) -> T:
    """Return what stands in `table` under `value`.

    Raises:
        SettingError: nothing does.
    """
    require(isinstance(value, str) and value in table, name, value, f"one of {', '.join(table)}")
    return table[value]


def generator(random_state: Any) -> np.random.Generator:
    """Return a generator for scikit-learn's `random_state`.

    An integer gives the same stream every time, None a fresh one; a `RandomState` is drawn from once, and a
    `Generator` is used itself.
    """
    if isinstance(random_state, RandomState):
        random_state = random_state.randint(2**31 - 1)
    return np.random.default_rng(random_state)
