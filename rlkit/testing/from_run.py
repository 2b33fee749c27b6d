"""The values that the suites pass to constructors for what only a run knows (`rlkit.core.types.FromRun`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from rlkit.config import signature

Made = TypeVar("Made")

ENVIRONMENT: Mapping[str, Any] = {
    "num_envs": 2,
    "render_mode": None,
    "vectorization": "sync",
    "filmed": False,
    "evaluation": False,
}


def with_run_values(make: Callable[..., Made], values: Mapping[str, Any]) -> Callable[..., Made]:
    """Return `make` with those of `values` bound that its signature marks as the run's."""
    marked = [name for name in signature.from_run(make, ()) if name in values]
    return partial(make, **{name: values[name] for name in marked}) if marked else make
