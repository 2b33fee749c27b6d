"""Actors in this process, which answer when they are asked for their answers, and can be lost."""

from __future__ import annotations

import copy
import pickle
from typing import Any

from rlkit.core.types import State
from rlkit.runs.remote.seat import ActorLostError, MakeWorker


class LocalEngine:
    """Runs workers in this process; what is sent is pickled, as on its way to another machine.

    Attributes:
        calls: (actor, method) of all calls.
        dies: (actor, n) -> at its n-th call from its start, counted from 0, an actor is lost.
    """

    def __init__(self, actors: int, dies: dict[tuple[int, int], bool] | None = None):
        self.calls: list[tuple[int, str]] = []
        self.dies = dies or {}
        self._workers: dict[int, Any] = {}
        self._counts: dict[int, int] = {}
        self.started = 0

    def start(self, index: int, make: MakeWorker) -> Any:
        self._workers[index] = None
        self.started += 1
        return _Call(self, index, "start", (make,))

    def call(self, index: int, method: str, *arguments: Any) -> Any:
        self.calls.append((index, method))
        return _Call(self, index, method, pickle.loads(pickle.dumps(arguments)))

    def result(self, call: Any) -> Any:
        return pickle.loads(pickle.dumps(call.answer()))

    def publish(self, state: State) -> Any:
        return copy.deepcopy(state)

    def close(self) -> None:
        self._workers.clear()

    def run(self, index: int, method: str, arguments: Any) -> Any:
        """Let actor `index` do what it was called for."""
        if method == "start":
            self._workers[index] = arguments[0]()
            return None
        count = self._counts[index] = self._counts.get(index, -1) + 1
        if self.dies.pop((index, count), False):
            self._workers[index] = None
            raise ActorLostError("it was killed")
        return getattr(self._workers[index], method)(*arguments)


class _Call:
    """A call, made in its turn: those of an actor one after the other, when the first of their results is wanted."""

    queues: dict[tuple[int, int], list[_Call]] = {}  # noqa: RUF012

    def __init__(self, engine: LocalEngine, index: int, method: str, arguments: Any):
        self._engine, self._index, self._method, self._arguments = engine, index, method, arguments
        self._done = False
        self._answer: Any = None
        self._queue = self.queues.setdefault((id(engine), index), [])
        if method == "start":
            self._queue.clear()
        self._queue.append(self)

    def answer(self) -> Any:
        while not self._done:
            if self not in self._queue:
                raise ActorLostError("it was killed")
            first = self._queue.pop(0)
            try:
                first._answer = self._engine.run(first._index, first._method, first._arguments)
            except ActorLostError:
                self._queue.clear()
                raise
            first._done = True
        return self._answer
