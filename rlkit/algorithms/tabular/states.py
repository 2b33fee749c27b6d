"""States that tables have an entry for: those of a discrete space, or what a discretiser makes of any observation."""

from __future__ import annotations

from typing import Any, Protocol

from rlkit.core.spaces import num_states, state_index
from rlkit.core.types import Array, State, Transition


class States(Protocol):
    """A function from observations to a finite number of states, which may have to be learnt first.

    Attributes:
        size: S, how many states there are; 0 while they are not known.
    """

    size: int

    def index(self, observation: Array) -> Array:
        """Return the state [N] int64, from 0 to S - 1, of each observation [N, ...]."""

    def gather(self, transition: Transition, gamma: float) -> None:
        """Take in what random behaviour sees, while the states are not known; `gamma` is the agent's."""

    def state_dict(self) -> State:
        """Return what was gathered or learnt, as plain data."""

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""


class Counted:
    """The states of a discrete space, which are known from the start.

    Attributes:
        size: S.
    """

    def __init__(self, space: Any, *, agent: str):
        """Count the states of `space`.

        Raises:
            UsageError: it is not discrete; `agent` is named in the message.
        """
        self._space, self.size = space, num_states(space, agent=agent)

    def index(self, observation: Array) -> Array:
        """Return the state [N] int64 of each observation [N, ...]."""
        return state_index(observation, self._space)

    def gather(self, transition: Transition, gamma: float) -> None:
        """Take no notice."""

    def state_dict(self) -> State:
        """Return nothing: nothing changes."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Take back nothing."""
