"""Sweeps of `rlkit train`: frozen when they start, run by a launcher of Hydra's, and gone on with after a kill."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from rlkit.config.compose import COMPLAINTS_OF_A_TASK, as_typed, composed, explained, parted_flags
from rlkit.config.compose import warn_of_mixed_tuning as warn
from rlkit.config.literals import spelled
from rlkit.config.messages import check_words
from rlkit.config.sweeps import JOB, PlannedSweep, launch, launcher_settings, planned
from rlkit.config.trust import packages
from rlkit.core.resources import prepare_torch
from rlkit.core.types import Interrupted, RunError, UsageError, printable
from rlkit.runs.launch import ended, objective
from rlkit.runs.sweep import Asked, JobOutcome, Sweep, frozen

T = TypeVar("T")

RESUME = "resume_sweep="
OF_RUNS = ("resume=", "empty_replay=")
"""Words that go on with runs that are there, so that there is nothing to freeze."""

ALLOWED = (RESUME, "trust=")
"""Words that go on with a sweep, beside those of Hydra's launchers."""

LOST = "it did not end: its process was killed, or never began"


def sweeps(argv: Sequence[str]) -> bool:
    """Start a sweep, or go on with one; return False where Hydra has to run the command line.

    Raises:
        UsageError: a mistake in the command line, or in all jobs that failed.
        RunError: jobs failed.
    """
    with as_typed(argv):
        check_words("train", argv)
        if any(word.startswith(RESUME) for word in argv):
            _resume(argv)
            return True
        flags, words = parted_flags(argv)
        if any(word.startswith(OF_RUNS) for word in words):
            return False
        if not {*flags} <= {"-m", "--multirun"} or (plan := planned("train", argv)) is None:
            return False
        _start(plan, argv)
        return True


def _start(plan: PlannedSweep, argv: Sequence[str]) -> None:
    _, words = parted_flags(argv)
    warn("train", spelled("train", ["-m", *words])[1:])
    jobs = [Asked(plan.differing(job), _composed([*plan.words, *job])) for job in plan.jobs]
    explicit = any(word.startswith("hydra.sweep.dir=") for word in words)
    sweep = frozen(Path(plan.settings.hydra.sweep.dir), jobs, explicit=explicit)
    _launch(sweep, plan.settings, _of_hydra(words), typed=True)


def _composed(words: Sequence[str]) -> Any:
    """Return the configuration of a job, and the files chosen for it, or why there is none."""
    try:
        return composed("train", words)
    except (UsageError, RunError) as error:
        return error


def _resume(argv: Sequence[str]) -> None:
    _, words = parted_flags(spelled("train", argv))
    for word in words:
        if not word.startswith((*ALLOWED, "hydra")):
            raise UsageError(
                f"{word.lstrip('+~').partition('=')[0]} cannot change where a sweep goes on: its sweep.yaml holds; "
                "only trust and Hydra's launcher can"
            )
    own = {one.key_or_group: one.value() for one in OverridesParser.create().parse_overrides(words)}
    sweep = Sweep(Path(str(own["resume_sweep"])))
    trust = own.get("trust")
    hydra = _of_hydra(words)
    _launch(sweep, launcher_settings(hydra), hydra, typed=False, trust=trust)


def _of_hydra(words: Iterable[str]) -> list[str]:
    return [word for word in words if word.lstrip("+~").startswith("hydra")]


def _launch(sweep: Sweep, settings: DictConfig, words: Sequence[str], *, typed: bool, trust: Any = None) -> None:
    """Run the jobs that are not finished, and report those that failed."""
    numbers, jobs = sweep.unfinished(), sweep.jobs
    again = shlex.join(["rlkit", "train", "-m", f"{RESUME}{sweep.directory}", *words])
    if len(jobs) > 1:
        print(f"sweep {sweep.directory}: {len(numbers)} of {len(jobs)} jobs to train", flush=True)
    settings.hydra.sweep.dir = str(sweep.directory)
    lost = LOST
    for number in numbers:
        sweep.forget(number)
    try:
        if numbers:
            launch(settings, numbers, partial(job, sweep=str(sweep.directory), typed=typed, trust=trust))
    except (Interrupted, KeyboardInterrupt, SystemExit):
        print(f"rlkit: the sweep goes on with: {again}", file=sys.stderr)
        raise
    except Exception as error:
        lost = f"it did not end: {said(error)}"
    _report(sweep, numbers, again, lost)


def job(config: DictConfig, *, sweep: str, typed: bool, trust: Any) -> float | None:
    """Train a job of a sweep, or go on with it, in the process that a launcher has for it; return its objective.

    Raises:
        SystemExit: a signal stopped its run.
    """
    prepare_torch()
    folder, number = Sweep(Path(sweep)), int(config[JOB])
    if (before := folder.outcome(number)) is not None and before.failed is None:
        return before.objective
    run = attempt(folder, number, lambda: folder.train(number, packages(trust), typed=typed))
    if run is None:
        return None
    ended(run)
    folder.keep(number, JobOutcome(objective(run), run.stopped))
    return objective(run)


def attempt(sweep: Sweep, number: int, make: Callable[[], T]) -> T | None:
    """Return what a job makes; None where it fails, which is kept as its outcome."""
    words = sweep.jobs[number].words
    try:
        with as_typed(words), explained("train", words, COMPLAINTS_OF_A_TASK):
            return make()
    except Exception as error:
        if os.environ.get("RLKIT_TRACEBACK"):
            traceback.print_exc()
        sweep.keep(number, JobOutcome(failed=said(error), usage=isinstance(error, UsageError)))
        return None


def said(error: Exception) -> str:
    """Return an error in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, (UsageError, RunError)) else f"{type(error).__name__}: {text}"


def _report(sweep: Sweep, numbers: Sequence[int], again: str, lost: str) -> None:
    """Print a line for each job that failed.

    Raises:
        UsageError: some failed, all by mistakes in the command.
        RunError: some failed.
    """
    failed = {job.number: JobOutcome(failed=job.refused, usage=True) for job in sweep.jobs if job.refused is not None}
    for number in numbers:
        outcome = sweep.outcome(number) or JobOutcome(failed=lost)
        if outcome.failed is not None:
            failed[number] = outcome
    if not failed:
        return
    kind = UsageError if all(outcome.usage for outcome in failed.values()) else RunError
    reasons = {outcome.failed for outcome in failed.values()}
    if len(failed) == len(sweep.jobs) and len(reasons) == 1:
        raise kind(str(*reasons))
    for number, outcome in sorted(failed.items()):
        print(f"rlkit: {printable(f'{sweep.jobs[number].title} {outcome.failed}')}", file=sys.stderr)
    raise kind(f"{len(failed)} of {len(sweep.jobs)} jobs failed; to try them once more: {again}")
