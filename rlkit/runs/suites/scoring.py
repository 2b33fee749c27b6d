"""One run of a suite: trained, or gone on with, and scored in fresh episodes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlkit.config.trust import Trust
from rlkit.core.csv_tables import read_table
from rlkit.runs.final_episodes import played
from rlkit.runs.launch import ended, objective
from rlkit.runs.run import Run
from rlkit.runs.suites.folder import FrozenTask, Row, SuiteFolder
from rlkit.runs.suites.peers import policies, trained_peer
from rlkit.runs.suites.plan import CHECKPOINTS, SuiteTask
from rlkit.runs.sweep import JobOutcome, Sweep

COLUMNS = ("agent", "environment", "seed", "steps", "checkpoint", "mean", "std", "episodes", "seconds")
DIGITS = 6
"""After the point, of what is kept: sums may differ in their last bits from processor to processor."""


def score(folder: SuiteFolder, frozen: FrozenTask, episodes: int, trust: Trust) -> list[Row]:
    """Train what is not trained yet, play the episodes that score it, and keep its rows.

    Args:
        folder: of the suite.
        frozen: the run.
        episodes: fresh ones for each checkpoint, equal for all agents of a seed.
        trust: what its configuration may name, beside rlkit's own.

    Raises:
        UsageError: something that the run needs is missing, or does not fit.
        RunError: something failed on the way.
        SystemExit: a signal stopped the run.
    """
    own = _of_peer if frozen.task.agent.call else _of_rlkit
    scores, curve, steps, seconds = own(frozen, episodes, trust)
    rows = [_row(frozen.task, steps, checkpoint, scores[checkpoint], seconds) for checkpoint in CHECKPOINTS]
    folder.keep(frozen.task.name, rows, [(step, round(value, DIGITS)) for step, value in curve])
    return rows


Scored = tuple[Mapping[str, Mapping[str, Any]], Sequence[tuple[int, float]], int, float | None]
"""Statistics of each checkpoint, (step, mean return) of each evaluation, steps and seconds."""


def _of_rlkit(frozen: FrozenTask, episodes: int, trust: Trust) -> Scored:
    sweep = Sweep(Path(frozen.part))
    if sweep.is_finished(frozen.number):
        run = Run(sweep.values(frozen.number)["run_dir"], trust)
    else:
        run = sweep.train(frozen.number, trust, typed=frozen.fresh)
        ended(run)
        sweep.keep(frozen.number, JobOutcome(objective(run), run.stopped))
    scores = {
        checkpoint: run.evaluate(episodes, checkpoint=checkpoint, seed=frozen.task.seed) for checkpoint in CHECKPOINTS
    }
    return scores, run.evaluation_means(), run.checkpoints[-1], _seconds(run)


def _of_peer(frozen: FrozenTask, episodes: int, trust: Trust) -> Scored:
    agent = frozen.task.agent
    config = Sweep(Path(frozen.part)).prepared(frozen.number, trust, typed=frozen.fresh)
    started = time.perf_counter()
    result = trained_peer(str(agent.call), config, agent.options)
    seconds = time.perf_counter() - started
    scores = {
        name: played(
            actor,
            config.environment,
            episodes,
            seed=config.seed,
            epsilon=0.0,
            sample=False,
            max_steps=config.eval.max_steps,
            num_envs=10,
        )
        for name, actor in policies(result).items()
    }
    return scores, list(result.evaluations), config.total_steps, seconds


def _row(task: SuiteTask, steps: int, checkpoint: str, found: Mapping[str, Any], seconds: float | None) -> Row:
    returns = found["return/raw"]
    values = (
        *(task.agent.name, task.env.name, task.seed, steps, checkpoint),
        *(round(returns["mean"], DIGITS), round(returns["std"], DIGITS), found["episodes"]),
        None if seconds is None else round(seconds, 1),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _seconds(run: Run) -> float | None:
    """Return the seconds of training and its evaluations, those of before a kill included; None of a short run.

    They are those of timings.csv: at its last row, which is no later than the end.
    """
    path = run.directory / "timings.csv"
    clock = read_table(path).get("time/seconds", ()) if path.exists() else ()
    return float(sum(_spent(clock))) if len(clock) else None


def _spent(clock: Iterable[float]) -> Iterator[float]:
    """Yield the seconds between rows of a clock that begins anew whenever a run is gone on with."""
    before = 0.0
    for now in clock:
        yield now - before if now > before else now
        before = now
