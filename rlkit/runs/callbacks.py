"""The callbacks of a run: by name, called in order, with a line that names the one that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec

from rlkit.core.callback import Callback
from rlkit.core.types import RunError, State, UsageError, a_kind

P = ParamSpec("P")

Callbacks = Mapping[str, Callback]
"""Callbacks by name, in the order in which they are called."""

Hook = Callable[Concatenate[Callback, P], Any]


def implementing(callbacks: Callbacks, hook: Callable[..., Any]) -> dict[str, Callback]:
    """Return the callbacks that override a hook of `Callback`."""
    return {name: one for name, one in callbacks.items() if getattr(type(one), hook.__name__) is not hook}


def notify(callbacks: Callbacks, hook: Hook[P], *arguments: P.args, **keywords: P.kwargs) -> str | None:
    """Call a hook of each, and return the first reason to stop that one of them returns.

    Raises:
        RunError: one of them raised an exception, or returned something else than a reason.
    """
    reason = None
    for name, callback in callbacks.items():
        returned = _call(name, callback, hook.__name__, *arguments, **keywords)
        reason = reason or returned
    return reason


def _call(name: str, callback: Callback, hook: str, *arguments: Any, **keywords: Any) -> str | None:
    try:
        reason = getattr(callback, hook)(*arguments, **keywords)
    except (UsageError, RunError):
        raise  # It has a line of its own.
    except Exception as error:
        raise RunError(_failed(name, hook, error)) from error
    if reason is None or isinstance(reason, str):
        return reason
    raise RunError(f"{hook} of the callback {name} returned {reason!r}; return None, or the reason to stop as a text")


def _failed(name: str, hook: str, error: Exception) -> str:
    what = " ".join(str(error).split())
    return f"the callback {name} failed in {hook}: {type(error).__name__}{f': {what}' if what else ''}"


@contextmanager
def ending(callbacks: Callbacks, stopped: Sequence[str | None]) -> Iterator[None]:
    """End each when this ends, also those after one that fails; a failure beside an error becomes a note of that.

    Args:
        callbacks: the run's.
        stopped: its only item is why the run has stopped, or None; looked at in the end.

    Raises:
        RunError: one failed, in a run that did not.
    """
    try:
        yield
    except BaseException as error:
        for failure in _end(callbacks, None, error):
            error.add_note(str(failure))
        raise
    for failure in _end(callbacks, stopped[0], None):
        raise failure


def _end(callbacks: Callbacks, stopped: str | None, error: BaseException | None) -> list[Exception]:
    """End each, and return what they raised."""
    failures: list[Exception] = []
    for name, callback in callbacks.items():
        try:
            _call(name, callback, "end", stopped, error)
        except (UsageError, RunError) as failure:
            failures.append(failure)
    return failures


def states(callbacks: Callbacks) -> State:
    """Return the state of each that has one, by name: the others leave no trace in a checkpoint.

    Raises:
        RunError: one failed.
    """
    return {name: state for name, callback in callbacks.items() if (state := _state(name, callback))}


def _state(name: str, callback: Callback) -> State:
    try:
        return callback.state_dict()
    except (UsageError, RunError):
        raise
    except Exception as error:
        raise RunError(_failed(name, "state_dict", error)) from error


def load_states(callbacks: Callbacks, state: State) -> list[str]:
    """Restore each that has a state, and return the names of states without a callback.

    One that was added on resume starts as in a new run.

    Raises:
        RunError: one failed.
    """
    for name, callback in callbacks.items():
        if name in state:
            _call(name, callback, "load_state_dict", state[name])
    return [name for name in state if name not in callbacks]


def named(callbacks: Iterable[Callback]) -> dict[str, Callback]:
    """Name callbacks by their classes; of several of one class, the second is called ``<class>-2``.

    Raises:
        UsageError: something is not a callback.
    """
    found: dict[str, Callback] = {}
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise UsageError(f"callbacks=[…] holds {a_kind(callback)}; each must be an object of a Callback")
        base = name = type(callback).__name__
        number = 1
        while name in found:
            number += 1
            name = f"{base}-{number}"
        found[name] = callback
    return found


def joined(*groups: Callbacks) -> Callbacks:
    """Return callbacks of several origins together.

    Raises:
        UsageError: two have the same name, under which their states would be kept; or one is not a callback.
    """
    together: dict[str, Callback] = {}
    for group in groups:
        for name, callback in group.items():
            if not isinstance(callback, Callback):
                raise UsageError(f"{name} made {a_kind(callback)}, which is no rlkit.Callback")
            if name in together:
                raise UsageError(f"two callbacks are called {name}: rename one of them")
            together[name] = callback
    return together
