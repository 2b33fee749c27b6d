"""From processes that torchrun has started to ranks that train one agent, in one run folder."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from shlex import quote
from typing import TYPE_CHECKING

from rlkit.config.injection import locate
from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import Vectorization
from rlkit.core.ranks import RankPlace, rank_place, require_ranked
from rlkit.core.types import RunError, UsageError

if TYPE_CHECKING:
    from rlkit.runs.ranked.process_group import ProcessGroup

PATIENCE = timedelta(days=7)
"""How long a rank waits for the others: while the first one evaluates, they do nothing else."""


def require_ranks(config: TrainRunConfig, processes: int) -> None:
    """Refuse what `processes` that train together cannot do, before they meet.

    Raises:
        UsageError: another number of them began the run, or the agent or an option is not for ranks.
    """
    if config.ranks != processes:
        raise UsageError(
            f"the run was begun with {config.ranks} processes, and there are {processes}: resume it with torchrun "
            f"--nproc-per-node={config.ranks}, or on as many machines as before"
            if config.ranks > 1
            else f"the run was begun with 1 process, and there are {processes}: resume it without torchrun"
        )
    require_ranked(locate(config.agent["_target_"], "agent"))
    if config.total_episodes is not None:
        raise UsageError("total_episodes counts in one process; under torchrun set total_steps, which counts in all")
    if config.vectorization is Vectorization.ray:
        raise UsageError("vectorization=ray is for one process, whose actors are many; leave it out, or torchrun")


@contextmanager
def joined(config: TrainRunConfig, words: Sequence[str]) -> Iterator[ProcessGroup]:
    """Meet the other processes of a run, and part when it is over.

    Args:
        config: of the run.
        words: of the command, which has to be the same for all.

    Raises:
        UsageError: this machine has too few graphics cards, or another process has another command.
        RunError: another process has ended.
    """
    place = rank_place()
    assert place is not None, "torchrun has not started this process"
    backend = _backend(config.device, place)
    import torch.distributed as dist

    from rlkit.runs.ranked.process_group import ProcessGroup

    _end_with_torchrun()
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        with _errors_named(place.rank):
            ranks = ProcessGroup(place)
            _require_same(ranks, words)
            yield ranks
    finally:
        dist.destroy_process_group()


@contextmanager
def _errors_named(rank: int) -> Iterator[None]:
    """Say in which rank something failed, where it is not the first."""
    try:
        yield
    except (UsageError, RunError) as error:
        if rank == 0:
            raise
        raise type(error)(f"rank {rank}: {error}") from error


def placed_once(
    config: TrainRunConfig, place: Callable[[TrainRunConfig], TrainRunConfig], ranks: ProcessGroup
) -> TrainRunConfig:
    """Return the configuration with the name and the folder that the first rank has claimed by `place`.

    Raises:
        UsageError: it could not.
    """
    own = place(config) if ranks.rank == 0 else config
    name, run_dir = ranks.gather((own.name, own.run_dir))[0]
    ranks.remedy = f"resume: torchrun … -m rlkit train {quote(f'resume={run_dir}')}"
    return replace(own, name=name, run_dir=run_dir)


def _backend(device: str, place: RankPlace) -> str:
    """Return what carries tensors, and make ``cuda`` the graphics card of this rank.

    Where a card is named, as ``cuda:0``, ranks of a machine share it, which NCCL does not support.
    """
    if device != "cuda":
        return "gloo"
    import torch

    if place.local_rank >= (cards := torch.cuda.device_count()):
        raise UsageError(
            f"rank {place.rank} is number {place.local_rank + 1} on its machine, where torch sees {cards} CUDA "
            f"devices: set --nproc-per-node={cards}, device=cuda:0 to share one, or device=cpu"
        )
    torch.cuda.set_device(place.local_rank)
    return "cpu:gloo,cuda:nccl"


def _require_same(ranks: ProcessGroup, words: Sequence[str]) -> None:
    first, own = ranks.gather(sorted(words))[0], sorted(words)
    if own != first:
        other = sorted(set(own) ^ set(first))
        raise UsageError(f"the processes of a run need the same command, and they differ in {', '.join(other)}")


def _end_with_torchrun() -> None:
    """Be signaled when torchrun is killed, which has no time left to pass that on (Linux)."""
    if sys.platform == "linux" and "TORCHELASTIC_RUN_ID" in os.environ:
        set_death_signal = 1  # a name in sys/prctl.h
        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).prctl(set_death_signal, signal.SIGTERM)
