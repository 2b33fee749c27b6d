"""Workers as actors of Ray, on this machine or on those of a cluster."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

from rlkit.core.ray_cluster import connected, first_line
from rlkit.core.types import RunError, State, UsageError, WorkerError
from rlkit.runs.remote.seat import ActorLostError, MakeWorker

KINDS = {kind.__name__: kind for kind in (UsageError, WorkerError, RunError)}


class WorkerHost:
    """What runs in an actor: a worker, whose errors are answered in one line and not with a traceback."""

    def __init__(self) -> None:
        self._worker: Any = None

    def start(self, make: MakeWorker) -> tuple[str | None, Any]:
        """Make the worker; return as `call`."""
        return self._answered(lambda: setattr(self, "_worker", make()))

    def call(self, method: str, *arguments: Any) -> tuple[str | None, Any]:
        """Call a method of the worker; return None and its result, or the kind of its error and the line."""
        return self._answered(lambda: getattr(self._worker, method)(*arguments))

    def _answered(self, function: Any) -> tuple[str | None, Any]:
        try:
            return None, function()
        except (UsageError, RunError) as error:
            kind = next(name for name, one in KINDS.items() if isinstance(error, one))
            return kind, str(error)


class RayEngine:
    """Actors of a Ray cluster (`rlkit.core.ray_cluster`)."""

    def __init__(self, actors: int):
        """Connect, or start Ray on this machine with a place for each of the `actors`.

        Raises:
            UsageError: Ray is not installed.
            RunError: it does not start.
        """
        self._ray = ray = connected(actors, "vectorization=ray")
        self._host = ray.remote(num_cpus=1, max_restarts=0)(WorkerHost)
        self._actors: dict[int, Any] = {}
        places = int(ray.cluster_resources().get("CPU", 0))
        if places < actors:
            warnings.warn(
                f"the Ray cluster has {places} processors for {actors} actors: the run waits until it has more",
                stacklevel=2,
            )

    def start(self, index: int, make: MakeWorker) -> Any:
        """Start actor `index`, in place of one that was lost; return the call whose result is None."""
        self._actors[index] = self._host.remote()
        return self._actors[index].start.remote(make)

    def call(self, index: int, method: str, *arguments: Any) -> Any:
        """Begin to call a method of a worker, after those before; return the call."""
        return self._actors[index].call.remote(method, *arguments)

    def result(self, call: Any) -> Any:
        """Wait for the result of a call.

        Raises:
            UsageError: the worker raised it.
            RunError: the worker raised it, or the actors' cluster is gone.
            ActorLostError: the actor ended.
        """
        exceptions = self._ray.exceptions
        try:
            kind, answer = self._ray.get(call)
        except (exceptions.RayActorError, exceptions.ObjectLostError, exceptions.WorkerCrashedError) as error:
            raise ActorLostError(first_line(error)) from error
        except (exceptions.RaySystemError, ConnectionError) as error:
            raise RunError(
                f"Ray's cluster does not answer any more: {first_line(error)}; start it again, then resume="
            ) from error
        if kind is not None:
            raised = KINDS[kind](answer)
            raise raised
        return answer

    def publish(self, state: State) -> Any:
        """Put `state` into Ray's store, from which each machine fetches it once."""
        return self._ray.put(state)

    def close(self) -> None:
        """End all actors, and Ray where it was started here."""
        for actor in self._actors.values():
            with suppress(Exception):
                self._ray.kill(actor)
        with suppress(Exception):
            self._ray.shutdown()
