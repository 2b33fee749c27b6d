"""Environments in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import AsyncState, _async_worker

from rlkit.core.ranks import rank_place
from rlkit.core.types import (
    EnvironmentFaultError,
    Goals,
    RunError,
    State,
    TimeStep,
    Tree,
    UsageError,
    WorkerError,
    described,
)
from rlkit.vector.goals import goals_of
from rlkit.vector.resettable_env import MakeEnv, ResettableEnv
from rlkit.vector.vector import VectorEnvironment


class _Workers(AsyncVectorEnv):
    """Gymnasium's workers without its reports: a failure is raised in one line, and closing never fails."""

    fresh_arrays = True
    """Observations are copied out of the shared memory."""

    copies_actions = True
    """They go through pipes."""

    send = AsyncVectorEnv.step_async
    recv = AsyncVectorEnv.step_wait

    def _raise_if_errors(self, successes: Iterable[bool]) -> None:
        failed = sum(not success for success in successes)
        if failed:
            # The first environment's error, so that equal runs report the same.
            _, kind, error, _ = min((self.error_queue.get() for _ in range(failed)), key=lambda report: report[0])
            raise kind(str(error))

    def _add_info(self, vector_infos: dict[str, Any], env_info: dict[str, Any], env_num: int) -> dict[str, Any]:
        """Keep masks as they are, because those of a wrong length are to be told from others."""
        if "action_mask" in env_info:
            masks = vector_infos.setdefault("action_mask", np.full(self.num_envs, None, object))
            masks[env_num] = env_info["action_mask"]
            vector_infos.setdefault("_action_mask", np.zeros(self.num_envs, bool))[env_num] = True
        rest = {key: value for key, value in env_info.items() if key != "action_mask"}
        return super()._add_info(vector_infos, rest, env_num)

    def close_extras(self, timeout: float | None = None, terminate: bool = False) -> None:
        for pipe in self.parent_pipes:
            with contextlib.suppress(OSError):
                pipe.send(("close", None))
            pipe.close()
        # One that has not answered may never do so.
        patience = 0.5 if terminate or self._state is not AsyncState.DEFAULT else 10.0
        for end in (_nothing, BaseProcess.terminate, BaseProcess.kill):
            _end(self.processes, end, patience)
            patience = 2.0


def _end(processes: Sequence[BaseProcess], end: Callable[[BaseProcess], None], patience: float) -> None:
    """Call `end` on the processes that run, and wait up to `patience` seconds for all of them together."""
    for process in processes:
        if process.is_alive():
            end(process)
    until = time.monotonic() + patience
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))


def _nothing(process: BaseProcess) -> None:
    """Leave a process to end by itself."""


