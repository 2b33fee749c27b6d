"""The sections of a page: what a report shows of groups of runs, and the live page likewise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from rlkit.reporting import fitted, tables
from rlkit.reporting.chart import chart
from rlkit.reporting.columns import AnyRun, last_step
from rlkit.reporting.commands import Commands
from rlkit.reporting.curves import Curve, GroupCurves
from rlkit.reporting.groups import Group, differences, environment_name
from rlkit.reporting.media import Media
from rlkit.reporting.remarks import of_copies, of_intervals, of_returns, of_tuned_files
from rlkit.reporting.scores import GroupScore
from rlkit.reporting.versions import versions_line

METHOD = """\
<p>Returns are the environment's own, whatever reward the agent learned from. Thick lines are means over seeds, as far
as every seed has come; thin lines are single seeds; bands are 95% bootstrap intervals of the mean over seeds. The curve
of a seed's training returns is a moving average over a tenth of its episodes, but 10 at least and 50 at most, or over a
twentieth where that is more. Of a curve with more than 400 points the lowest and the highest of each of 200 equal parts
are drawn.</p>
<p>A seed's score is the mean return of its last evaluation, and the table is over these scores: each seed counts alike,
however many episodes it played. The interquartile mean leaves out the lowest and the highest quarter of the seeds, each
rounded down (Agarwal et al., “Deep Reinforcement Learning at the Edge of the Statistical Precipice”, 2021): with fewer
than four seeds it is the mean. The 95% intervals come from 2,000 resamples of the seeds; with two or three seeds they
are the range from the lowest score to the highest (that of the interquartile mean with four, too), and with one there
is none. “Best” is the mean over seeds of each
seed's best evaluation, which flatters: it was chosen afterwards. Generators are seeded: equal runs make equal
pages.</p>"""


def method(groups: Sequence[Group]) -> str:
    """Return how the numbers of agents and of learners are made, as far as there are some."""
    parts = [METHOD if any(not group.fitted for group in groups) else ""]
    return "\n".join([*parts, fitted.METHOD if any(group.fitted for group in groups) else ""]).strip()


def title(groups: Sequence[Group]) -> str:
    """Return which agents are in which environments."""
    chosen = (group.values["choices"] for group in groups)
    agents = ", ".join(dict.fromkeys(str(choices.get("agent") or choices["learner"]) for choices in chosen))
    return f"{agents} on {', '.join(by_environment(groups))}"


def head(groups: Sequence[Group], notes: Sequence[str]) -> Iterator[str]:
    """Yield the title, when the runs were made and with what, and `notes`: lines on what does not count."""
    runs = [run for group in groups for run in group.runs]
    first, last = (f"{when:%Y-%m-%d %H:%M}" for when in _when(runs))
    all_of_them = f"{counted(len(runs), 'run')} in {counted(len(groups), 'group')}"
    until = last.removeprefix(first[:11]) if last[:10] == first[:10] else last
    when = f"trained {first}" + (f" to {until}" if until != first[11:] else "")
    yield f"<header><h1>{escape(title(groups))}</h1>"
    yield f'<p class="soft">{all_of_them}; {when} UTC. Runs that differ only in their seed are a group.</p>'
    for line in [versions_line(runs), *notes, *of_copies(groups), *of_returns(groups)]:
        yield f'<p class="note">{escape(line)}</p>'
    yield "</header>"


def counted(number: int, noun: str) -> str:
    """Return a number of things in words."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _when(runs: Sequence[AnyRun]) -> tuple[datetime, datetime]:
    """Return when the first of the runs began and the last one ended; the page itself has no date, so that it stays."""
    times = [
        path.stat().st_mtime
        for run in runs
        for path in (run.directory / "config.yaml", run.directory / "versions.json", *run.directory.glob("*.csv"))
        if path.exists()
    ]
    return datetime.fromtimestamp(min(times), UTC), datetime.fromtimestamp(max(times), UTC)


