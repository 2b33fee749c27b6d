"""Which options a function that makes environments has, where it hands some on."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

Made = TypeVar("Made")


def with_options_of(kind: Callable[..., Any], make: Callable[..., Made]) -> Callable[..., Made]:
    """Return `make`, whose ``**options`` go to `kind`, with a signature that names them all.

    Options in a YAML are held against the signature, in the module of what they are for, and complaints name it.
    """
    own = [p for p in inspect.signature(make).parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters = [*inspect.signature(kind).parameters.values(), *own]
    named: Any = make
    whose: Any = kind
    named.__signature__ = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in parameters])
    named.__name__, named.__module__, named.__doc__ = whose.__name__, whose.__module__, whose.__init__.__doc__
    return make
