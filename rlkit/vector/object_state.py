"""Environments of plain Python objects, whose state is all that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rlkit.core.types import RunError, State
from rlkit.vector.object_graph import Graph, NotPlainError, capture
from rlkit.vector.object_restoring import restore


class ObjectState:
    """A mixin that gives an environment of plain Python objects `get_state` and `set_state`.

    Attributes:
        state_packages: of whose modules the classes of its objects are.
        state_constants: attributes that stay as they are: options, spaces, what draws.
    """

    state_packages: tuple[str, ...] = ()
    state_constants: tuple[str, ...] = ()

    def get_state(self) -> State:
        """Return all objects that the environment holds, as plain data.

        Raises:
            RunError: one of them is no plain data.
        """
        try:
            return capture(self.objects())
        except NotPlainError as error:
            raise RunError(f"the state of {type(self).__name__} cannot be read: {error}") from error

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`.

        Raises:
            RunError: it is not one of such an environment.
        """
        restore(self.objects(), state)

    def objects(self) -> Graph:
        """Return the objects that are its state."""
        return Graph([self], self.state_packages, frozenset(self.state_constants))


def with_object_state(kind: type, packages: Sequence[str], constants: Sequence[str]) -> type:
    """Return a subclass of an environment's class that has `ObjectState`, under its name."""
    own = {"state_packages": tuple(packages), "state_constants": tuple(constants), "__module__": kind.__module__}
    return type(kind.__name__, (ObjectState, kind), own)


def why_not_plain(env: Any) -> str | None:
    """Return in one line what of an environment with `ObjectState` is no plain data now; None if all is."""
    try:
        capture(env.objects())
    except NotPlainError as error:
        return str(error)
    return None
