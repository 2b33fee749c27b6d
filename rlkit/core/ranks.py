"""Processes that train one agent together: each is a rank, with environments of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from rlkit.core.types import Agent, UsageError

T = TypeVar("T")

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun sets for each process, and what says that there are ranks."""


@dataclass(frozen=True)
class RankPlace:
    """Which of the processes this one is.

    Attributes:
        rank: from 0; the first one writes the run folder.
        size: how many there are.
        local_rank: from 0, among those of this machine.
    """

    rank: int
    size: int
    local_rank: int


def rank_place(environ: Mapping[str, str] = os.environ) -> RankPlace | None:
    """Return which rank this process is by torchrun's variables; None: it is alone.

    Raises:
        UsageError: they are no such numbers.
    """
    if int_of(environ.get("WORLD_SIZE", "1"), "WORLD_SIZE") < 2 or not all(name in environ for name in VARIABLES):
        return None
    rank, size = (int_of(environ[name], name) for name in VARIABLES[:2])
    if rank >= size:
        raise UsageError(f"RANK is {rank}; it must be less than WORLD_SIZE={size}, as torchrun sets both")
    return RankPlace(rank, size, int_of(environ.get("LOCAL_RANK", "0"), "LOCAL_RANK"))


def int_of(value: str, name: str) -> int:
    """Return the whole number of a variable called `name`.

    Raises:
        UsageError: it is none.
    """
    if not value.isdecimal():
        raise UsageError(f"{name} is {value[:50]!r}; it must be a whole number from 0, as torchrun sets it")
    return int(value)


def require_alone() -> None:
    """Check that torchrun has not started this process beside others.

    Raises:
        UsageError: it has.
    """
    if rank_place() is not None:
        raise UsageError(
            "torchrun starts the processes of one run, not of a search or a sweep; start it without torchrun"
        )


class Ranks(Protocol):
    """What ranks do together: each method is called by all of them, in the same order, and waits for all.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
    """

    rank: int
    size: int

    def average(self, values: Any) -> None:
        """Put the mean over the ranks into a tensor [P] of floats, in place, with the same bits on each."""

    def gather(self, own: T) -> list[T]:
        """Return what each rank has, plain data, in their order."""

    def all(self, own: bool) -> bool:
        """Return whether all ranks say so."""

    def begun(self, own: bool) -> bool:
        """Return whether all ranks say so, or have said so before, which is remembered and not asked again."""

    def listen(self, signaled: Callable[[], str | None]) -> None:
        """Let each average also carry whether a signal, which `signaled` returns, asks a rank to stop."""

    def stop_asked(self) -> bool:
        """Return whether one did when averages were taken; all ranks know so after the same average."""


class RankedAgent(Agent, Protocol):
    """An agent that ranks can train together.

    Each has a copy of it with the same weights, observes its own environments, and steps down the mean of all
    gradients. All make their updates at the same steps, and the part ``network`` of their states stays the same.
    """

    def join_ranks(self, ranks: Ranks) -> None:
        """Average gradients, and what else must agree, over `ranks` from now on, and count the decisions of all."""


def require_ranked(kind: Callable[..., Any]) -> None:
    """Check that ranks can train agents of a class.

    Raises:
        UsageError: they cannot.
    """
    if not hasattr(kind, "join_ranks"):
        raise UsageError(
            f"{getattr(kind, '__name__', kind)} has no gradients that several processes can average; train it without "
            "torchrun, or take agent=ppo, a2c, dqn, sac, td3 or another agent with join_ranks"
        )
