"""Suites of `rlkit bench`: runs frozen when they are first asked for, trained by a launcher of Hydra's, and scored."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rlkit.cli.sweeping import LOST, attempt, said
from rlkit.config.instantiate import plain
from rlkit.config.sweeps import JOB, launch, launcher_settings
from rlkit.config.trust import Trust, packages
from rlkit.core.resources import prepare_torch
from rlkit.core.types import Interrupted, RunError, UsageError, printable
from rlkit.reporting.suites.write import write_results
from rlkit.runs.suites.folder import FrozenTask, SuiteFolder
from rlkit.runs.suites.plan import planned_suite
from rlkit.runs.suites.scoring import score
from rlkit.runs.sweep import JobOutcome, Sweep


def bench(config: DictConfig, suite: str, search: Sequence[str], hydra: Sequence[str]) -> None:
    """Run what is not finished, and write the table and the plots of all that is.

    Args:
        config: that of `rlkit bench`.
        suite: the name of its file.
        search: words that name folders of YAML files.
        hydra: words that choose a launcher.

    Raises:
        UsageError: a mistake in the command, or in all runs that failed.
        RunError: runs failed; the table is of the others.
    """
    values = plain(config)
    trust = packages(values["trust"])
    plan = planned_suite(values, suite, search)
    folder = SuiteFolder(Path(values["run_dir"] or Path("runs") / "bench" / suite))
    settings = launcher_settings(_launcher(values["workers"], hydra))
    frozen, refused = folder.freeze(plan)
    failed = {name: JobOutcome(failed=why, usage=True) for name, why in refused.items()}
    failed |= _train(folder, frozen, settings, plan.episodes, trust)
    if folder.finished():
        made = write_results(folder, Path(values["out"] or folder.directory))
        print(json.dumps(made.as_json()) if values["output"] == "json" else made.text())
    _complain(folder, failed, len(frozen) + len(refused))


def _launcher(workers: int, hydra: Sequence[str]) -> list[str]:
    """Return the words that choose a launcher of Hydra's.

    Raises:
        UsageError: its package is missing, or there are two.
    """
    if workers == 1:
        return list(hydra)
    if hydra:
        raise UsageError(f"workers={workers} chooses a launcher, and so does {hydra[0]}; leave one of them out")
    if importlib.util.find_spec("hydra_plugins.hydra_joblib_launcher") is None:
        raise UsageError(f"workers={workers} needs the extra joblib: pip install hydra-joblib-launcher")
    return ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}"]


def _train(
    folder: SuiteFolder, frozen: Sequence[FrozenTask], settings: DictConfig, episodes: int, trust: Trust
) -> dict[str, JobOutcome]:
    """Run what is not finished; return what failed by the runs' names."""
    left = [number for number, one in enumerate(frozen) if folder.scores(one.task.name) is None]
    print(f"suite {folder.directory}: {len(left)} of {len(frozen)} runs to train", file=sys.stderr, flush=True)
    settings.hydra.sweep.dir = str(folder.directory)
    lost = LOST
    for number in left:
        _forget_failure(frozen[number])
    try:
        if left:
            task = partial(job, directory=str(folder.directory), frozen=list(frozen), episodes=episodes, trust=trust)
            launch(settings, left, task)
    except (Interrupted, KeyboardInterrupt, SystemExit):
        print("rlkit: the same command goes on", file=sys.stderr)
        raise
    except Exception as error:
        lost = f"it did not end: {said(error)}"
    unfinished = (frozen[number] for number in left if folder.scores(frozen[number].task.name) is None)
    return {one.task.name: _outcome(one) or JobOutcome(failed=lost) for one in unfinished}


def _outcome(frozen: FrozenTask) -> JobOutcome | None:
    outcome = Sweep(Path(frozen.part)).outcome(frozen.number)
    return outcome if outcome is not None and outcome.failed is not None else None


def _forget_failure(frozen: FrozenTask) -> None:
    if _outcome(frozen) is not None:
        Sweep(Path(frozen.part)).forget(frozen.number)


def job(config: DictConfig, *, directory: str, frozen: Sequence[FrozenTask], episodes: int, trust: Trust) -> None:
    """Train and score a run of a suite, in the process that a launcher has for it.

    Raises:
        SystemExit: a signal stopped the run.
    """
    prepare_torch()
    folder, one = SuiteFolder(Path(directory)), frozen[int(config[JOB])]
    if folder.scores(one.task.name) is not None:
        return
    rows = attempt(Sweep(Path(one.part)), one.number, lambda: score(folder, one, episodes, trust))
    if rows is not None:
        done = len(folder.finished())
        print(f"{done:>4} {one.task.name}: {_told(rows)}", file=sys.stderr, flush=True)


def _told(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{row['checkpoint']} {row['mean']:.4g}" for row in rows)


def _complain(folder: SuiteFolder, failed: Mapping[str, JobOutcome], total: int) -> None:
    """Print a line for each run that failed.

    Raises:
        UsageError: some did, all by mistakes in the command.
        RunError: some did.
    """
    if not failed:
        return
    kind = UsageError if all(outcome.usage for outcome in failed.values()) else RunError
    for name, outcome in failed.items():
        print(f"rlkit: {printable(f'[{name}] {outcome.failed}')}", file=sys.stderr)
    where = shlex.quote(str(folder.directory))
    raise kind(f"{len(failed)} of {total} runs failed; the same command tries them once more, in {where}")
