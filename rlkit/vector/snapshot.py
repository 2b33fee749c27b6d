"""Read and write the whole state of a Gymnasium environment as plain data, layer by layer.

A layer (a wrapper, or the environment at the core) is read in the first way that works:

1. its class, or a base of it, offers ``get_state()`` and ``set_state(state)``. A subclass that adds state extends both,
   or declares `state_fields` for what it adds;
2. by the attributes that its class and bases declare as `state_fields` (`rlkit.vector.declarations`), and for
   some of Gymnasium's own classes are known.

A subclass inherits its base's `state_fields`, and names in its own what it adds. One that has none of its own, and sets
attributes that its base does not declare, cannot be read: they may change while it runs, and a snapshot without them
would be silently wrong. It must declare those that change, or ``()``. A declared attribute that nothing sets is
misspelled, so such a class cannot be read either. Changes by a subclass *inside* a list or an array that its base keeps
are not noticed: the subclass must declare it.

One layer that cannot be read makes the whole environment opaque. The generator is always included; wrappers that only
observe never are, so a run may be resumed with another choice of video.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from rlkit.core.declarations import attributes_set_by
from rlkit.core.types import State, UsageError
from rlkit.vector.declarations import BASES, known, only_watches

NO_STATE = frozenset(
    {"action_space", "metadata", "np_random", "observation_space", "render_mode", "spec"}
    | {"_action_space", "_metadata", "_np_random", "_np_random_seed", "_observation_space"}
)
"""Gymnasium's own attributes: they are constant, or in a snapshot anyway."""

BIT_GENERATORS: dict[str, Callable[[], np.random.BitGenerator]] = {
    "MT19937": np.random.MT19937,
    "PCG64": np.random.PCG64,
    "PCG64DXSM": np.random.PCG64DXSM,
    "Philox": np.random.Philox,
    "SFC64": np.random.SFC64,
}


class Reading(NamedTuple):
    """How the state of a class is read."""

    by_methods: bool  # by get_state and set_state
    fields: tuple[str, ...]  # attributes besides
    refusal: str | None  # why it cannot be read, in one line


def layers(env: gymnasium.Env[Any, Any]) -> Iterator[gymnasium.Env[Any, Any]]:
    """Yield the wrappers from the outside in, without those that only observe, then the environment itself."""
    while isinstance(env, gymnasium.Wrapper):
        if not only_watches(env):
            yield env
        env = env.env
    yield env


def class_name(kind: type) -> str:
    """Return the name of a class, module included."""
    return f"{kind.__module__}.{kind.__qualname__}"


def why_opaque(env: gymnasium.Env[Any, Any]) -> str | None:
    """Return in one line which layer of `env` cannot be read, and what it lacks; None if all can be."""
    refusals = (_reading_of(layer).refusal for layer in layers(env))
    return next((refusal for refusal in refusals if refusal is not None), None)


def _reading_of(layer: Any) -> Reading:
    kind: Any = type(layer)
    return reading(kind)


@cache
def reading(kind: type) -> Reading:
    """Return how the state of a class is read.

    Raises:
        UsageError: its `state_fields` are not a tuple of names.
    """
    declared = {part: fields for part in kind.__mro__ if (fields := _declared(part)) is not None}
    provider = _provider(kind)
    if provider is not None:
        declared = {part: fields for part, fields in declared.items() if not issubclass(provider, part)}
    fields = tuple(dict.fromkeys(field for own in reversed(declared.values()) for field in own))
    return Reading(provider is not None, fields, _refusal(kind, provider, declared, fields))


def _declared(kind: type) -> tuple[str, ...] | None:
    """Return the fields that a class itself declares, or None."""
    if "state_fields" not in vars(kind):
        row = known(kind)
        return None if row is None else row.state_fields
    fields = vars(kind)["state_fields"]
    if not isinstance(fields, (tuple, list)) or not all(isinstance(field, str) for field in fields):
        raise UsageError(
            f"state_fields of {class_name(kind)} is {fields!r}; it must be a tuple of names, as in "
            "state_fields = ('_count',)"
        )
    return tuple(fields)


