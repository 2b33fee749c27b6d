"""States that tables have an entry for: those of a discrete space, or what a discretizer makes of any observation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gymnasium import spaces

from rlkit.core.resources import require_memory
from rlkit.core.spaces import choice_sizes, num_states, state_index
from rlkit.core.types import Array, State, Transition

if TYPE_CHECKING:
    from torch import nn


class StateMapping(Protocol):
    """A function from observations to a finite number of states, which may have to be learned first.

    Attributes:
        size: S, how many states there are; 0 while they are not known.
        index: returns the state [N] int64, from 0 to S - 1, of each observation [N, ...].
    """

    size: int

    @property
    def index(self) -> Callable[[Array], Array]:
        """The function from observations [N, ...] to states [N] int64, from 0 to S - 1."""

    def index_module(self) -> nn.Module:
        """Return `index` as a module of torch, for the graph of an exported policy.

        Raises:
            UsageError: no graph can hold it.
        """

    def gather(self, transition: Transition, gamma: float) -> None:
        """Take in what random behavior meets, while the states are not known; `gamma` is the agent's."""

    def state_dict(self) -> State:
        """Return what was gathered or learned, as plain data."""

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""


def require_room(tables: int, states: int, actions: int) -> None:
    """Check that there is memory for tables of values and visits before they are made.

    Raises:
        MemoryShortageError: there is not.
    """
    what = f"a table of {states:,} states and {actions:,} actions"
    require_memory(16 * tables * states * actions, what, "use fewer bins, a discretizer, or agent=linear_q or dqn")


class DiscreteStates:
    """The states of a discrete space, which are known from the start.

    Attributes:
        size: S.
        index: returns the state [N] int64, from 0 to S - 1, of each observation [N] or [N, ...].
    """

    def __init__(self, space: Any, *, agent: str):
        """Number the states of `space`.

        Raises:
            UsageError: it is not discrete; `agent` is named in the message.
        """
        self.size = num_states(space, agent=agent)
        # Observations of `Discrete` are the states.
        single = isinstance(space, spaces.Discrete)
        self.index: Callable[[Array], Array] = np.asarray if single else partial(state_index, space=space)
        self._space = space

    def index_module(self) -> nn.Module:
        """Return `index` as a module of torch."""
        return index_module_of(self._space)

    def gather(self, transition: Transition, gamma: float) -> None:
        """Do nothing: the states are known."""

    def state_dict(self) -> State:
        """Return nothing: nothing changes."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Do nothing."""


def index_module_of(space: Any) -> nn.Module:
    """Return `rlkit.core.spaces.state_index` of a discrete space as a module of torch."""
    from rlkit.networks.greedy_policies import StateNumber

    return StateNumber(choice_sizes(space))
