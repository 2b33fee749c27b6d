"""Whether a stored state is made of the same kinds of values as the state of a new object of its class."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from rlkit.core.types import Array, a_kind

TEXT = "US"


def require_alike(found: Any, own: Any, path: str, *, learned: bool = False) -> None:
    """Check a stored state against `own`, the state of a new object, before anything of it is taken over.

    What only one of the two has is not looked at, nor what is None in the new one. NumPy would cast or broadcast arrays
    of other shapes and dtypes, and say nothing.

    Args:
        found: the stored state.
        own: that of a new object.
        path: of both, for messages.
        learned: what an agent learns: arrays may have got more rows than the new ones, and numbers stay finite where
            the new ones are.

    Raises:
        ValueError: they differ; the message names the place.
    """
    if own is None:
        return
    if isinstance(own, dict):
        _require_kind(found, dict, path)
        for key in (key for key in own if key in found):
            require_alike(found[key], own[key], f"{path}.{key}", learned=learned)
    elif isinstance(own, (list, tuple)):
        _require_kind(found, list if isinstance(own, list) else tuple, path)
        for i, (theirs, ours) in enumerate(zip(found, own, strict=False)):
            require_alike(theirs, ours, f"{path}.{i}", learned=learned)
    elif isinstance(own, (np.ndarray, np.generic)):
        _require_alike_arrays(found, np.asarray(own), path, learned=learned)
    else:
        _require_alike_values(found, own, path)
        if learned and type(own) is float and isfinite(own) and not isfinite(found):
            raise ValueError(f"{path} is {found}; it must be finite")


def _require_kind(found: Any, kind: type, path: str) -> None:
    if not isinstance(found, kind):
        raise ValueError(f"{path} is {a_kind(found)}, not a {kind.__name__}")


def _require_alike_arrays(found: Any, own: Array, path: str, *, learned: bool) -> None:
    if not isinstance(found, (np.ndarray, np.generic)):
        raise ValueError(f"{path} is {a_kind(found)}, not an array")
    if found.dtype != own.dtype and not (found.dtype.kind == own.dtype.kind and found.dtype.kind in TEXT):
        raise ValueError(f"{path} has dtype {found.dtype}, not {own.dtype}")
    grown = learned and found.ndim == own.ndim and (not own.size or _has_more_rows(np.asarray(found), own))
    if found.shape != own.shape and not grown:
        raise ValueError(f"{path} has shape {list(found.shape)}, not {list(own.shape)}")
    if learned and own.dtype.kind == "f" and np.isfinite(own).all() and not np.isfinite(found).all():
        raise ValueError(f"{path} has values that are not finite")


def _has_more_rows(found: Array, own: Array) -> bool:
    return own.ndim > 0 and len(found) > len(own) and found.shape[1:] == own.shape[1:]


def _require_alike_values(found: Any, own: Any, path: str) -> None:
    number = (int, float)
    kinds = number if type(own) in number else (type(own),)
    if type(found) not in kinds:
        raise ValueError(f"{path} is {str(found)[:50]!r}, not of type {type(own).__name__}")
