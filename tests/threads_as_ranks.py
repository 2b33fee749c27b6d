"""Ranks that are threads of this process, for tests of what ranks do together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Meeting:
    """Where threads wait for each other and exchange what they have."""

    def __init__(self, size: int):
        self.size = size
        self._barrier, self._brought = threading.Barrier(size, timeout=60), [None] * size

    def exchange(self, rank: int, own: Any) -> list[Any]:
        self._brought[rank] = own
        self._barrier.wait()
        found = list(self._brought)
        self._barrier.wait()
        return found

    def leave(self) -> None:
        """Let nobody wait for a thread that has ended."""
        self._barrier.abort()


class ThreadRank:
    """`rlkit.core.ranks.Ranks` of one of the threads.

    Attributes:
        averages: how many were taken.
    """

    def __init__(self, rank: int, meeting: Meeting):
        self.rank, self.size, self._meeting = rank, meeting.size, meeting
        self._signaled: Callable[[], str | None] = lambda: None
        self._stop = self._begun = False
        self.averages = 0

    def average(self, values: Tensor) -> None:
        brought = self._meeting.exchange(self.rank, (values.clone(), self._signaled() is not None))
        values.copy_(torch.stack([own for own, _ in brought]).mean(0))
        self._stop = self._stop or any(asked for _, asked in brought)
        self.averages += 1

    def gather(self, own: T) -> list[T]:
        return self._meeting.exchange(self.rank, own)

    def all(self, own: bool) -> bool:
        return all(self.gather(own))

    def begun(self, own: bool) -> bool:
        self._begun = self._begun or self.all(own)
        return self._begun

    def listen(self, signaled: Callable[[], str | None]) -> None:
        self._signaled = signaled

    def stop_asked(self) -> bool:
        return self._stop


def thread_ranks(size: int = 2) -> list[ThreadRank]:
    meeting = Meeting(size)
    return [ThreadRank(rank, meeting) for rank in range(size)]


def together(ranks: list[ThreadRank], work: Callable[[ThreadRank], T]) -> list[T]:
    """Let each rank do its work in a thread, and return what they found."""

    def one(rank: ThreadRank) -> T:
        try:
            return work(rank)
        except BaseException:
            rank._meeting.leave()
            raise

    with ThreadPoolExecutor(len(ranks)) as pool:
        futures = [pool.submit(one, rank) for rank in ranks]
        failed = [error for future in futures if (error := future.exception()) is not None]
        for error in failed:
            if not isinstance(error, threading.BrokenBarrierError):
                raise error
        return [future.result() for future in futures]
