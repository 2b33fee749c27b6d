"""Writing a suite's results: first the rows that are kept, then all that is made from them alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rlkit.core.files import writing
from rlkit.reporting.suites import plots, table, texts
from rlkit.reporting.suites.results import CURVE_COLUMNS, CURVES, ROWS, SuiteResults, read_results, write_csv
from rlkit.reporting.suites.table import TableLine
from rlkit.runs.suites.folder import OF_THE_RUN, SUITE, SuiteFolder
from rlkit.runs.suites.plan import run_name
from rlkit.runs.suites.scoring import COLUMNS

VERSIONS, CONFIGS = "versions.json", "configs.yaml"
TABLE, MARKDOWN, PAGE = "table.csv", "table.md", "index.html"
PICTURES = ("curves.svg", "profiles.svg")


class Written(NamedTuple):
    """What was written."""

    directory: Path
    results: SuiteResults
    lines: list[TableLine]
    versions: Mapping[str, str]

    def text(self) -> str:
        """Return what a terminal shows."""
        return f"{texts.markdown(self.results, self.lines, self.versions)}\n{self.directory / PAGE}"

    def as_json(self) -> dict[str, Any]:
        """Return what ``output=json`` says."""
        return {"results": str(self.directory), "table": [line.values() for line in self.lines]}


def write_results(folder: SuiteFolder, out: Path) -> Written:
    """Write the rows of all runs of a suite that are finished, of which there are some, and what is made from them.

    Raises:
        UsageError: `out` cannot be written.
    """
    about, finished = folder.about(), folder.finished()
    ordered = sorted(finished.values(), key=lambda one: _place(about, one["rows"][0]))
    write_csv(out / ROWS, COLUMNS, [row for one in ordered for row in one["rows"]])
    write_csv(out / CURVES, CURVE_COLUMNS, [point for one in ordered for point in _points(one)])
    _write(out / SUITE, yaml.safe_dump(about, sort_keys=False, width=120))
    _write(out / VERSIONS, json.dumps(_versions(ordered), indent=1) + "\n")
    _write(out / CONFIGS, _configs(folder, [one["rows"][0] for one in ordered]))
    return draw_results(out)


def draw_results(directory: Path) -> Written:
    """Write what is made from the rows in a folder: the table, the plots and the page.

    Raises:
        UsageError: there are no rows, or the folder cannot be written.
    """
    results = read_results(directory)
    found = table.lines(results)
    versions = json.loads((directory / VERSIONS).read_text())
    write_csv(directory / TABLE, table.COLUMNS, [line.values() for line in found])
    _write(directory / MARKDOWN, texts.markdown(results, found, versions))
    _write(directory / PAGE, texts.page(results, found, versions))
    labels = plots.groups(results)
    for name, drawn in zip(PICTURES, (plots.curves(results), [plots.profiles(results)]), strict=True):
        _write(directory / name, plots.picture(drawn, labels))
    return Written(directory, results, found, versions)


def _place(about: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return where a run's rows stand: environments and agents are in the suite's order."""
    names = (("envs", "environment"), ("agents", "agent"))
    first, second = (list(about[key]).index(row[name]) for key, name in names)
    return first, second, row["seed"]


def _points(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    row = one["rows"][0]
    return [
        dict(zip(CURVE_COLUMNS, (row["agent"], row["environment"], row["seed"], *point), strict=True))
        for point in one["curve"]
    ]


def _versions(ordered: list[dict[str, Any]]) -> dict[str, str]:
    """Return what the runs were made with; where they differ, all of it."""
    names = dict.fromkeys(name for one in ordered for name in one["versions"])
    return {
        name: " and ".join(sorted({one["versions"][name] for one in ordered if name in one["versions"]}))
        for name in names
    }


def _configs(folder: SuiteFolder, rows: list[dict[str, Any]]) -> str:
    """Return the configuration of each agent in each environment as YAML, seed and folder excepted."""
    first: dict[tuple[str, str], str] = {}
    for row in rows:
        first.setdefault((row["agent"], row["environment"]), run_name(row["agent"], row["environment"], row["seed"]))
    found = folder.values(list(first.values()))
    kept = {
        f"{agent} in {env}": {key: value for key, value in found[name].items() if key not in OF_THE_RUN}
        for (agent, env), name in first.items()
    }
    return yaml.safe_dump(kept, sort_keys=False, width=120)


def _write(path: Path, text: str) -> None:
    with writing(path, "out") as file:
        file.write(text)
