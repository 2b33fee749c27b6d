"""Values that became NaN or infinite: what is said of them, and whether observations were the cause."""

from __future__ import annotations

import numpy as np

from rlkit.core import tree
from rlkit.core.types import DivergedError, RunError, Tree


def diverged(what: str) -> DivergedError:
    """Return the error for `what`, such as "loss/td is nan", that training computed."""
    return DivergedError(
        f"{what}: learning has diverged; start a new run with a lower agent.learning_rate, or smaller rewards "
        "or observations"
    )


def infinite_observation(observation: Tree) -> RunError | None:
    """Return the error for observations [N, ...], or means of them, that are infinite as float32; None if none is."""
    with np.errstate(over="ignore"):
        finite = [np.isfinite(np.asarray(part, np.float32)).all() for part in tree.leaves(observation)]
    if all(finite):
        return None
    return RunError(
        "the environment returned an observation with numbers infinite as float32, of which networks compute NaN; "
        "bound them, as with gymnasium.wrappers.TransformObservation"
    )
