"""What tests of files that somebody else wrote share: every place of their content, and other values there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rlkit.core.types import RunError, UsageError

Place = tuple[Any, ...]
"""The keys and indices that lead to a value."""


def places(node: Any, path: Place = (), *, whole: tuple[type, ...] = ()) -> Iterator[Place]:
    """Yield the place of each value of a tree, nodes included; nothing inside of objects of the types `whole`."""
    branch = isinstance(node, (list, tuple)) and not isinstance(node, whole)
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if branch else ():
        yield (*path, key)
        yield from places(value, (*path, key), whole=whole)


def changed(node: Any, path: Place, value: Any) -> Any:
    """Return a tree with another value in one place."""
    if not path:
        return value
    key, *rest = path
    if isinstance(node, dict):
        return {**node, key: changed(node[key], tuple(rest), value)}
    return type(node)(changed(item, tuple(rest), value) if i == key else item for i, item in enumerate(node))


def one_line(action: Callable[[], Any], longest: int = 1000) -> str:
    """Return the line in which an action was refused, or nothing; whatever else it raises is raised."""
    said = ""
    try:
        action()
    except (UsageError, RunError) as error:
        said = str(error)
    assert "\n" not in said.strip()
    assert len(said) < longest
    return said
