"""What the arrays of recorded steps have to be, whoever wrote them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rlkit.core.types import Array

NUMBERS = {"reward": "biuf", "discount": "biuf", "last": "b", "episode": "iu"}
"""Arrays of a number for each step, and the kinds of their dtypes."""

TREES = ("observation", "action", "intended", "final_observation")
"""Arrays of numbers of any shape for each step, or for each episode."""


def require_steps(arrays: Mapping[str, Array]) -> None:
    """Check the arrays of a part: `NUMBERS` [T] and `TREES` [T, ...], of the last [E, ...], whole episodes.

    Raises:
        ValueError: one is something else; the message names it.
    """
    last = arrays["last"]
    for name, kinds in (*NUMBERS.items(), *((name, "biuf") for name in TREES)):
        array = arrays[name]
        if array.dtype.kind not in kinds or array.ndim == 0 or (name in NUMBERS and array.ndim > 1):
            raise ValueError(f"its {name} is an array {list(array.shape)} of {array.dtype}")
    if not last.size or not last[-1]:
        raise ValueError("its last episode does not end")
    for name in (*NUMBERS, *TREES):
        rows = int(np.count_nonzero(last)) if name == "final_observation" else len(last)
        if len(arrays[name]) != rows:
            raise ValueError(f"its {name} has {len(arrays[name]):,} rows, not {rows:,}")
    for one, other in (("final_observation", "observation"), ("intended", "action")):
        if arrays[one].shape[1:] != arrays[other].shape[1:]:
            raise ValueError(f"its {one} has shape {list(arrays[one].shape)}, its {other} {list(arrays[other].shape)}")
