"""Uniformly random actions."""

from __future__ import annotations

from rlkit.core import Metrics, State, Transition
from rlkit.policies import Uniform


class Random(Uniform):
    """The uniform policy as an agent, which learns nothing: the baseline."""

    def observe(self, transition: Transition) -> None:
        """Take no notice."""

    def update(self) -> Metrics | None:
        """Learn nothing."""
        return None

    def state_dict(self) -> State:
        """Return nothing: there is no state."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Take back nothing."""
