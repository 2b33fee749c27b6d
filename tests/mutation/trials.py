"""One fault in one copy: put in, tested, taken out again."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

from copies import Copy
from operators import Mutant

GRACE = 60.0
"""Seconds that any test may take on a busy machine, beside ten times what it took when it was measured."""


COLLECTING = ("ERROR tests/", "ImportError while loading conftest", "error during collection")
"""What pytest says where a test file cannot even be read."""


class Trial(NamedTuple):
    """What became of a fault.

    Attributes:
        result: noticed, timeout, survived, unreached, equivalent, or error where pytest did not run
        by: the test that noticed it, or the reason why nothing can
        tests: how many ran
        left_out: how many reach it and did not run, for want of patience
        seconds: how long it took
    """

    result: str
    by: str = ""
    tests: int = 0
    left_out: int = 0
    seconds: float = 0.0


def tried(copy: Copy, mutant: Mutant, order: tuple[dict[str, float], list[str]]) -> Trial:
    """Run the tests in a copy that has the fault, to the first that fails."""
    chosen, left = order
    if not chosen:
        return Trial("unreached")
    path, started = copy.tree / mutant.module, time.monotonic()
    original, stamp = path.read_text(), path.stat()
    copy.warm(mutant.module)
    try:
        path.write_text(mutant.apply(original))
        _forget(path)
        result, by, number = _tested(copy, chosen)
    finally:
        copy.end_processes()
        path.write_text(original)
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        _forget(path)
    return Trial(result, by, number, len(left), round(time.monotonic() - started, 1))


def _forget(path: Path) -> None:
    """Drop what Python compiled of a file: it tells texts apart by size and full seconds alone."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()


def _tested(copy: Copy, tests: dict[str, float]) -> tuple[str, str, int]:
    """Return the result, the test that decided it and how many ran."""
    folder = copy.tree.parent / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log, order = folder / "log.json", folder / "order.json"
    limits = {test: GRACE + 10 * seconds for test, seconds in tests.items()}
    order.write_text(json.dumps({"limits": limits, "log": str(log)}))
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    imported = "ignore::pytest.PytestAssertRewriteWarning"
    words = [
        "-W",
        imported,
        "-p",
        "watching",
        "-p",
        "no:cacheprovider",
        "-x",
        "-q",
        f"--basetemp={folder}/files",
        *files,
    ]
    code = copy.pytest(
        words, folder / "output.txt", GRACE + sum(limits.values()), copy.environment(MUTATION_TESTS=str(order))
    )
    if code is None:
        return "timeout", "", 0
    notes: dict[str, Any] = json.loads(log.read_text()) if log.exists() else {"running": None, "failed": None, "ran": 0}
    if code == 0:
        return "survived", "", notes["ran"]
    if notes["failed"]:
        return "noticed", notes["failed"], notes["ran"]
    if notes["running"]:
        killed = "Timeout" in (folder / "output.txt").read_text()
        return "timeout" if killed else "noticed", notes["running"], notes["ran"]
    said = (folder / "output.txt").read_text()
    if any(word in said for word in COLLECTING):
        return "noticed", "collection", 0
    return "error", f"pytest ended with {code}: {' '.join(said.split())[-300:]}", 0
