"""Searches: begun or joined, by workers in processes of their own or by a launcher of Hydra's."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rlkit.config.compose import as_typed
from rlkit.config.sweeps import launch, launcher_settings
from rlkit.config.trust import packages
from rlkit.core.resources import prepare_torch
from rlkit.core.types import Interrupted, RunError, printable
from rlkit.runs.searching.request import AskedSearch, asked
from rlkit.runs.searching.results import Results, finish
from rlkit.runs.searching.search import SearchFolder, opened
from rlkit.runs.searching.work import is_done, work


def search(argv: Sequence[str]) -> None:
    """Search, and print what was found.

    Raises:
        UsageError: a mistake in the command line.
        RunError: one training after the other failed, or a worker did.
    """
    results, as_json = found(argv)
    if as_json:
        print(json.dumps(results.as_json()), flush=True)
        return
    for line in results.lines():
        say(line)


def found(argv: Sequence[str]) -> tuple[Results, bool]:
    """Begin a search, or go on with it, until nothing is left; return what it found, and whether JSON is asked for.

    Raises:
        UsageError: a mistake in the command line.
        RunError: one training after the other failed, or a worker did.
    """
    with as_typed(argv):
        wanted = asked(argv)
        one, settings = wanted.search, wanted.settings
        typed = settings.resume is None
        one.require_trusted(packages(settings.trust), typed=typed)
        as_json = settings.output.name == "json"
        for line in [*wanted.notes, _greeting(one)]:
            say(line, err=as_json)
        try:
            _train(wanted, typed=typed)
        except (Interrupted, KeyboardInterrupt, SystemExit):
            again = shlex.join(["rlkit", "search", f"resume={one.directory}"])
            print(f"rlkit: the search goes on with: {again}", file=sys.stderr)
            raise
        return finish(opened(one.directory)), as_json


def say(line: str, *, err: bool = False) -> None:
    """Print a line for the user."""
    print(printable(line), file=sys.stderr if err else sys.stdout, flush=True)


def _greeting(one: SearchFolder) -> str:
    begun = len(one.journal.trials())
    return f"search {one.directory}: {begun} of {one.total} trials begun, {len(one.dimensions)} settings searched"


def _train(wanted: AskedSearch, *, typed: bool) -> None:
    one, count = wanted.search, wanted.settings.workers
    as_json = wanted.settings.output.name == "json"
    if wanted.launcher:
        settings = launcher_settings(wanted.launcher)
        settings.hydra.sweep.dir = str(one.directory)
        task = partial(worker, directory=str(one.directory), trust=wanted.settings.trust, typed=typed)
        launch(settings, range(count), task)
    elif count > 1:
        _side_by_side(one.directory, count, wanted.settings.trust)
    else:
        work(one, partial(say, err=as_json), typed=typed)


def worker(config: DictConfig, *, directory: str, trust: Any, typed: bool) -> None:
    """Work at a search in the process that a launcher has for it."""
    prepare_torch()
    one = opened(Path(directory))
    one.require_trusted(packages(trust), typed=typed)
    work(one, say, typed=typed)


def _side_by_side(directory: Path, count: int, trust: Any) -> None:
    """Let processes work at a search; return when all have ended.

    Raises:
        RunError: one failed, after the others have ended.
    """
    command = [sys.executable, "-P", "-m", "rlkit.cli.worker", str(directory), *packages(trust)]
    # A pipe that closes when this process dies, however it dies, tells them to stop.
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(count)]
    try:
        failed = [process.pid for process in processes if process.wait() != 0]
    except BaseException:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        raise
    if failed and not is_done(opened(directory)):
        raise RunError(f"{len(failed)} of {count} workers ended early, and what they left has to be gone on with")
