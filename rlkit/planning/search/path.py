"""What the compiled steps of a search share: how actions are chosen, the way down, and how they are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba

from rlkit.core.compiling import entry
from rlkit.core.types import Array

F = TypeVar("F", bound=Callable[..., Any])

UCT, PUCT, GUMBEL = range(3)

WITHIN: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
QUICK: dict[str, Any] = {**WITHIN, "forceinline": True, "_nrt": False}
ENTRY: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True}

compiled: Callable[[F], F] = numba.njit(**QUICK)
kept: Callable[[F], F] = entry(**ENTRY, _nrt=False)
allocating: Callable[[F], F] = entry(**ENTRY)


class SelectionRule(NamedTuple):
    """How actions are chosen on the way down."""

    kind: int  # UCT, PUCT or GUMBEL
    exploration: float  # c; of GUMBEL, what values count against the logarithms of priors for each visit
    scaled: bool  # values are brought to 0 to 1 by the range of those in the tree
    gamma: float
    bound: float  # no value is beyond ±bound; inf: nothing is known
    best: bool = False  # a node's value is that of its best action; else the mean of the returns
    offset: float = 50.0  # of GUMBEL, visits that are added to those of the action tried most


class Path(NamedTuple):
    """The way down of each tree."""

    node: Array  # [B, N + 1] int64
    action: Array  # [B, N + 1] int64
    outcome: Array  # [B, N + 1] int64
    depth: Array  # [B] int64, actions on the way
    waits: Array  # [B] bool, the last action leads to a state that is not in the tree
    mark: Array  # [B, N] int64, the way that the node was last on; [B, 0] where no way meets itself
    number: Array  # [B] int64, ways so far
    turn: Array  # [B] int64, the node that was renewed last
    queue: Array  # [N] int64, room for nodes that are looked through; [0] where no way meets itself
    origin: Array  # [N, 3] int64, room for where each of them was come upon: place in the queue, action, outcome
    beyond: Array  # [S] int64, room for a state that is in no tree
    result: Array  # [2] float64, room for a reward and a discount
