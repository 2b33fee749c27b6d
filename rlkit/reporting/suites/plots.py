"""The plots of a suite: learning curves in each environment, and performance profiles over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from rlkit.reporting.chart import HEIGHT, WIDTH, drawing, look
from rlkit.reporting.comparisons import performance_profile
from rlkit.reporting.curves import Curve, Line, mean_curve
from rlkit.reporting.groups import Group
from rlkit.reporting.page import asset
from rlkit.reporting.suites.results import SuiteResults

PROFILE_AXIS = "normalized score, %"
PROFILE_TITLE = "Share of runs with at least this score, %"
THRESHOLDS = np.arange(0, 101, 2, dtype=float)
"""Normalized scores, in percent."""

SHORT = 20
"""Curves that end before this part of the longest are left out: agents that do not learn have a small budget."""

GAP, HEAD = 16, 28
LEGEND_ROW = 22
LETTER = 8.2
"""Width of a letter of the legend."""


class Plot(NamedTuple):
    """A chart, and what stands above it."""

    title: str
    curves: list[Curve]
    until: float
    axis: str = "environment steps"


def groups(results: SuiteResults) -> list[Group]:
    """Return the agents as groups, which have a color each."""
    return [Group(agent, number, _seeds(results, agent)) for number, agent in enumerate(results.agents)]


def _seeds(results: SuiteResults, agent: str) -> list[Any]:
    return sorted({row["seed"] for row in results.rows if row["agent"] == agent})


def curves(results: SuiteResults) -> list[Plot]:
    """Return the plots of the mean returns of evaluations, one for each environment."""
    return [
        Plot(name, found, _last_step(results, name))
        for name in results.environments
        if (found := [*_curves_in(results, name)])
    ]


def _curves_in(results: SuiteResults, environment: str) -> Iterator[Curve]:
    until = _last_step(results, environment)
    for group in groups(results):
        lines = [line for line in results.curves(group.label, environment) if len(line.steps)]
        if lines and max(line.steps[-1] for line in lines) >= until / SHORT:
            yield mean_curve(group, lines)._replace(seeds=[])


def _last_step(results: SuiteResults, environment: str) -> float:
    return float(max(row["step"] for row in results.points if row["environment"] == environment))


def profiles(results: SuiteResults) -> Plot:
    """Return the plot of the share of runs, over all environments, that score at least so much."""
    return Plot(PROFILE_TITLE, [*_profiles(results)], THRESHOLDS[-1], PROFILE_AXIS)


def _profiles(results: SuiteResults) -> Iterator[Curve]:
    for group in groups(results):
        tasks = list(results.normalized(group.label).values())
        if not tasks:
            continue
        share, ends = performance_profile(tasks, THRESHOLDS / 100, np.random.default_rng(0))
        band = None if ends is None else (100 * ends[0], 100 * ends[1])
        yield Curve(group.label, group.number, Line(THRESHOLDS, 100 * share), band, [])


def picture(plots: Sequence[Plot], labels: Sequence[Group], columns: int = 2) -> str:
    """Return charts side by side, with one legend, as an SVG file that needs nothing else."""
    columns = min(columns, len(plots)) or 1
    width = columns * WIDTH + (columns - 1) * GAP
    legend, top = _legend(labels, width)
    rows = -(-len(plots) // columns)
    height = top + rows * (HEAD + HEIGHT + GAP)
    charts = [
        f'<g transform="translate({i % columns * (WIDTH + GAP)} {top + i // columns * (HEAD + HEIGHT + GAP)})">'
        f'<text class="head" x="8" y="20">{escape(plot.title)}</text>'
        f'<g class="chart" transform="translate(0 {HEAD})">{drawing(plot.curves, until=plot.until, axis=plot.axis)}'
        "</g></g>"
        for i, plot in enumerate(plots)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<style>\n{asset('page.css')}{STYLE}</style>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="var(--card)"/>\n{legend}\n'
        + "\n".join(charts)
        + "\n</svg>\n"
    )


STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--ink); }
.head { font-size: 15px; font-weight: 600; }
"""


def _legend(labels: Sequence[Group], width: int) -> tuple[str, int]:
    """Return the legend in as many rows as it takes, and its height."""
    parts, x, y = [], 12.0, 24
    for group in labels:
        needed = 44 + LETTER * len(group.label)
        if x > 12 and x + needed > width:
            x, y = 12.0, y + LEGEND_ROW
        color, dashes = look(group.number)
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        parts.append(
            f'<line class="mean {color}" x1="{x:.0f}" x2="{x + 28:.0f}" y1="{y - 4}" y2="{y - 4}"{dashed}/>'
            f'<text x="{x + 34:.0f}" y="{y}">{escape(group.label)}</text>'
        )
        x += needed + 16
    return "".join(parts), y + 14
