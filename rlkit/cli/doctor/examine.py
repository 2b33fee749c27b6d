"""The examination: all findings, whatever goes wrong on the way."""

from __future__ import annotations

from collections.abc import Sequence

from rlkit.cli.doctor import installed, machine
from rlkit.cli.doctor.findings import Check, Finding, State


def examine(checks: Sequence[tuple[str, Check]] | None = None) -> list[Finding]:
    """Return all findings; a check that fails is a finding itself."""
    if checks is None:
        checks = (*installed.CHECKS[:1], *machine.CHECKS, *installed.CHECKS[1:])
    found: list[Finding] = []
    for topic, check in checks:
        try:
            found += check()
        except Exception as error:  # whatever a machine raises, the other lines are shown
            text = " ".join(f"{type(error).__name__}: {error}".split())
            found.append(Finding(topic, State.broken, f"could not be examined ({text})"))
    return found
