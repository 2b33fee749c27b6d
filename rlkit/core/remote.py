"""Agents whose copies act in other processes, on this machine or on others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from rlkit.core.types import Agent, State, UsageError


class RemoteAgent(Agent, Protocol):
    """An agent whose copies can act elsewhere with what it publishes, for a fragment of some steps at a time.

    Attributes:
        tolerated_lag: by how many fragments the parameters that act may be behind. 0: each fragment is acted with the
            present ones, and no update may come before its last step; the result is that of one process. 1: the next
            fragment is collected while this one is learned from.
    """

    tolerated_lag: int

    def fragment_steps(self) -> int:
        """Return how many steps of each environment the next fragment has, at least 1.

        If no lag is tolerated, these are at most the steps before the next update.
        """

    def acting_state(self) -> State:
        """Return, as plain data, all that `act` reads and that changes in training."""

    def load_acting_state(self, state: State) -> None:
        """Restore a state from `acting_state`."""


def tolerated_lag(kind: Callable[..., Any]) -> int:
    """Return the lag that agents of a class tolerate.

    Raises:
        UsageError: they cannot act elsewhere.
    """
    lag = getattr(kind, "tolerated_lag", None)
    if lag is None:
        name = getattr(kind, "__name__", str(kind))
        raise UsageError(
            f"vectorization=ray needs an agent that says what lag it tolerates, and {name} does not; take "
            "agent=ppo, a2c, impala or dqn, or vectorization=async"
        )
    return int(lag)
