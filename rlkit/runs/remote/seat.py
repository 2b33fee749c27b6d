"""An actor as its run sees it: what it was asked, and what it takes to put another in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from rlkit.core.types import RunError, State
from rlkit.runs.remote.fragment import Fragment, FragmentOrder
from rlkit.runs.remote.fragment_worker import FragmentWorker

TRIES = 5
"""How often an actor that is lost is replaced before it has answered one question."""

MakeWorker = Callable[[], FragmentWorker]


class ActorLostError(Exception):
    """An actor ended before it had answered, and why."""


class ActorEngine(Protocol):
    """Runs workers, each as an actor of its own."""

    def start(self, index: int, make: MakeWorker) -> Any:
        """Start actor `index`, in place of one that was lost; return the call whose result is None."""

    def call(self, index: int, method: str, *arguments: Any) -> Any:
        """Begin to call a method of a worker, after those before; return the call."""

    def result(self, call: Any) -> Any:
        """Wait for the result of a call.

        Raises:
            UsageError: the worker raised it.
            RunError: the worker raised it, or the actors' cluster is gone.
            ActorLostError: the actor ended.
        """

    def publish(self, state: State) -> Any:
        """Return what stands for `state` among the arguments of `call`."""

    def close(self) -> None:
        """End all actors."""


@dataclass
class Question:
    """A call that has not been answered."""

    method: str
    arguments: tuple[Any, ...]
    call: Any


class ActorSeat:
    """An actor of a run.

    A lost one is replaced by a new one that gets the same state and the same questions, so that its answers have the
    same bits.

    Attributes:
        start: the state of its environments before the fragment that is learned from; None if it cannot be read.
        end: after it.
    """

    def __init__(self, engine: ActorEngine, index: int, make: MakeWorker, remedy: str):
        """Start the actor; `remedy` says what to do where nothing can replace it."""
        self._engine, self._index, self._make, self._remedy = engine, index, make, remedy
        self._open: list[Question] = []
        self._starting = engine.start(index, make)
        self.start: State | None = None
        self.end: State | None = None

    def wait(self) -> None:
        """Wait until it has started.

        Raises:
            UsageError: its environments or its agent cannot be built.
            RunError: it ended.
        """
        try:
            self._engine.result(self._starting)
        except ActorLostError as error:
            raise RunError(f"an actor ended as soon as it had begun: {error}") from error

    def ask(self, method: str, *arguments: Any) -> Question:
        """Ask something, to be answered later."""
        question = Question(method, arguments, self._engine.call(self._index, method, *arguments))
        self._open.append(question)
        return question

    def answer(self, question: Question) -> Any:
        """Wait for an answer; a lost actor is replaced, if that is possible.

        Raises:
            UsageError: the worker raised it.
            RunError: likewise, or no other actor can take the place of a lost one.
        """
        for _ in range(TRIES):
            try:
                found = self._engine.result(question.call)
            except ActorLostError as error:
                lost = error
                self._replace(lost)
            else:
                self._open.remove(question)
                return found
        raise RunError(f"an actor ended {TRIES} times in the same fragment: {lost}; {self._remedy}") from lost

    def begin(self, question: Question) -> Any:
        """Return the first time step of new episodes, which `question` has asked for."""
        timestep, self.end = self.answer(question)
        self.start = self.end
        return timestep

    def restore(self, state: State) -> Question:
        """Let its environments have a state."""
        self.start = self.end = state
        return self.ask("restore", state)

    def fragment(self, question: Question) -> Fragment:
        """Return the fragment that `question` has ordered."""
        fragment, state = self.answer(question)
        self.start, self.end = self.end, state
        return fragment  # type: ignore[no-any-return]

    def within(self, acting: Any, order: FragmentOrder) -> Question:
        """Ask for the environments' state after a part of the fragment that is learned from."""
        return self.ask("replay", acting, order, self.start)

    def _replace(self, lost: ActorLostError) -> None:
        self._starting = self._engine.start(self._index, self._make)
        fresh = self._open[0].method in ("reset", "restart")
        if self.end is not None:
            self._engine.call(self._index, "restore", self.end)
        elif not fresh:
            raise RunError(
                f"an actor ended, and no other can take its place, as the state of its environments cannot be read: "
                f"{lost}; {self._remedy}"
            ) from lost
        for question in self._open:
            question.call = self._engine.call(self._index, question.method, *question.arguments)
