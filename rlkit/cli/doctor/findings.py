"""Findings, and the examination that gathers them whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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


def examine(checks: Sequence[tuple[str, Check]] | None = None) -> list[Finding]:
    """Return all findings; a check that fails is a finding itself."""
    if checks is None:
        from rlkit.cli.doctor.installed import CHECKS as INSTALLED
        from rlkit.cli.doctor.machine import CHECKS as MACHINE

        checks = (*INSTALLED[:1], *MACHINE, *INSTALLED[1:])
    found: list[Finding] = []
    for topic, check in checks:
        try:
            found += check()
        except Exception as error:  # a machine can be odd in any way, and the other lines are wanted all the same
            told = " ".join(f"{type(error).__name__}: {error}".split())
            found.append(Finding(topic, State.broken, f"could not be examined ({told})"))
    return found
