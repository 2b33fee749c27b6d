"""What agents count periods and schedules in: decisions observed, or episodes that have ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from rlkit.core.types import State, Transition, UsageError


def require_unit(name: str, value: str) -> str:
    """Return `value` if it is something that is counted.

    Raises:
        UsageError: it is not; `name` is that of the setting.
    """
    if value not in ("steps", "episodes"):
        raise UsageError(f"{name} is {value}; it must be steps or episodes")
    return value


@dataclass
class Counts:
    """What has been observed.

    Attributes:
        steps: decisions, summed over environments.
        episodes: their ends.
    """

    steps: int = 0
    episodes: int = 0

    def add(self, transition: Transition) -> None:
        """Count the valid rows of a transition."""
        self.steps += int(np.count_nonzero(transition.valid))
        self.episodes += int(np.count_nonzero(transition.valid & transition.last))

    def of(self, unit: str) -> int:
        """Return the number of `unit`, steps or episodes."""
        return self.steps if unit == "steps" else self.episodes

    def state_dict(self) -> State:
        """Return both numbers."""
        return asdict(self)

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.steps, self.episodes = state["steps"], state["episodes"]