def by_environment(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Return the groups by the name of their environment, or of their data."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(environment_name(group.values), []).append(group)
    return found


def learning_curves(
    groups: Sequence[Group], curves: Mapping[int, GroupCurves], rows: int | None = None
) -> Iterator[str]:
    """Yield the charts of each environment, and the evaluations as numbers.

    Args:
        groups: whose agents were trained.
        curves: of each group, by its number.
        rows: the most rows of such a table, the last ones; None: all.
    """
    yield "<h2>Learning curves</h2>"
    several = len(by_environment(groups)) > 1
    for i, (name, members) in enumerate(by_environment(groups).items()):
        found = [curves[group.number] for group in members]
        yield f"<section>{f'<h3>{escape(name)}</h3>' if several else ''}{tables.legend(members)}"
        until = max(1, *(last_step(run) for group in members for run in group.runs))
        yield '<div class="charts">'
        means = [of.evaluations for of in found]
        yield chart(means, id=f"evaluations-{i}", title="Evaluations: mean return", until=until)
        averages = [of.training for of in found]
        yield chart(averages, id=f"training-{i}", title="Training: return, moving average", until=until)
        yield f"</div>{_values(members, means, rows)}</section>"


def _values(groups: Sequence[Group], curves: Sequence[Curve], most: int | None) -> str:
    steps = sorted({int(step) for curve in curves for step in curve.mean.steps})
    if not steps:
        return ""
    shown = steps if most is None else steps[-most:]
    rows: dict[int, list[str]] = {step: [tables.NONE] * len(groups) for step in shown}
    for i, curve in enumerate(curves):
        for step, value in zip(*curve.mean, strict=True):
            if step in rows:
                rows[int(step)][i] = tables.number(value)
    which = "" if len(shown) == len(steps) else f": the last {len(shown):,} of {len(steps):,}"
    table = tables.values("evaluations", groups, rows)
    return f"<details><summary>Evaluations as numbers{which}</summary>{table}</details>"


def evaluations(groups: Sequence[Group], scores: Sequence[GroupScore]) -> Iterator[str]:
    """Yield the table of the groups' scores, and notes on its intervals."""
    yield f"<h2>Evaluations</h2>{tables.scores(groups, scores)}"
    for line in of_intervals(groups, scores):
        yield f'<p class="note">{escape(line)}</p>'


def settings(groups: Sequence[Group]) -> Iterator[str]:
    """Yield the settings in which the groups differ."""
    if len(groups) < 2:
        return
    several, partial = differences(groups)
    yield "<h2>Differences in configuration</h2>"
    for line in of_tuned_files(groups):
        yield f'<p class="note">{escape(line)}</p>'
    if several:
        yield tables.settings(groups, several, "settings that differ")
    if partial:
        said = f"{counted(len(partial), 'setting')} that only some groups have"
        yield f"<details><summary>{said}</summary>{tables.settings(groups, partial, said)}</details>"


def runs(group: Group, score: GroupScore | None) -> str:
    """Return a group's label and the table of its runs; learners have no score."""
    table = fitted.runs(group) if score is None else tables.runs(group, score)
    return f"<h3>{tables.key(group)}</h3>{table}"


def media(group: Group, shown: Media) -> Iterator[str]:
    """Yield the videos and the plots of a group's runs."""
    films = [] if group.fitted else [("Videos", shown.videos)]
    for name, of in (*films, ("Plots", shown.plots)):
        content = "".join(of(run) for run in group.runs)
        if content:
            yield f'<details open><summary>{name}</summary><div class="media">{content}</div></details>'


def commands(group: Group, found: Commands) -> Iterator[str]:
    """Yield the commands that make a group's runs again."""
    lines = [found.line(run.values) for run in group.runs]
    shown = "".join(f"<code>{escape(line)}</code>" for line, _ in lines)
    again = "Fit again" if group.fitted else "Train again"
    yield f'<details open><summary>{again}</summary><div class="commands">{shown}</div>'
    for note in dict.fromkeys(note for _, note in lines if note):
        yield f'<p class="note">{escape(note)}</p>'
    yield "</details>"
