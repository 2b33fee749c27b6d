"""The page: one HTML file that needs nothing else, and no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from rlkit.config.trust import packages
from rlkit.core.files import writing
from rlkit.reporting import fitted, searches, tables
from rlkit.reporting.chart import chart
from rlkit.reporting.columns import AnyRun, last_step
from rlkit.reporting.commands import Commands
from rlkit.reporting.curves import Curve, evaluation_curve, training_curve
from rlkit.reporting.groups import Group, differences, environment_name, grouped
from rlkit.reporting.media import Media
from rlkit.reporting.opening import open_runs
from rlkit.reporting.remarks import of_copies, of_intervals, of_returns, of_tuned_files
from rlkit.reporting.scores import GroupScore, group_score
from rlkit.reporting.versions import versions_line
from rlkit.runs.outputs import require_output

POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What a browser may load: what the page holds. A request to anywhere else would be refused."""

METHOD = """\
<p>Returns are the environment's own, whatever reward the agent learned from. Thick lines are means over seeds, as far
as every seed has come; thin lines are single seeds; bands are 95% bootstrap intervals of the mean over seeds. The curve
of a seed's training returns is a moving average over a tenth of its episodes, but 10 at least and 50 at most, or over a
twentieth where that is more.</p>
<p>A seed's score is the mean return of its last evaluation, and the table is over these scores: each seed counts alike,
however many episodes it played. The interquartile mean leaves out the lowest and the highest quarter of the seeds, each
rounded down (Agarwal et al., “Deep Reinforcement Learning at the Edge of the Statistical Precipice”, 2021): with fewer
than four seeds it is the mean. The 95% intervals come from 2,000 resamples of the seeds; with two or three seeds they
are the range from the lowest score to the highest (that of the interquartile mean with four, too), and with one there
is none. “Best” is the mean over seeds of each
seed's best evaluation, which flatters: it was chosen afterwards. Generators are seeded: equal runs make equal
pages.</p>"""


def write(
    directories: Sequence[Path | str],
    out: Path | str,
    video_mb: float,
    say: Callable[[str], None] = lambda line: None,
    trust: Any = None,
) -> tuple[Path, list[dict[str, Any]]]:
    """Write the report of run folders to `out`; return its path and what it says of each group as plain data.

    `say` is called with a line for each run, or part of one, that does not count. The commands that train runs again
    are shown where these name only what a file may name, packages in `trust` included.

    Raises:
        UsageError: a folder is not a run, or `out` cannot be written.
    """
    from rlkit.reporting.scores import as_json

    path = Path(out)
    require_output(path, "report.html")
    left_out: list[str] = []
    found = [directory for directory in map(Path, directories) if searches.is_search(directory)]
    groups = grouped(open_runs(_with_runs_of_searches(directories), left_out.append))
    scores = {group.number: group_score(group) for group in groups if not group.fitted}
    page = render(groups, scores, Media(path, video_mb * 1e6), Commands(packages(trust)), left_out, found)
    with writing(path, "out") as file:
        file.write(page)
    for line in [*left_out, *of_copies(groups), *of_returns(groups)]:
        say(line)
    return path, [fitted.as_json(group) if group.fitted else as_json(group, scores[group.number]) for group in groups]


def _with_runs_of_searches(directories: Sequence[Path | str]) -> list[Path]:
    """Return the folders with runs of searches in place of these."""
    named = map(Path, directories)
    return [run for one in named for run in (searches.runs_of(one) if searches.is_search(one) else [one])]


def render(
    groups: Sequence[Group],
    scores: Mapping[int, GroupScore],
    media: Media,
    commands: Commands,
    notes: Sequence[str] = (),
    searched: Sequence[Path] = (),
) -> str:
    """Return the whole page.

    Args:
        groups: runs that differ only in their seed.
        scores: of groups whose agent was trained, by their number.
        media: turns plots and videos into HTML.
        commands: turns runs into commands that train them again.
        notes: lines at the top.
        searched: folders of searches.
    """
    trained = [group for group in groups if not group.fitted]
    of_fits = [group for group in groups if group.fitted]
    of_agents = [*_panels(trained), *_table(trained, [scores[group.number] for group in trained])] if trained else []
    of_learners = [*fitted.panels(_by_environment(of_fits))] if of_fits else []
    of_searches = searches.sections(searched, media)
    body = "\n".join([*_head(groups, notes), *of_searches, *of_agents, *of_learners, *_settings(groups)])
    details = "\n".join(_details(groups, scores, media, commands))
    return document(_title(groups), f"{body}\n{details}", _method(trained, of_fits, searched))


