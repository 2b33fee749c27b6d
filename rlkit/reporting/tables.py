"""The tables of a report, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from re import sub

from rlkit.reporting.chart import look
from rlkit.reporting.groups import Group
from rlkit.reporting.scores import Aggregate, GroupScore, RunScore

NONE = "–"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, label: str, kind: str = "numbers") -> str:
    """Return a table of finished HTML, all but its `label`; the first cell of a row is its heading."""
    head = "".join(f'<th scope="col">{name}</th>' for name in header)
    body = "".join(f"<tr>{_row(header, row)}</tr>" for row in rows)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table class="{kind}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(header: Sequence[str], row: Sequence[str]) -> str:
    first, *rest = row
    # On a phone a cell is beside its column's name; names that are HTML are those of tables that scroll.
    cells = (
        f"<td>{cell}</td>" if "<" in name else f'<td data-label="{name}">{cell}</td>'
        for name, cell in zip(header[1:], rest, strict=True)
    )
    return f'<th scope="row">{first}</th>{"".join(cells)}'


def number(value: float | None) -> str:
    """Return a number with three or four significant digits, or with thousands separators."""
    if value is None:
        return NONE
    size = abs(value)
    text = f"{value:,.0f}" if size >= 1000 else f"{value:.4g}" if size >= 1 else f"{value:.3g}"
    return text.replace("-", "−")


def breakable(text: str) -> str:
    """Return a name as HTML that may go on in the next line after a punctuation mark."""
    return sub(r"([_./=-])(?=\w)", r"\1<wbr>", escape(text))


def key(group: Group) -> str:
    """Return a group's label with its line."""
    color, dashes = look(group.number)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    line = f'<line x1="1" x2="29" y1="6" y2="6"{dashed}/>'
    return f'<svg class="key {color}" viewBox="0 0 30 12" aria-hidden="true">{line}</svg> {breakable(group.label)}'


def legend(groups: Sequence[Group]) -> str:
    """Return the groups with their lines and seeds."""
    items = (f'<li>{key(group)} <span class="seeds">{_seeds(group)}</span></li>' for group in groups)
    return f'<ul class="legend">{"".join(items)}</ul>'


def _seeds(group: Group) -> str:
    count = len(group.runs)
    return "1 seed" if count == 1 else f"{count} seeds"


def scores(groups: Sequence[Group], found: Sequence[GroupScore]) -> str:
    """Return the table of the groups' evaluations."""
    header = ("", "seeds", "episodes", "mean", "interquartile mean", "last evaluation at", "best", "steps", "steps/s")
    rows = [_scores_row(group, score) for group, score in zip(groups, found, strict=True)]
    return table(header, rows, label="evaluations of each group", kind="numbers cards")


def _scores_row(group: Group, score: GroupScore) -> list[str]:
    last = sorted({run.last[0] for run in score.runs if run.last})
    speeds = [run.steps_per_second for run in score.runs if run.steps_per_second is not None]
    return [
        key(group),
        str(len(group.runs)),
        number(score.episodes),
        aggregate(score.mean),
        aggregate(score.iqm),
        _range(last),
        number(score.best),
        _range(sorted({run.steps for run in score.runs})),
        number(sum(speeds) / len(speeds)) if speeds else NONE,
    ]


def aggregate(found: Aggregate | None) -> str:
    """Return a statistic as HTML, with its interval."""
    if found is None:
        return NONE
    if found.interval is None:
        return number(found.value)
    low, high = found.interval
    return f'<span>{number(found.value)} <span class="interval">[{number(low)}, {number(high)}]</span></span>'


def _range(values: Sequence[int]) -> str:
    if not values:
        return NONE
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def runs(group: Group, score: GroupScore) -> str:
    """Return the table of a group's runs."""
    header = ("run", "seed", "last", "best", "steps", "steps/s")
    rows = [
        [
            f'<span title="{escape(str(run.directory))}">{breakable(run.directory.name)}</span>',
            str(run.values["seed"]),
            _at(one.last),
            _at(one.best),
            _progress(one, run.values["total_steps"]),
            number(one.steps_per_second),
        ]
        for run, one in zip(group.runs, score.runs, strict=True)
    ]
    return table(header, rows, label=f"runs of {group.label}", kind="numbers cards")


def _at(row: tuple[int, float] | None) -> str:
    return NONE if row is None else f'<span>{number(row[1])} <span class="interval">at {row[0]:,}</span></span>'


def _progress(run: RunScore, total: int) -> str:
    of = "" if run.steps >= total else f' <span class="interval">of {total:,}</span>'
    return f"<span>{run.steps:,}{of}</span>"


def settings(groups: Sequence[Group], rows: Mapping[str, Sequence[str]], label: str) -> str:
    """Return the table of keys and each group's value."""
    header = ("", *(key(group) for group in groups))
    cells = [[f'<span class="key-name">{breakable(name)}</span>', *map(breakable, rows[name])] for name in rows]
    return table(header, cells, label=label, kind="settings")


def values(curves_label: str, groups: Sequence[Group], rows: Mapping[int, Sequence[str]]) -> str:
    """Return the values of curves at their steps."""
    header = ("step", *(breakable(group.label) for group in groups))
    return table(header, [[f"{step:,}", *cells] for step, cells in rows.items()], label=curves_label)
