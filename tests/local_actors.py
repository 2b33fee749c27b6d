"""Actors in this process, which work when they are asked for their answers, and can be lost."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

from rlkit.core.types import State
from rlkit.runs.remote.seat import ActorLostError, MakeWorker


class LocalEngine:
    """Runs workers in this process; what travels is pickled, as on its way to another machine.

    Attributes:
        dies: (actor, n): the actor is lost instead of doing what it is called for the n-th time, counted from 0.
        calls: (actor, method) of all calls that were begun, of the engine that was made last.
        started: how many actors were.
    """

    dies: ClassVar[set[tuple[int, int]]] = set()
    calls: ClassVar[list[tuple[int, str]]] = []
    started: ClassVar[int] = 0

    def __init__(self, actors: int):
        self._actors: dict[int, _Actor] = {}
        self.calls.clear()
        LocalEngine.started = 0

    def start(self, index: int, make: MakeWorker) -> Any:
        LocalEngine.started += 1
        self._actors[index] = _Actor()
        return _Call(self._actors[index], "start", (make,), dies=False)

    def call(self, index: int, method: str, *arguments: Any) -> Any:
        place = index, sum(actor == index for actor, _ in self.calls)
        self.calls.append((index, method))
        return _Call(self._actors[index], method, pickle.loads(pickle.dumps(arguments)), dies=place in self.dies)

    def result(self, call: Any) -> Any:
        return pickle.loads(pickle.dumps(call.answer()))

    def publish(self, state: State) -> Any:
        return pickle.loads(pickle.dumps(state))

    def close(self) -> None:
        self._actors.clear()


class _Actor:
    """Does one thing after the other."""

    def __init__(self) -> None:
        self.worker: Any = None
        self.queue: list[_Call] = []
        self.lost = False


class _Call:
    def __init__(self, actor: _Actor, method: str, arguments: Any, *, dies: bool):
        self._actor, self._method, self._arguments, self._dies = actor, method, arguments, dies
        self._answered = False
        self._answer: Any = None
        actor.queue.append(self)

    def answer(self) -> Any:
        while not self._answered:
            first = self._actor.queue.pop(0)
            self._actor.lost |= first._dies
            if self._actor.lost:
                raise ActorLostError("it was killed")
            first._do()
        return self._answer

    def _do(self) -> None:
        self._answered = True
        if self._method == "start":
            self._actor.worker = self._arguments[0]()
        else:
            self._answer = getattr(self._actor.worker, self._method)(*self._arguments)