def document(title: str, body: str, method: str) -> str:
    """Return a whole page around its body, with what explains how to read it."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{page_file('page.css')}</style>\n"
        f"</head>\n<body>\n{body}\n<footer><h2>How to read this</h2>{method}</footer>\n"
        f"<script>\n{page_file('page.js')}</script>\n</body>\n</html>\n"
    )


def _method(trained: Sequence[Group], of_fits: Sequence[Group], searched: Sequence[Path]) -> str:
    shown = ((searches.METHOD, searched), (METHOD, trained), (fitted.METHOD, of_fits))
    return "\n".join(text for text, there in shown if there)


def page_file(name: str) -> str:
    """Return the style sheet or the script of pages."""
    return files("rlkit.reporting").joinpath(name).read_text("utf-8")


def _title(groups: Sequence[Group]) -> str:
    chosen = (group.values["choices"] for group in groups)
    agents = ", ".join(dict.fromkeys(str(choices.get("agent") or choices["learner"]) for choices in chosen))
    return f"{agents} on {', '.join(_by_environment(groups))}"


def _head(groups: Sequence[Group], notes: Sequence[str]) -> Iterator[str]:
    runs = [run for group in groups for run in group.runs]
    first, last = (f"{when:%Y-%m-%d %H:%M}" for when in _when(runs))
    all_of_them = f"{counted(len(runs), 'run')} in {counted(len(groups), 'group')}"
    until = last.removeprefix(first[:11]) if last[:10] == first[:10] else last
    when = f"trained {first}" + (f" to {until}" if until != first[11:] else "")
    yield f"<header><h1>{escape(_title(groups))}</h1>"
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


def _by_environment(groups: Sequence[Group]) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(environment_name(group.values), []).append(group)
    return found


def _panels(groups: Sequence[Group]) -> Iterator[str]:
    yield "<h2>Learning curves</h2>"
    several = len(_by_environment(groups)) > 1
    for i, (name, members) in enumerate(_by_environment(groups).items()):
        evaluations = [evaluation_curve(group) for group in members]
        yield f"<section>{f'<h3>{escape(name)}</h3>' if several else ''}{tables.legend(members)}"
        until = max(1, *(last_step(run) for group in members for run in group.runs))
        yield '<div class="charts">'
        yield chart(evaluations, id=f"evaluations-{i}", title="Evaluations: mean return", until=until)
        curves = [training_curve(group) for group in members]
        yield chart(curves, id=f"training-{i}", title="Training: return, moving average", until=until)
        yield f"</div>{_values(members, evaluations)}</section>"


def _values(groups: Sequence[Group], curves: Sequence[Curve]) -> str:
    steps = sorted({int(step) for curve in curves for step in curve.mean.steps})
    if not steps:
        return ""
    rows: dict[int, list[str]] = {step: [tables.NONE] * len(groups) for step in steps}
    for i, curve in enumerate(curves):
        for step, value in zip(*curve.mean, strict=True):
            rows[int(step)][i] = tables.number(value)
    return f"<details><summary>Evaluations as numbers</summary>{tables.values('evaluations', groups, rows)}</details>"


def _table(groups: Sequence[Group], scores: Sequence[GroupScore]) -> Iterator[str]:
    yield f"<h2>Evaluations</h2>{tables.scores(groups, scores)}"
    for line in of_intervals(groups, scores):
        yield f'<p class="note">{escape(line)}</p>'


def _settings(groups: Sequence[Group]) -> Iterator[str]:
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


def _details(
    groups: Sequence[Group], scores: Mapping[int, GroupScore], media: Media, commands: Commands
) -> Iterator[str]:
    yield "<h2>Runs</h2>"
    for group in groups:
        runs = fitted.runs(group) if group.fitted else tables.runs(group, scores[group.number])
        yield f"<section><h3>{tables.key(group)}</h3>{runs}"
        yield from _commands(group, commands)
        films = [] if group.fitted else [("Videos", media.videos)]
        for name, shown in (*films, ("Plots", media.plots)):
            content = "".join(shown(run) for run in group.runs)
            if content:
                yield f'<details open><summary>{name}</summary><div class="media">{content}</div></details>'
        yield "</section>"


def _commands(group: Group, commands: Commands) -> Iterator[str]:
    found = [commands.line(run.values) for run in group.runs]
    lines = "".join(f"<code>{escape(line)}</code>" for line, _ in found)
    again = "Fit again" if group.fitted else "Train again"
    yield f'<details open><summary>{again}</summary><div class="commands">{lines}</div>'
    for note in dict.fromkeys(note for _, note in found if note):
        yield f'<p class="note">{escape(note)}</p>'
    yield "</details>"
