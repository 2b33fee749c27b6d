"""The sections of a report for chosen runs; what has not changed is not computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from rlkit.reporting import fitted, sections
from rlkit.reporting.columns import AnyRun
from rlkit.reporting.curves import GroupCurves, Returns, evaluation_curve, training_curve
from rlkit.reporting.groups import Group, grouped
from rlkit.reporting.media import Media
from rlkit.reporting.scores import GroupScore, group_score
from rlkit.reporting.watching.live import LiveFitRun, LiveRun
from rlkit.reporting.watching.watched import WatchedRun, final
from rlkit.runs.run import Run

ROWS = 100
"""Rows of the table of evaluations."""


class Section(NamedTuple):
    """A part of the page."""

    key: str
    tag: str  # another one for another content
    html: str


class Served:
    """Files as the server offers them, by the id of their run and their own name."""

    def __init__(self, ids: Mapping[Path, int]):
        """Name runs by `ids`, by their folder."""
        self._ids = ids

    def image(self, path: Path, folder: Path) -> str:
        """Return the address of a plot."""
        return self._address("files", path.relative_to(folder).as_posix(), path, folder)

    def video(self, path: Path, run: AnyRun) -> tuple[str, str] | None:
        """Return the addresses of a video and of a still of it."""
        film, still = (self._address(kind, path.name, path, run.directory) for kind in ("files", "stills"))
        return film, still

    def link(self, path: Path) -> str:
        """Return a name: folders are not served."""
        return escape(path.name)

    def _address(self, kind: str, name: str, path: Path, folder: Path) -> str:
        return escape(f"{kind}/{self._ids[folder]}/{quote(name)}?v={path.stat().st_mtime_ns}")


class _Computed(NamedTuple):
    """What is computed of a group."""

    curves: GroupCurves | None  # None of learners
    score: GroupScore | None


class Comparison:
    """Makes the sections, and keeps what they were made of until that changes."""

    def __init__(self) -> None:
        self._results: dict[Any, _Computed] = {}
        self._made: tuple[Any, list[Section]] = (None, [])
        self._differences: tuple[Any, str] = (None, "")

    def sections(self, entries: Sequence[WatchedRun]) -> list[Section]:
        """Return the sections for the runs of `entries`.

        Raises:
            OSError: a file was deleted meanwhile.
        """
        key = tuple(entry.version() for entry in entries)
        if self._made[0] != key:
            self._made = key, [*self._sections(entries)]
        return self._made[1]

    def _sections(self, entries: Sequence[WatchedRun]) -> Iterator[Section]:
        left_out = [f"left out: {entry.problem}" for entry in entries if entry.problem]
        named = {entry.directory: entry for entry in entries if entry.run is not None}
        runs = [entry.run for entry in named.values() if entry.run is not None]
        for run in runs:
            if isinstance(run, LiveFitRun):
                final(run)
        if not runs:
            notes = "".join(f'<p class="note">{escape(line)}</p>' for line in left_out)
            yield _section("head", f'<p class="none">No run is chosen.</p>{notes}')
            return
        groups = grouped(runs, lambda run: run.settings)  # type: ignore[union-attr]
        results = self._of(groups, named)
        yield _section("head", "".join(sections.head(groups, left_out)))
        yield from _comparison(groups, results)
        yield _section("settings", self._settings(groups))
        media = Media(Served({path: entry.id for path, entry in named.items()}))
        for group in groups:
            shown = [sections.runs(group, results[group.number].score), *sections.media(group, media)]
            yield _section(f"group-{group.number}", "".join(shown))
        yield _section("method", f"<footer><h2>How to read this</h2>{sections.method(groups)}</footer>")

    def _of(self, groups: Sequence[Group], named: Mapping[Path, WatchedRun]) -> dict[int, _Computed]:
        keys = {group.number: tuple(named[run.directory].version() for run in group.runs) for group in groups}
        found = {group.number: self._results.get(keys[group.number]) or _computed(group) for group in groups}
        self._results = {keys[number]: of for number, of in found.items()}
        return {group.number: _labelled(found[group.number], group) for group in groups}

    def _settings(self, groups: Sequence[Group]) -> str:
        key = tuple((group.label, *(run.settings for run in group.runs[:1])) for group in groups)
        if self._differences[0] != key:
            self._differences = key, "".join(sections.settings(groups))
        return self._differences[1]


def _computed(group: Group) -> _Computed:
    if group.fitted:
        return _Computed(None, None)
    curves = GroupCurves(evaluation_curve(group), training_curve(group, _returns))
    return _Computed(curves, group_score(group))


def _returns(run: Run) -> Returns:
    assert isinstance(run, LiveRun)
    return run.returns()


def _labelled(results: _Computed, group: Group) -> _Computed:
    if results.curves is None:
        return results
    curves = (curve._replace(label=group.label, number=group.number) for curve in results.curves)
    return results._replace(curves=GroupCurves(*curves))


def _comparison(groups: Sequence[Group], results: Mapping[int, _Computed]) -> Iterator[Section]:
    curves = {number: of.curves for number, of in results.items() if of.curves is not None}
    scores = {number: of.score for number, of in results.items() if of.score is not None}
    trained = [group for group in groups if group.number in curves]
    if trained:
        yield _section("curves", "".join(sections.learning_curves(trained, curves, ROWS)))
        yield _section("scores", "".join(sections.evaluations(trained, [scores[one.number] for one in trained])))
    if of_fits := [group for group in groups if group.fitted]:
        yield _section("learners", "".join(fitted.panels(sections.by_environment(of_fits))))


def _section(key: str, html: str) -> Section:
    return Section(key, hashlib.blake2b(html.encode(), digest_size=8).hexdigest(), html)
