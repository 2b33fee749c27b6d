"""The table of a suite: a line for each agent in each environment, and one for each agent in all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.reporting.comparisons import Pair, improvement
from rlkit.reporting.intervals import Interval, interquartile_mean, stratified_intervals
from rlkit.reporting.scores import Aggregate
from rlkit.reporting.suites.results import SuiteResults
from rlkit.runs.suites.plan import CHECKPOINTS
from rlkit.runs.suites.scoring import DIGITS

ALL = "all"
"""The environment of lines over all environments, whose scores are normalized."""

COLUMNS = (
    *("environment", "agent", "checkpoint", "runs", "environments"),
    *("mean", "mean_low", "mean_high", "iqm", "iqm_low", "iqm_high"),
    *("improvement", "improvement_low", "improvement_high", "seconds"),
)


class TableLine(NamedTuple):
    """A line of the table."""

    environment: str
    agent: str
    checkpoint: str
    runs: int
    environments: int
    mean: Aggregate
    iqm: Aggregate
    improvement: Aggregate | None  # over the baseline; None for itself, and where it has no runs
    seconds: float | None  # of a run, a mean

    def values(self) -> dict[str, Any]:
        """Return the cells of the CSV file by its columns."""
        return {
            **{key: getattr(self, key) for key in COLUMNS[:5]},
            **_cells("mean", self.mean),
            **_cells("iqm", self.iqm),
            **_cells("improvement", self.improvement),
            "seconds": None if self.seconds is None else round(self.seconds, 1),
        }


def _cells(key: str, found: Aggregate | None) -> dict[str, float | None]:
    low, high = (None, None) if found is None or found.interval is None else found.interval
    value = None if found is None else found.value
    numbers = {key: value, f"{key}_low": low, f"{key}_high": high}
    return {name: None if number is None else round(number, DIGITS) for name, number in numbers.items()}


def lines(results: SuiteResults) -> list[TableLine]:
    """Return the table: first the lines over all environments, where there are several, then one environment's each."""
    return [*_overall(results), *_of_environments(results)]


def _of_environments(results: SuiteResults) -> Iterator[TableLine]:
    for environment in results.environments:
        for agent in results.agents:
            for checkpoint in CHECKPOINTS:
                scores = {environment: results.scores(agent, environment, checkpoint)}
                others = {environment: results.scores(results.about["baseline"], environment, checkpoint)}
                if len(scores[environment]):
                    yield _line(results, environment, (agent, checkpoint), scores, others)


def _overall(results: SuiteResults) -> Iterator[TableLine]:
    for agent in results.agents if len(results.environments) > 1 else ():
        for checkpoint in CHECKPOINTS:
            if scores := results.normalized(agent, checkpoint):
                others = results.normalized(results.about["baseline"], checkpoint)
                yield _line(results, ALL, (agent, checkpoint), scores, others)


def _line(
    results: SuiteResults,
    environment: str,
    of: tuple[str, str],
    scores: Mapping[str, Array],
    others: Mapping[str, Array],
) -> TableLine:
    """Return the line of an agent and checkpoint `of`, from scores [seeds] in each environment, and the baseline's."""
    agent, checkpoint = of
    mean, iqm = _aggregates(list(scores.values()))
    shared: list[Pair] = [(scores[name], others[name]) for name in scores if len(others.get(name, ()))]
    compared = improvement(shared, np.random.default_rng(0)) if shared else None
    seconds = [row["seconds"] for name in scores for row in results.of(agent, name, checkpoint)]
    known = [value for value in seconds if value is not None]
    return TableLine(
        *(environment, agent, checkpoint, sum(map(len, scores.values())), len(scores), mean, iqm),
        None if agent == results.about["baseline"] else compared,
        float(np.mean(known)) if known else None,
    )


def _aggregates(tasks: list[Array]) -> tuple[Aggregate, Aggregate]:
    """Return mean and interquartile mean of all runs' scores, [seeds] of each task, with their intervals."""
    scores = np.concatenate(tasks)
    intervals: Sequence[Interval | None] = (None, None)
    if any(len(task) > 1 for task in tasks):
        intervals = stratified_intervals(tasks, (np.mean, interquartile_mean), np.random.default_rng(0))
    return Aggregate(float(np.mean(scores)), intervals[0]), Aggregate(float(interquartile_mean(scores)), intervals[1])
