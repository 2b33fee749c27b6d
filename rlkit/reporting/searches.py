"""Searches on a report: their trials, as plots and a table, beside the runs that trained the best settings again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import isfinite
from pathlib import Path

from rlkit.core.types import UsageError
from rlkit.reporting import tables
from rlkit.reporting.media import Media, own_files
from rlkit.runs.searching.plots import FILES
from rlkit.runs.searching.search import FILE
from rlkit.runs.searching.tables import COLUMNS, read_trials

SHOWN = 10
"""Trials in the table."""

METHOD = """\
<p>A trial of a search trains settings that a sampler has drawn; its value is the mean return of its last evaluation,
of its best, or the mean of all (<code>objective</code>). The best of many trials flatters itself: what its settings
are worth shows where they were trained again, with seeds that no trial had, beside the settings that the search began
with (<code>before</code>).</p>"""


def is_search(directory: Path) -> bool:
    """Return whether a folder is that of a search."""
    return (directory / FILE).is_file() and not (directory / "config.yaml").exists()


def runs_of(directory: Path) -> list[Path]:
    """Return the runs of a search that a report compares: settings that were trained again, else the best trials.

    Raises:
        UsageError: none has begun.
    """
    found = sorted(path.parent for path in (directory / "confirmed").glob("*/config.yaml"))
    if not found:
        best = [directory / "trials" / f"{int(row['trial']):04d}" for row in _ranked(directory)]
        found = [path for path in best if (path / "config.yaml").is_file()][:3]
    if not found:
        raise UsageError(f"{directory} has no complete trial yet: rlkit search resume={directory} goes on with it")
    return found


def sections(directories: Sequence[Path], media: Media) -> Iterator[str]:
    """Yield the sections of searches."""
    for directory in directories:
        yield f"<h2>Search {escape(directory.name)}</h2><section>"
        states = Counter(row["state"] for row in read_trials(directory))
        counted = ", ".join(f"{count} {escape(state)}" for state, count in states.most_common())
        yield f'<p class="soft">{sum(states.values())} trials: {counted}</p>'
        plots = own_files((directory / name for name in FILES), directory)
        yield f'<div class="media">{"".join(media.plot(path, directory) for path in plots)}</div>'
        yield _table(_ranked(directory)[:SHOWN])
        yield "</section>"


def _ranked(directory: Path) -> list[Mapping[str, str]]:
    """Return the complete trials, the best first."""
    complete = [row for row in read_trials(directory) if row["state"] == "complete" and _is_number(row["value"])]
    return sorted((row for row in complete if row["trial"].isdecimal()), key=lambda row: -float(row["value"]))


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    if not rows:
        return ""
    keys = [key for key in rows[0] if key not in COLUMNS]
    lines = [
        [escape(row["trial"]), tables.number(float(row["value"])), *(escape(row[key]) for key in keys)] for row in rows
    ]
    header = ["trial", "value", *(tables.breakable(key.removeprefix("agent.")) for key in keys)]
    return tables.table(header, lines, label="the best trials")