def _provider(kind: type) -> type | None:
    """Return the nearest class of `kind` and its bases that offers get_state and set_state, or None."""
    if not all(callable(getattr(kind, name, None)) for name in ("get_state", "set_state")):
        return None
    return next(part for part in kind.__mro__ if "get_state" in vars(part))


def _refusal(
    kind: type, provider: type | None, declared: Mapping[type, tuple[str, ...]], fields: tuple[str, ...]
) -> str | None:
    name = class_name(kind)
    undeclared = sorted(_undeclared(kind, declared) - set(fields)) if provider is None else []
    if provider is None and not set(declared) - set(BASES) and (undeclared or not declared):
        return f"{name} declares no state_fields and offers no get_state() and set_state(state)"
    theirs = [field for part, own in declared.items() if known(part) is None for field in own]
    mistaken = [field for field in theirs if not _sets(kind, field)]
    if mistaken:
        return f"{name} declares state_fields {', '.join(mistaken)}, which nothing in it sets; correct the name"
    if undeclared:
        return (
            f"{name} sets {', '.join(undeclared)}, which no state_fields of it name; let it declare state_fields of "
            "its own: those of them that change while it runs, or () where none does"
        )
    return None


def _sets(kind: type, field: str) -> bool:
    """Return whether `kind` or a base sets an attribute, or has it as a value or a property."""
    if not callable(getattr(kind, field, len)):
        return True
    return any(field in attributes_set_by(part) for part in kind.__mro__)


def _undeclared(kind: type, declared: Mapping[type, tuple[str, ...]]) -> frozenset[str]:
    """Return the attributes set by classes that neither declare fields nor are a base of a class that does."""
    silent = [part for part in kind.__mro__ if not any(issubclass(by, part) for by in declared)]
    return frozenset[str]().union(*(attributes_set_by(part) for part in silent)) - NO_STATE


def capture(env: gymnasium.Env[Any, Any]) -> State | None:
    """Return the state of `env`, wrappers and generator included, or None if it is opaque."""
    if why_opaque(env) is not None:
        return None
    return {"layers": [_read(layer) for layer in layers(env)], "generator": _read_generator(env.unwrapped)}


def restore(env: gymnasium.Env[Any, Any], state: State) -> None:
    """Restore a state from `capture` in `env`, which is built like the captured environment."""
    for layer, saved in zip(layers(env), state["layers"], strict=True):
        _write(layer, saved)
    _write_generator(env.unwrapped, state["generator"])


def _read(layer: Any) -> Any:
    how = _reading_of(layer)
    # Copies, because some are changed in place (Blackjack's hands).
    fields = {field: copy.deepcopy(getattr(layer, field)) for field in how.fields if hasattr(layer, field)}
    if not how.by_methods:
        return fields
    # Boards that get_state returns as they are would go on in the state.
    state = copy.deepcopy(layer.get_state())
    return {"state": state, "fields": fields} if how.fields else state


def _write(layer: Any, saved: Any) -> None:
    how = _reading_of(layer)
    if how.by_methods:
        layer.set_state(copy.deepcopy(saved["state"] if how.fields else saved))
        saved = saved["fields"] if how.fields else {}
    for field in how.fields:
        if field in saved:
            setattr(layer, field, copy.deepcopy(saved[field]))
        else:
            vars(layer).pop(field, None)  # not set yet when it was captured


def _read_generator(env: Any) -> State | None:
    generator = vars(env).get("_np_random")
    if generator is None:
        return None
    return {"state": generator.bit_generator.state, "seed": vars(env).get("_np_random_seed")}


def _write_generator(env: Any, saved: State | None) -> None:
    if saved is None:
        return
    bits = BIT_GENERATORS[saved["state"]["bit_generator"]]()
    bits.state = saved["state"]
    env._np_random = np.random.Generator(bits)
    env._np_random_seed = saved["seed"]
