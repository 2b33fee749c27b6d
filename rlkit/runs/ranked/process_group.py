"""Ranks that talk by `torch.distributed`: over gloo between processors, and NCCL between graphics cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from rlkit.core.ranks import RankPlace
from rlkit.core.types import RunError

T = TypeVar("T")


class ProcessGroup:
    """The ranks of `torch.distributed`'s group, which is there; `rlkit.core.ranks.Ranks` says what its methods do.

    Attributes:
        rank: of this process.
        size: how many there are.
        remedy: ends the message where another process has ended.
    """

    def __init__(self, place: RankPlace):
        """Be one of them."""
        self.rank, self.size = place.rank, place.size
        self.remedy = "start the run again"
        self._signaled: Callable[[], str | None] = lambda: None
        self._votes: Tensor | None = None
        self._stop = self._begun = False

    def average(self, values: Tensor) -> None:
        """Put the mean over the ranks into `values` [P] of floats, in place; the flag to stop travels with them."""
        vote = values.new_full((1,), float(self._signaled() is not None))
        both = torch.cat((values, vote))
        with self._together():
            dist.all_reduce(both)
        torch.div(both[:-1], self.size, out=values)
        # It is read when it is asked for: on a graphics card that waits.
        self._votes = both[-1] if self._votes is None else self._votes + both[-1]

    def gather(self, own: T) -> list[T]:
        """Return what each rank has, in their order."""
        found: list[T] = [own] * self.size
        with self._together():
            dist.all_gather_object(found, own)
        return found

    def all(self, own: bool) -> bool:
        """Return whether all ranks say so."""
        said = torch.tensor([int(own)])
        with self._together():
            dist.all_reduce(said, dist.ReduceOp.MIN)
        return bool(said.item())

    def begun(self, own: bool) -> bool:
        """Return whether all ranks say so, or have said so before."""
        self._begun = self._begun or self.all(own)
        return self._begun

    def listen(self, signaled: Callable[[], str | None]) -> None:
        """Let each average carry whether `signaled` returns a signal."""
        self._signaled = signaled

    def stop_asked(self) -> bool:
        """Return whether a rank was signaled when an average was taken."""
        if self._votes is not None:
            self._stop, self._votes = self._stop or bool(self._votes > 0), None
        return self._stop

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Say in one line that another process has ended, which is how its end shows in what they do together.

        Raises:
            RunError: it has.
        """
        try:
            yield
        except RuntimeError as error:
            raise RunError(
                f"another process of this run has ended, so that this one cannot go on; {self.remedy}"
            ) from error
