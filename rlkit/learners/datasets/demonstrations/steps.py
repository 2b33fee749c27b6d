"""What the arrays of recorded steps have to be, whoever wrote them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rlkit.core import tree
from rlkit.core.types import Tree

NUMBERS = {"reward": "biuf", "discount": "biuf", "last": "b", "episode": "iu"}
"""Arrays of a number for each step, and the kinds of their dtypes."""

TREES = ("observation", "action", "intended", "final_observation")
"""Arrays of numbers of any shape, or trees of them, for each step, or for each episode."""


OPTIONAL = ("truncated", "infos")
"""What not every recording has: of each step, and of each step and reset."""


def require_steps(arrays: Mapping[str, Tree]) -> None:
    """Check the arrays of a part: `NUMBERS` [T] and `TREES` [T, ...], of the last [E, ...], whole episodes.

    Raises:
        ValueError: one is something else; the message names it.
    """
    last = arrays["last"]
    leaves = {name: tree.leaves(arrays[name]) for name in (*NUMBERS, *TREES)}
    for name, parts in leaves.items():
        for array in parts:
            if array.dtype.kind not in NUMBERS.get(name, "biuf") or not 0 < array.ndim < (2 if name in NUMBERS else 99):
                raise ValueError(f"its {name} is an array {list(array.shape)} of {array.dtype}")
    if not last.size or not last[-1]:
        raise ValueError("its last episode does not end")
    for name, parts in leaves.items():
        rows = int(np.count_nonzero(last)) if name == "final_observation" else len(last)
        if {len(array) for array in parts} != {rows}:
            raise ValueError(f"its {name} has {[len(array) for array in parts]} rows, not {rows:,}")
    _require_optional(arrays, steps=len(last), episodes=int(np.count_nonzero(last)))
    for one, other in (("final_observation", "observation"), ("intended", "action")):
        shapes = [[list(array.shape[1:]) for array in leaves[name]] for name in (one, other)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"its {one} has shape {shapes[0]}, its {other} {shapes[1]}")


def _require_optional(arrays: Mapping[str, Tree], *, steps: int, episodes: int) -> None:
    for name, rows in zip(OPTIONAL, (steps, steps + episodes), strict=True):
        for array in tree.leaves(arrays[name]) if name in arrays else []:
            if array.dtype.kind not in "biuf" or array.shape[:1] != (rows,):
                raise ValueError(f"its {name} is an array {list(array.shape)} of {array.dtype}, not of {rows:,} rows")