class SubprocessEnvironment(VectorEnvironment):
    """N environments, each in a process of its own; their states are read there."""

    def __init__(
        self,
        makes: Sequence[MakeEnv],
        *,
        action_mask: bool = False,
        info_keys: Sequence[str] = (),
        start_method: str = "fork",
    ):
        """Start one worker for each function in `makes`; the others as in `SerialEnvironment`.

        Args:
            makes: one function for each environment, which cloudpickle can send unless `start_method` is ``fork``.
            action_mask: as in `SerialEnvironment`.
            info_keys: likewise.
            start_method: of the processes: ``fork``, ``forkserver`` or ``spawn``.

        Raises:
            UsageError: a worker ended before it had answered, or what `SerialEnvironment` refuses.
        """
        makers = [_EnvMaker(make, tuple(info_keys)) for make in makes]
        self._make_single = makers[0]
        self._ruled: ResettableEnv | None = None
        with _first_contact(start_method):
            super().__init__(
                lambda: _Workers(makers, worker=_worker, autoreset_mode=AutoresetMode.SAME_STEP, context=start_method),
                action_mask=action_mask,
                info_keys=info_keys,
            )
            self.frame_stack = self._vector.get_attr("frame_stack")[0]

    def goals(self) -> Goals:
        """Return the rules of its goals, of an environment in this process: the workers may be stepping.

        Errors as in `goals_of`.
        """
        if self._ruled is None:
            self._ruled = self._make_single()
        return goals_of(self._ruled)

    def close(self) -> None:
        """Close the workers."""
        super().close()
        if self._ruled is not None:
            self._ruled.close()

    @contextlib.contextmanager
    def _worker_deaths(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, ConnectionError) as error:
            how = _ended(self._vector.processes)
            raise WorkerError(f"a worker process of the environment ended {how}") from error

    def reset(self, seeds: list[int]) -> TimeStep:
        """Start a new episode in every environment."""
        with self._worker_deaths():
            return super().reset(seeds)

    def send(self, action: Tree) -> None:
        """Start a step of every environment in its worker."""
        with self._worker_deaths():
            super().send(action)

    def recv(self) -> TimeStep:
        """Wait for the step of every worker."""
        with self._worker_deaths():
            return super().recv()

    def restart(self, seeds: list[int]) -> TimeStep:
        """Build every environment again in its worker and start an episode in it."""
        with self._worker_deaths():
            self._drain()
            self._vector.call("restart")
        return self.reset(seeds)

    def get_state(self) -> State | None:
        """Return the state of every environment, or None if one is opaque."""
        with self._worker_deaths():
            states = list(self._vector.call("capture"))
        return None if any(state is None for state in states) else {"envs": states}

    def why_opaque(self) -> str | None:
        """Return in one line why the state cannot be read; None if it can be."""
        with self._worker_deaths():
            reasons = self._vector.call("why_opaque")
        return next((reason for reason in reasons if reason is not None), None)

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`.

        Raises:
            RunError: a worker cannot restore its environment's.
        """
        # `call` sends all workers the same arguments, so the pipes are used directly.
        with self._worker_deaths():
            for pipe, saved in zip(self._vector.parent_pipes, state["envs"], strict=True):
                pipe.send(("_call", ("restore", (saved,), {})))
            results = [pipe.recv() for pipe in self._vector.parent_pipes]
        if not all(success for _, success in results):
            raise RunError(
                "a worker could not restore its environment's state; resume with the versions in versions.json"
            )


@contextlib.contextmanager
def _first_contact(start_method: str) -> Iterator[None]:
    """Say in one line what helps where a worker ends before it has answered."""
    try:
        yield
    except (EOFError, ConnectionError) as error:
        remedy = "run it with vectorization=sync to read why"
        if start_method == "fork":
            remedy = "start_method=spawn begins them from scratch, which OpenGL and JAX need"
        raise UsageError(f"a worker process of the environment ended as soon as it had begun; {remedy}") from error


class _EnvMaker:
    def __init__(self, make: MakeEnv, info_keys: tuple[str, ...]):
        self._make = make
        self._info_keys = info_keys

    def __call__(self) -> ResettableEnv:
        return ResettableEnv(self._make, self._info_keys)


def _ended(processes: Sequence[BaseProcess]) -> str:
    """Return how the first process that has ended did, in words."""
    for process in processes:
        process.join(0.5)  # Its pipe closes a moment before it ends.
        code = process.exitcode
        if code is not None:
            return f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}, as by sys.exit"
    return "without a word"


class _Reports:
    """The queue of a worker's errors, each as text: many exceptions cannot be sent to another process."""

    def __init__(self, queue: Any):
        self._queue = queue

    def put(self, report: tuple[int, type[BaseException], BaseException, str]) -> None:
        """Send a report."""
        index, kind, error, trace = report
        known = issubclass(kind, (RunError, UsageError))
        says = str(error) if known else f"the environment raised {described(error)}"
        sent = next((one for one in (EnvironmentFaultError, UsageError) if issubclass(kind, one)), WorkerError)
        self._queue.put((index, sent, says, trace))


def _worker(
    index: int, make: Any, pipe: Any, parent_pipe: Any, shared_memory: Any, error_queue: Any, *args: Any
) -> None:
    """Run Gymnasium's worker, which ends silently when the parent is gone and ignores Ctrl-C of the terminal."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if rank_place() is not None:
        os.setpgid(0, 0)  # torchrun signals the groups of its processes: this one goes on until they have saved.
    with contextlib.suppress(EOFError, ConnectionError):
        _async_worker(index, make, pipe, parent_pipe, shared_memory, _Reports(error_queue), *args)  # type: ignore[arg-type]


def _end_with_parent() -> None:
    """End this process when its parent has ended, also where its environment never returns from a step."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
