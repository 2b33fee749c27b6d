"""What an examination finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from typing import NamedTuple


class State(Enum):
    """How something is."""

    ok = "ok"
    absent = "absent"  # rlkit does without it
    broken = "broken"  # it is there, or asked for, and does not work
    required = "required"  # rlkit cannot do without it


class Finding(NamedTuple):
    """One line of the examination."""

    topic: str
    state: State
    text: str
    remedy: str = ""


Check = Callable[[], Iterator[Finding]]
