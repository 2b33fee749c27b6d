"""Dyna-Q+ (Sutton, 1990; Sutton & Barto, 2nd ed., section 8.3)."""

from __future__ import annotations

from typing import Any

from rlkit.agents.dyna_q import DynaQ
from rlkit.core.ranges import NonNegativeFloat


class DynaQPlus(DynaQ):
    """Dyna-Q that expects more of what it has not tried for long, and so finds out when the environment has changed.

    In planning, the reward of an action grows by kappa times the root of the steps since it was tried; actions that
    were never tried are planned with as well, as if nothing came of them.
    """

    name = "dyna_q_plus"
    untried = True

    def __init__(self, *, bonus: NonNegativeFloat, **options: Any):
        """Make the table and the model.

        Args:
            bonus: kappa.
            **options: those of `DynaQ`.

        Raises:
            UsageError: see there.
        """
        super().__init__(**options)
        self.bonus = bonus
