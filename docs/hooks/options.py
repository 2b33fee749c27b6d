"""Fills pages with tables made from conf/, so that options and lists of files cannot go stale.

``<!-- options: agent/ppo -->`` becomes a table of the options in that file, ``<!-- options: policy_network/actor_critic
as agent.network -->`` the same with other names, and ``<!-- files: env -->`` a table of the files in a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page


CONF = Path(__file__).parents[2] / "conf"
MARKER = re.compile(r"^<!-- (options|files): (\S+)(?: as (\S+))? -->(?:\n\[\S+\]\(\S+\))?$", re.MULTILINE)
"""A marker, and the link to what its table is made of below it, for those who read the page as a file."""

CHOICE = re.compile(r"^  - (?:optional )?/?([\w/]+)(?:@([\w.]+))?: (\w+|\[.*\])$")
LINE = re.compile(r"^( *)([\w/]+):(?: +([^#\s].*?))?(?: +# (.*))?$")
REMARK = re.compile(r"^( *)# (.*)$")
BUILT_IN = ("_partial_", "_task_", "_tuned_", "_from_run_")
OWN = re.compile(r"rlkit\.|\$\{(?!oc\.env:)")
"""Values that are wired up inside rlkit: its own classes, and what stands elsewhere in the configuration."""

FAR = 12
"""Columns from which on a comment goes on with the one of the line above."""


class Option(NamedTuple):
    """A row of the table."""

    name: str
    default: str
    meaning: str


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the markers of a page."""
    return MARKER.sub(_table, markdown)


def _table(found: re.Match[str]) -> str:
    kind, path, name = found.groups()
    table = files_table(path) if kind == "files" else options_table(path, name or path.rpartition("/")[0])
    # The class is for the style sheet, which turns rows into cards on a phone.
    return f'<div class="{kind}" markdown>\n\n{table}\n\n</div>'


def files_table(group: str) -> str:
    """Return a table of the files in a folder of conf/, with the first comment of each."""
    rows = [
        f"| `{path.stem}` | {_cell(summary(path.read_text()))} |"
        for path in sorted((CONF / group).glob("*.yaml"))
        if not path.stem.startswith("_")
    ]
    return "\n".join([f"| `{group}=` | what it is |", "|---|---|", *rows])


def summary(text: str) -> str:
    """Return the first comment of a file."""
    comments = (line[2:] for line in text.splitlines() if line.startswith("# ") and "@package" not in line)
    return next(comments, "")


def options_table(path: str, name: str) -> str:
    """Return a table of the options in a file of conf/, which the command line calls ``name.…``."""
    rows = [
        f"| {_code(option.name)} | {_code(option.default)} | {_cell(option.meaning)} |"
        if option.name
        else f"| *{_cell(option.meaning)}* | | |"
        for option in options((CONF / f"{path}.yaml").read_text(), name)
    ]
    if not rows:
        return "It has no options."
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows])


def options(text: str, name: str) -> list[Option]:
    """Return the options of a file: those that choose another file first, then the values."""
    choices, body = _parts(text)
    rows = [*_choices(choices, name)]
    parents: list[str] = []
    for line in body:
        if remark := REMARK.match(line):
            rows = _with_remark(rows, remark)
        elif found := LINE.match(line):
            indent, key, value, meaning = found.groups()
            parents = [*parents[: len(indent) // 2], key]
            built_in = key in BUILT_IN or line.startswith("_target_") or OWN.match(value or "")
            if value == "|":  # lines of text, such as the drawing of a maze
                value = "see the file"
            if not built_in and (value or meaning):
                rows.append(Option(".".join([*filter(None, [name]), *parents]), value or "", meaning or ""))
    return rows


def _parts(text: str) -> tuple[list[str], list[str]]:
    """Return the lines of a file's list of defaults, and those of its values."""
    lines = [*dropwhile(lambda line: not line or line.startswith("#"), text.splitlines())]
    if lines[:1] != ["defaults:"]:
        return [], lines
    body = [*dropwhile(lambda line: line.startswith("  - "), lines[1:])]
    return lines[1 : len(lines) - len(body)], body


def _with_remark(rows: list[Option], remark: re.Match[str]) -> list[Option]:
    indent, said = remark.groups()
    if len(indent) < FAR:
        return [*rows, Option("", "", said)]
    return [*rows[:-1], rows[-1]._replace(meaning=f"{rows[-1].meaning} {said}")]


def _choices(lines: list[str], name: str) -> Iterator[Option]:
    for line in lines:
        if found := CHOICE.match(line):
            group, place, choice = found.groups()
            key = group if place in (None, f"_global_.{group}") else f"{group}@{name}.{place}"
            names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
            few = ", ".join(f"`{name}`" for name in names) if len(names) < 10 else f"any file of `conf/{group}/`"
            yield Option(key, choice, f"one of {few}" if len(names) < 10 else few)


def _code(text: str) -> str:
    return f"`{text.replace('|', chr(92) + '|')}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;")
