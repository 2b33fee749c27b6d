"""Steps that learn when the next action is known, as SARSA's do."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from rlkit.core.types import State


class Acted(Protocol):
    """A step, as a NamedTuple."""

    @property
    def a_tm1(self) -> int:
        """What was done."""

    @property
    def last(self) -> bool:
        """The episode ended."""


S = TypeVar("S", bound=Acted)


class Waiting(Generic[S]):
    """The newest step of each environment, until the next one tells what was done in its successor."""

    def __init__(self, kind: type[S]):
        """Hold steps of `kind`."""
        self._kind: Any = kind
        self._steps: dict[int, S] = {}

    def add(self, i: int, step: S) -> list[tuple[S, int | None]]:
        """Take a step of environment `i`, and return those that can learn now, with the next action.

        It is None where an episode ended: nothing was done in its last state.
        """
        before = self._steps.pop(i, None)
        ready: list[tuple[S, int | None]] = [] if before is None else [(before, step.a_tm1)]
        if step.last:
            return [*ready, (step, None)]
        self._steps[i] = step
        return ready

    def state_dict(self) -> State:
        """Return the steps that wait."""
        return {"steps": [[i, list(step)] for i, step in self._steps.items()]}  # type: ignore[call-overload]

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self._steps = {int(i): self._kind(*step) for i, step in state["steps"]}
