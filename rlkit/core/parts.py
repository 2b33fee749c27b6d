"""The parts of `Dict` and `Tuple` spaces by name: keys and places from the outside in, as ``camera/left`` or ``0``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from gymnasium import spaces

from rlkit.core.types import UsageError

SEPARATOR = "/"

OR_PART = "or give it _part_: name where it is for one part of a Dict or Tuple"
"""A remedy where observations are not what a wrapper takes."""


def parts_of(space: Any, whole: Collection[str] = ()) -> dict[str, Any]:
    """Return the spaces of the leaves by name, in the order of `rlkit.core.tree.leaves`.

    Parts named in `whole` are returned as they are, a `Dict` or `Tuple` included.
    """
    return dict(_leaves(space, "", whole))


def _leaves(space: Any, name: str, whole: Collection[str]) -> Iterator[tuple[str, Any]]:
    if isinstance(space, spaces.Dict | spaces.Tuple) and (not name or name not in whole):
        for key, part in _children(space):
            yield from _leaves(part, f"{name}{SEPARATOR}{key}" if name else str(key), whole)
    else:
        yield name, space


def _children(space: Any) -> Iterator[tuple[str | int, Any]]:
    yield from space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space)


def path_to(space: Any, name: str) -> tuple[str | int, ...]:
    """Return the keys and places that lead to the part `name`, which need be no leaf.

    Raises:
        UsageError: there is none; the message has the names that there are.
    """
    found = _search(space, name)
    if found is None:
        known = ", ".join(parts_of(space)) if isinstance(space, spaces.Dict | spaces.Tuple) else "none"
        raise UsageError(f"observations of {space} have no part {name!r}; name one of its parts: {known}")
    return found


def _search(space: Any, name: str) -> tuple[str | int, ...] | None:
    if not isinstance(space, spaces.Dict | spaces.Tuple):
        return None
    for key, part in _children(space):
        if str(key) == name:
            return (key,)
        if name.startswith(f"{key}{SEPARATOR}"):
            rest = _search(part, name[len(f"{key}{SEPARATOR}") :])
            if rest is not None:
                return (key, *rest)
    return None


def part_at(space: Any, words: Sequence[str]) -> Any:
    """Return the part of a space whose name begins the dotted path `words`; what follows is inside of a node for it.

    Raises:
        UsageError: there is none.
    """
    names = [".".join(words[:count]) for count in range(len(words), 0, -1)]
    found = next((name for name in names if _search(space, name) is not None), words[0])
    return at(space, path_to(space, found))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return the part of a space, or of an observation, at the end of `path`."""
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: tuple[str | int, ...], part: Any) -> Any:
    """Return a copy of a space, or of an observation, with `part` at the end of `path`; the rest is shared."""
    if not path:
        return part
    key: Any = path[0]
    new = replaced(value[key], path[1:], part)
    if isinstance(value, spaces.Dict):
        return spaces.Dict([(name, new if name == key else one) for name, one in value.spaces.items()])
    if isinstance(value, dict):
        return {**value, key: new}
    parts = [new if i == key else one for i, one in enumerate(value)]
    return spaces.Tuple(parts) if isinstance(value, spaces.Tuple) else tuple(parts)
