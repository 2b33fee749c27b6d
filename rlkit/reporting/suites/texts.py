"""The table of a suite in Markdown, for documentation and terminals, and the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from rlkit.reporting import tables
from rlkit.reporting.chart import chart
from rlkit.reporting.groups import Group
from rlkit.reporting.page import document
from rlkit.reporting.scores import Aggregate
from rlkit.reporting.sections import counted
from rlkit.reporting.suites import plots
from rlkit.reporting.suites.results import SuiteResults
from rlkit.reporting.suites.table import ALL, TableLine

METHOD = """\
<p>A run's score is the mean return of fresh episodes, equal for all agents of a seed. Means and interquartile means are
over the scores of the seeds. The interquartile mean leaves out the lowest and the highest quarter, each rounded down:
with fewer than four seeds it is the mean. Brackets hold 95% intervals, from 2,000 resamples of the seeds; with two or
three seeds they are the range from the lowest score to the highest.</p>
<p>“Better than” is the probability that a run of the agent scores higher than one of the baseline, equals counted as
one half; over all environments it is the mean of those. Scores over all environments are normalized: each environment
says which score counts as 0 and which as 1. Curves are means over seeds, bands their 95% intervals; agents that end
before a twentieth of the longest run have none. A performance profile shows which share of all runs has at least a
score (Agarwal et al., “Deep Reinforcement Learning at the Edge of the Statistical Precipice”, 2021).</p>
<p>Seconds are of one run on the clock, evaluations included; everything else is the same whenever the suite is run with
these versions on this kind of processor.</p>"""


def markdown(results: SuiteResults, found: Sequence[TableLine], versions: Mapping[str, str]) -> str:
    """Return the headline's lines of the table as Markdown, and what they are of."""
    parts = [_about(results), *_tables(results, found, _cell), _made_with(versions)]
    return "\n\n".join(parts) + "\n"


def _about(results: SuiteResults) -> str:
    about = results.about
    seeds = sorted({row["seed"] for row in results.rows})
    counts = (
        counted(len(results.agents), "agent"),
        counted(len(results.environments), "environment"),
        counted(len(seeds), "seed"),
    )
    return (
        f"`rlkit bench suite={about['suite']}`: {', '.join(counts)}. A score is the mean return of {about['episodes']} "
        f"fresh episodes of the {results.checkpoint} checkpoint; brackets are 95% intervals over seeds."
    )


def _made_with(versions: Mapping[str, str]) -> str:
    return "Made with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."


def _tables(results: SuiteResults, found: Sequence[TableLine], cell: Any) -> Iterator[str]:
    """Yield the table over all environments, where there is one, and that of single ones, as Markdown."""
    shown = [line for line in found if line.checkpoint == results.checkpoint]
    for title, lines in parted(shown):
        header, rows = table_cells(results, lines, cell)
        ruler = ["---"] * len(header)
        yield title
        yield "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ruler, *rows))


def parted(found: Sequence[TableLine]) -> Iterator[tuple[str, list[TableLine]]]:
    """Yield the lines over all environments and those of single ones, each with a title."""
    overall = [line for line in found if line.environment == ALL]
    if overall:
        yield "Over all environments, normalized:", overall
    yield "In each environment:", [line for line in found if line.environment != ALL]


def table_cells(results: SuiteResults, found: Sequence[TableLine], cell: Any) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a table; `cell` makes text of a statistic."""
    over_all = found[0].environment == ALL
    header = ["agent", "runs", "mean", "interquartile mean", f"better than {results.about['baseline']}", "seconds"]
    header = ["agent", "environments", *header[1:]] if over_all else ["environment", *header]
    rows = []
    for line in found:
        first = [line.agent, str(line.environments)] if over_all else [line.environment, line.agent]
        numbers = [cell(line.mean), cell(line.iqm), cell(line.improvement), tables.number(line.seconds)]
        rows.append([*first, str(line.runs), *numbers])
    return header, rows


def _cell(found: Aggregate | None) -> str:
    if found is None:
        return tables.NONE
    if found.interval is None:
        return tables.number(found.value)
    low, high = found.interval
    return f"{tables.number(found.value)} [{tables.number(low)}, {tables.number(high)}]"


def page(results: SuiteResults, found: Sequence[TableLine], versions: Mapping[str, str]) -> str:
    """Return the page of a suite: one HTML file that needs nothing else, and no network."""
    title = f"Suite {results.about['suite']}"
    labels = plots.groups(results)
    parts = [f"<header><h1>{escape(title)}</h1>", f'<p class="soft">{escape(results.about["summary"])}</p>']
    parts += [
        f'<p class="note">{escape(text.replace("`", ""))}</p>' for text in (_about(results), _made_with(versions))
    ]
    parts += ["</header>", *_html_tables(results, found, labels), *_charts(results, labels)]
    return document(title, "\n".join(parts), METHOD)


def _html_tables(results: SuiteResults, found: Sequence[TableLine], labels: Sequence[Group]) -> Iterator[str]:
    shown = [line for line in found if line.checkpoint == results.checkpoint]
    names = {group.label: tables.key(group) for group in labels}
    yield "<h2>Scores</h2>"
    for heading, lines in parted(shown):
        header, rows = table_cells(results, lines, tables.aggregate)
        cells = [
            [names.get(cell) or cell if "<" in cell else names.get(cell, escape(cell)) for cell in row] for row in rows
        ]
        yield f"<h3>{heading.removesuffix(':')}</h3>"
        yield tables.table(list(map(escape, header)), cells, label=heading, kind="numbers cards")


def _charts(results: SuiteResults, labels: Sequence[Group]) -> Iterator[str]:
    yield f'<h2>Learning curves</h2>{tables.legend(labels)}<div class="charts">'
    for number, plot in enumerate(plots.curves(results)):
        yield chart(plot.curves, id=f"curve-{number}", title=plot.title, until=plot.until, axis=plot.axis)
    yield '</div><h2>Performance profiles</h2><div class="charts">'
    plot = plots.profiles(results)
    yield f"{chart(plot.curves, id='profiles', title=plot.title, until=plot.until, axis=plot.axis)}</div>"
