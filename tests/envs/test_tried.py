"""The page of environments that were tried says what was measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
PAGE = Path(__file__).parents[2] / "docs/reference/tried.md"


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sys.modules.pop("tried", None)
    import tried

    return tried


def test_the_table_is_that_of_the_rows(tried, tmp_path: Path) -> None:
    rows = tried.rows_of(tried.FOLDER)
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    tried.write_page(page, rows)
    assert page.read_text() == PAGE.read_text()
    assert [row["name"] for row in rows] == list(tried.TRIED)


def test_what_is_not_installed_is_a_row(tried, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tried.TRIED, "nothing", tried.Tried("no-such-package", "env=nothing"))
    row = tried.tried("nothing")
    assert row["version"] == "not installed"
    assert "| no-such-package not installed | `env=nothing` | – |" in tried.table([row])
