"""Notes for the reader of a report: what does not count, and what its intervals are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rlkit.config.tuning import NONE, mixtures
from rlkit.reporting.columns import column
from rlkit.reporting.groups import Group, environment_name
from rlkit.reporting.scores import GroupScore
from rlkit.runs.run import Run

RANGE_OF_MEAN, RANGE_OF_IQM = 3, 4
"""Seeds up to which an interval is the scores' range.

More than a fortieth of the resamples have the lowest score as their mean: 1 of 4, 1 of 27, but 1 of 256; and as their
interquartile mean, with four seeds, all that have it three times: 13 of 256.
"""


def of_copies(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a line for each run of a seed that another run counts for."""
    for group in groups:
        for copy, kept in group.copies:
            yield (
                f"{copy.directory} has the settings and the seed {kept.values['seed']} of {kept.directory}: they count "
                "once"
            )


def of_tuned_files(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a line for each environment in which groups use different tuned files."""
    yield from mixtures(
        [
            (environment_name(group.values), group.values["choices"].get("tuned", NONE), group.label)
            for group in groups
            if not group.fitted
        ]
    )


def of_returns(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a line for each run with returns that are not finite."""
    for run in (run for group in groups if not group.fitted for run in group.runs):
        missing = {table: _not_finite(run, table) for table in ("episodes", "evaluations")}
        if any(missing.values()):
            counts = " and ".join(f"{count:,} in {table}.csv" for table, count in missing.items() if count)
            yield f"{run.directory} has returns that are not finite, which count nowhere: {counts}"


def _not_finite(run: Run, table: str) -> int:
    return int(np.count_nonzero(~np.isfinite(column(run, table, "return/raw"))))


def of_intervals(groups: Sequence[Group], scores: Sequence[GroupScore]) -> Iterator[str]:
    """Yield a line for each group with too few seeds for a percentile interval."""
    for group, score in zip(groups, scores, strict=True):
        if 0 < score.scored < len(group.runs):
            yield f"{group.label}: {score.scored} of {len(group.runs)} seeds have a score, and the table is over these"
        if score.scored == 1:
            yield f"{group.label}: one seed, so there is no interval, and nothing is said of other seeds"
        elif 1 < score.scored <= RANGE_OF_MEAN:
            yield (
                f"{group.label}: {score.scored} seeds, so the interval is the range from the lowest score to the "
                "highest, and the interquartile mean leaves nothing out"
            )
        elif score.scored == RANGE_OF_IQM:
            yield (
                f"{group.label}: {score.scored} seeds, so the interval of the interquartile mean is the range from the "
                "lowest score to the highest"
            )
