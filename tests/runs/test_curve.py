"""The learning curve of a run: which panels it has, and how its numbers are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rlkit.core.figure import figure, write
from rlkit.runs.plots import curve

pytestmark = pytest.mark.draws


def drawn(
    directory: Path,
    lengths: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    metrics: str = "step,loss/td\n1000,0.5\n",
) -> Any:
    """Return the figure of a run with the returns 20 and 30, evaluated at two steps."""
    (directory / "episodes.csv").write_text(
        "step,env,return/raw,return/learner,length,truncated_by_checkpoint\n"
        f"20,0,20.0,20.0,{lengths[0]},0\n50,0,30.0,30.0,{lengths[1]},0\n"
    )
    (directory / "evaluations.csv").write_text(
        "step,episode,return/raw,length,final\n1000,0,10.0,10,0\n1000,1,40.0,40,0\n2000,0,50.0,50,0\n2000,1,50.0,50,0\n"
    )
    (directory / "metrics.csv").write_text(metrics)
    kept: list[Any] = []
    monkeypatch.setattr(curve, "write", lambda figure, path: kept.append(figure) or path)
    curve.draw(directory)
    return kept[0]


def test_lengths_that_are_the_returns_have_no_panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same, different = drawn(tmp_path, (20, 30), monkeypatch), drawn(tmp_path, (20, 31), monkeypatch)
    assert [axes.get_ylabel() for axes in same.axes] == ["return"]
    assert [axes.get_ylabel() for axes in different.axes] == ["return", "episode length"]


def test_evaluations_have_a_band_from_the_lowest_to_the_highest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [axes] = drawn(tmp_path, (20, 30), monkeypatch).axes
    [band] = axes.collections
    corners = {(float(x), float(y)) for x, y in band.get_paths()[0].vertices}
    assert {(1000.0, 10.0), (1000.0, 40.0), (2000.0, 50.0)} <= corners
    assert axes.lines[-1].get_ydata().tolist() == [25.0, 50.0]


@pytest.mark.parametrize(("rows", "marker"), [("900,1\n", "o"), ("900,1\n1800,0.5\n", "")])
def test_a_metric_of_one_row_is_a_point(
    rows: str, marker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = drawn(tmp_path, (20, 30), monkeypatch, f"step,epsilon\n{rows}").axes[-1]
    assert (axes.get_ylabel(), axes.lines[0].get_marker()) == ("epsilon", marker)


def test_ticks_have_thousands_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [curve.thousands(value) for value in (-12500.0, 0.25, 1e6)] == ["\N{MINUS SIGN}12,500", "0.25", "1,000,000"]
    [axes] = drawn(tmp_path, (20, 30), monkeypatch).axes
    assert axes.xaxis.get_major_formatter()(2000.0) == "2,000"


def test_names_in_every_script_are_drawn_without_a_warning(tmp_path: Path) -> None:
    drawing = figure(2, 2, "日本語 🎲")
    assert write(drawing, tmp_path / "a.png").stat().st_size > 0
