"""What is asked of the answer to every command line of nonsense (`fuzz_lines`).

By hand: ``python tests/fuzz_command_line.py --lines 5000 --seed 1``, or ``--each`` for each number of each file; it
prints each line that is answered wrongly, and now and then how far it is.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import pkgutil
import re
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from fuzz_lines import BUDGETS, ROWS, RUNS, Line, Lines, each_number

import rlkit
import rlkit.agents
import rlkit.envs
from rlkit.cli.main import VERBS, main

PYTHON = re.compile(
    r"Traceback|\b(?:Type|Attribute|Key|Value|Index|ZeroDivision|Overflow|Memory|Assertion|Runtime|Recursion|Name|"
    r"Unicode\w+|FileNotFound|NotADirectory|IsADirectory|OS|Import)Error\b|NoneType|object has no attribute|"
    r"not subscriptable|unexpected keyword|not iterable|not callable|positional argument|object is not|"
    r"unsupported operand|omegaconf\.|DictConfig|ListConfig|RLKIT_TRACEBACK|not enough memory"
)
"""What no message says: Python's errors instead of the mistake."""

PROGRESS_SECONDS = 20
LATE = "took too long"

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


class Answer(NamedTuple):
    """What a command line was answered with."""

    words: Sequence[str]
    status: int | None  # None: it took too long, or raised
    text: str
    nonsense: bool  # status 0 would be wrong

    def fault(self) -> str:
        """Return what is wrong with it, or an empty text."""
        if self.status is None:
            long = "Traceback" not in self.text and any(map(BUDGETS.fullmatch, self.words))
            return "" if long else "no answer"
        if found := PYTHON.search(self.text):
            return f"says {found[0]!r}"
        if self.nonsense and self.status == 0:
            return "status 0"
        return ""


class TooLong(BaseException):
    """A line was not answered in time."""


def answer(line: Line, seconds: float) -> Answer:
    """Run a command line in this process, for at most `seconds` of its processor's time."""

    late = False

    def stop(number: int, frame: Any) -> None:
        nonlocal late
        late = True
        raise TooLong

    out = io.StringIO()
    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    status: int | None = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = main(line.words)
    except TooLong:
        out.write(LATE)
    except BaseException as error:
        out.write(f"Traceback: {type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    if late:  # Compiled code may make another exception of the one that ended it.
        status = None
    return Answer(line.words, status, out.getvalue(), line.nonsense)


def answer_apart(line: Line, seconds: float) -> Answer:
    """Run a command line in a fork of this process, which is killed where even a signal does not end it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        given = answer(line, seconds)
        with os.fdopen(writing, "w") as out:
            json.dump([given.status, given.text], out)
        os._exit(0)
    os.close(writing)
    text = _read(reading, 5 * seconds + 10)
    if not text:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    found = json.loads(text) if text else (None, f"ended with status {status}")
    return Answer(line.words, *found, line.nonsense)


def _read(reading: int, seconds: float) -> str:
    """Return all that comes out of a pipe, or nothing after `seconds`."""
    until = time.monotonic() + seconds
    parts = []
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0, until - time.monotonic()))[0]:
            if not (part := pipe.read(1 << 16)):
                return b"".join(parts).decode()
            parts.append(part)
    return ""


def faults(
    lines: Iterable[Line],
    seconds: float = 30.0,
    run: Callable[[Line, float], Answer] = answer,
    runs: Collection[str] = tuple(RUNS),
) -> Iterator[tuple[Answer, str]]:
    """Yield the answers that are wrong, and what is wrong with each; runs in a folder of its own with a few runs."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            _make_runs(run, runs)
            for line in lines:
                given = run(line, seconds)
                if fault := given.fault():
                    yield given, fault
        finally:
            os.chdir(home)


def _make_runs(run: Callable[[Line, float], Answer], names: Collection[str]) -> None:
    """Make what lines name: the finished runs of these names, and a table."""
    Path("rows.csv").write_text(ROWS)
    for name, words in ((name, RUNS[name]) for name in names):
        small = ["eval.every=0", "video=none", "logger=[csv]"] if words.startswith("train") else []
        given = run(Line([*words.split(), *small, f"name={name}"], nonsense=False), 300.0)
        assert given.status == 0, given.text


def _counted(lines: Iterable[Line], total: str) -> Iterator[Line]:
    """Yield lines, and print now and then how many there were."""
    begun = shown = time.monotonic()
    for number, line in enumerate(lines):
        now = time.monotonic()
        if now - shown >= PROGRESS_SECONDS:
            shown = now
            print(f"… {number} of {total} lines, {now - begun:.0f} s", file=sys.__stderr__, flush=True)
        yield line


def _main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each", action="store_true", help="set each number of each file in turn")
    parser.add_argument("--values", nargs="*", help="the values for --each")
    parser.add_argument("--seconds", type=float, default=30.0, help="time limit of a line")
    parser.add_argument("--memory-gb", type=float, default=6.0, help="limit of this process's address space")
    options = parser.parse_args()
    limit = int(options.memory_gb * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if options.each:
        total, lines = "all", each_number(*([options.values] if options.values else []))
    else:
        total, lines = str(options.lines), islice(Lines(options.seed), options.lines)
    found = 0
    for given, fault in faults(_counted(lines, total), options.seconds, answer_apart):
        found += 1
        text = " ".join(given.text.split())[-300:]
        print(f"{fault}: rlkit {' '.join(given.words)}\n    {text}", file=sys.__stdout__, flush=True)
    print(f"{total} lines, {found} wrong ({len(VERBS)} verbs)")
    return int(found > 0)


def _import_everything() -> None:
    """Import what lines import, so that forks need not."""
    for name in ("torch", "torch._dynamo", "numba", "sklearn.pipeline", "sklearn.model_selection", "gymnasium"):
        importlib.import_module(name)
    for package in (rlkit, rlkit.agents, rlkit.envs):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)


if __name__ == "__main__":
    _import_everything()
    sys.exit(_main())
