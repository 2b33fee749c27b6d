"""The page: one HTML file that needs nothing else, and no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from rlkit.config.trust import packages
from rlkit.core.files import writing
from rlkit.reporting import fitted, searches, sections
from rlkit.reporting.commands import Commands
from rlkit.reporting.curves import group_curves
from rlkit.reporting.groups import Group, grouped
from rlkit.reporting.media import Embedded, Media
from rlkit.reporting.opening import open_runs
from rlkit.reporting.remarks import of_copies, of_returns
from rlkit.reporting.scores import GroupScore, group_score
from rlkit.runs.outputs import require_output

POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""What a browser may load: what the page holds. A request to anywhere else would be refused."""


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
    page = render(groups, scores, Media(Embedded(path, video_mb * 1e6)), Commands(packages(trust)), left_out, found)
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
    of_searches = searches.sections(searched, media)
    comparison = [*_comparison(groups, scores), *sections.settings(groups)]
    parts = [*sections.head(groups, notes), *of_searches, *comparison, *_details(groups, scores, media, commands)]
    method = "\n".join([*([searches.METHOD] if searched else []), sections.method(groups)])
    return document(sections.title(groups), "\n".join(parts), method)


def document(title: str, body: str, method: str) -> str:
    """Return a whole page around its body, with what explains how to read it."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{asset('page.css')}</style>\n"
        f"</head>\n<body>\n{body}\n<footer><h2>How to read this</h2>{method}</footer>\n"
        f"<script>\n{asset('page.js')}</script>\n</body>\n</html>\n"
    )


def asset(name: str) -> str:
    """Return a style sheet or a script of the page."""
    return files("rlkit.reporting").joinpath(name).read_text("utf-8")


def _comparison(groups: Sequence[Group], scores: Mapping[int, GroupScore]) -> Iterator[str]:
    trained = [group for group in groups if not group.fitted]
    of_fits = [group for group in groups if group.fitted]
    if trained:
        yield from sections.learning_curves(trained, {group.number: group_curves(group) for group in trained})
        yield from sections.evaluations(trained, [scores[group.number] for group in trained])
    if of_fits:
        yield from fitted.panels(sections.by_environment(of_fits))


def _details(
    groups: Sequence[Group], scores: Mapping[int, GroupScore], media: Media, commands: Commands
) -> Iterator[str]:
    yield "<h2>Runs</h2>"
    for group in groups:
        yield f"<section>{sections.runs(group, scores.get(group.number))}"
        yield from sections.commands(group, commands)
        yield from sections.media(group, media)
        yield "</section>"
