"""Known rules of when episodes end, for models that need not learn them (torch).

Source: the ``is_healthy`` of Gymnasium's MuJoCo environments, by what their observations show.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from rlkit.core.types import UsageError

Rule = Callable[[Tensor], Tensor]
"""Returns whether the episode ends at successors [..., D], [...] bool."""


def never(successor: Tensor) -> Tensor:
    """Return that no episode ends, [...] bool."""
    return torch.zeros(successor.shape[:-1], dtype=torch.bool, device=successor.device)


def hopper(successor: Tensor) -> Tensor:
    """Return where a hopper has fallen, or its numbers have run away, [...] bool."""
    height, angle = successor[..., 0], successor[..., 1]
    healthy = (height > 0.7) & (angle.abs() < 0.2) & (successor[..., 1:].abs() < 100).all(-1)
    return ~healthy


def walker2d(successor: Tensor) -> Tensor:
    """Return where a walker has fallen, [...] bool."""
    height, angle = successor[..., 0], successor[..., 1]
    return ~((height > 0.8) & (height < 2.0) & (angle.abs() < 1.0))


RULES: dict[str, Rule | None] = {"learned": None, "never": never, "hopper": hopper, "walker2d": walker2d}


def termination_rule(name: str) -> Rule | None:
    """Return the rule of that name; None: the ends are learned.

    Raises:
        UsageError: there is none.
    """
    if name not in RULES:
        raise UsageError(f"agent.termination is {name!r}; it must be one of {', '.join(RULES)}")
    return RULES[name]
