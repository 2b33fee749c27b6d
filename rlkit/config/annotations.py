"""Annotations of constructors, searched for the marker `rlkit.core.types.FromRun`.

They are text if a module begins with ``from __future__ import annotations``, and may use names that are imported only
for type checkers; such names can mean anything.
"""

from __future__ import annotations

import builtins
import collections.abc
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any, Union, get_args, get_origin

from rlkit.core.types import FromRun

MARK = FromRun.__metadata__[0]  # where an alias of Annotated keeps its metadata


def is_marked(annotation: Any, names: Mapping[str, Any]) -> bool:
    """Return whether an annotation, which may be text that uses `names`, is ``FromRun[…]`` or an alias of it."""
    annotation = evaluated(annotation, names)
    if any(part is MARK for part in getattr(annotation, "__metadata__", ())):
        return True
    return get_origin(annotation) in (Union, types.UnionType) and any(
        is_marked(part, names) for part in get_args(annotation)
    )


def evaluated(annotation: Any, names: Mapping[str, Any]) -> Any:
    """Return what `annotation` means, which may be text that uses `names`; None if nothing that is known here.

    If the content of its brackets works only for type checkers, that is what the part before them means.
    """
    if not isinstance(annotation, str):
        return annotation
    return _evaluated(annotation, names)


@functools.lru_cache(1024)
def _compiled(text: str) -> CodeType:
    return compile(text, "<annotation>", "eval")


def _evaluated(text: str, names: Mapping[str, Any]) -> Any:
    for part in (text, text.partition("[")[0]):
        try:
            return eval(_compiled(part), {}, names)
        except Exception:  # a user's annotation can raise anything
            continue
    return None


class Namespace(dict[str, Any]):
    """The names that annotations of a callable can use; any other name is `_Unknown`."""

    def __init__(self, target: Callable[..., Any]):
        """Look up names in the modules of `target` and, for a dataclass, of the classes that it extends."""
        super().__init__()
        self._modules = list(_modules(target))

    def __missing__(self, name: str) -> Any:
        """Return the value of `name`."""
        for module in self._modules:
            if name in module:
                return module[name]
        common = getattr(builtins, name, getattr(collections.abc, name, None))
        return getattr(_UNKNOWN, name) if common is None else common


def _modules(target: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the namespaces of the modules in which annotations of `target` may be written, the likeliest first."""
    while isinstance(target, functools.partial):
        target = target.func
    kinds = target.__mro__ if isinstance(target, type) else ()
    makers = [vars(kind)[name] for kind in kinds for name in ("__init__", "__new__") if name in vars(kind)]
    for maker in [target, *makers]:
        yield getattr(inspect.unwrap(maker), "__globals__", {})
    for owner in [target, *kinds]:
        yield vars(sys.modules.get(owner.__module__, builtins))


class _Unknown:
    """A name known only to type checkers: every result of using it is unknown too, except ``….FromRun``."""

    __iter__ = None  # otherwise `__getitem__` would make it an endless iterable

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return FromRun if name == "FromRun" else self

    def __getitem__(self, key: Any) -> _Unknown:
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> _Unknown:
        return self

    def __or__(self, other: Any) -> _Unknown:
        return self

    __ror__ = __or__


UNKNOWN = _Unknown
_UNKNOWN = _Unknown()
