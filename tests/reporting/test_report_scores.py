"""What a report says of seeds: each counts once, and alike, whatever it played."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_folders import write_run

import rlkit
from rlkit.cli.main import main
from rlkit.reporting.curves import evaluation_curve, training_curve
from rlkit.reporting.groups import Group, grouped
from rlkit.reporting.opening import open_runs
from rlkit.reporting.page import write
from rlkit.reporting.scores import group_score, run_score
from rlkit.runs.run import Run

UNEVEN = {0: [500.0] * 20, 1: [500.0] * 20, 2: [500.0] * 12 + [100.0] * 8 + [0.0] * 5}
"""Of means 500, 500 and 272; the interquartile mean of all 65 episodes would be 500."""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def group_of(*folders: Path) -> Group:
    [group] = grouped(open_runs(folders))
    return group


def seeds_of(*scores: float, name: str = "s") -> list[Path]:
    return [write_run(Path(f"{name}{i}"), seed=i, evaluations={100: [score]}) for i, score in enumerate(scores)]


def test_each_seed_counts_alike_however_its_episodes_lie_and_however_many_there_are() -> None:
    folders = [write_run(Path(f"s{i}"), seed=i, evaluations={100: values}) for i, values in UNEVEN.items()]
    score = group_score(group_of(*folders))
    assert score.episodes == 65
    assert score.mean is not None
    assert score.iqm is not None
    assert score.mean.value == score.iqm.value == pytest.approx((500 + 500 + 272) / 3)


def test_the_interquartile_mean_leaves_out_seeds_not_episodes() -> None:
    score = group_score(group_of(*seeds_of(0.0, 10.0, 20.0, 1000.0)))
    assert score.mean is not None
    assert score.iqm is not None
    assert (score.mean.value, score.iqm.value) == (257.5, 15.0)
    assert score.iqm.interval == (0.0, 1000.0), "of 256 resamples 13 have the highest three or four times"
    assert score.mean.interval is not None
    assert score.mean.interval.high < 1000.0, "one of 256 has it four times"


@pytest.mark.parametrize("scores", [(3.0, 7.0), (3.0, 9.0, 7.0)])
def test_of_two_or_three_seeds_the_interval_is_the_range_and_the_page_says_so(scores: tuple[float, ...]) -> None:
    folders = seeds_of(*scores)
    score = group_score(group_of(*folders))
    assert score.mean is not None
    assert score.iqm is not None
    assert score.mean.interval == score.iqm.interval == (min(scores), max(scores))
    told = f"{len(scores)} seeds, so the interval is the range from the lowest score to the highest"
    assert told in rlkit.report(*folders).read_text()


def test_of_one_seed_there_is_no_interval_and_the_page_says_so() -> None:
    [folder] = seeds_of(5.0)
    path, [found] = write([folder], "one.html", 20.0)
    assert found["iqm"] == {"value": 5.0, "low": None, "high": None}
    assert "one seed, so there is no interval" in path.read_text()


def test_of_more_seeds_less_is_said() -> None:
    four, five = seeds_of(1.0, 2.0, 3.0, 4.0), seeds_of(1.0, 2.0, 3.0, 4.0, 5.0, name="t")
    assert "4 seeds, so the interval of the interquartile mean is the range" in rlkit.report(*four).read_text()
    assert "seeds, so the interval" not in rlkit.report(*five).read_text()


@pytest.mark.parametrize("value", [0.0, 1 / 3, 500.0, -1e9])
def test_seeds_that_are_all_alike_make_a_page(value: float) -> None:
    folders = [write_run(Path(f"s{i}"), seed=i, evaluations={s: [value] * 3 for s in (1, 2)}) for i in range(3)]
    score = group_score(group_of(*folders))
    assert score.iqm is not None
    assert score.iqm.interval is not None
    assert tuple(score.iqm.interval) == pytest.approx((value, value))
    assert "<svg" in rlkit.report(*folders).read_text()


def test_values_that_differ_in_their_last_bits_make_a_page() -> None:
    folders = seeds_of(1 / 3, np.nextafter(1 / 3, 1), np.nextafter(1 / 3, 0))
    assert "<svg" in rlkit.report(*folders).read_text()


@pytest.mark.parametrize("scores", [(0.0, 5.6e-17), (0.0, 3e-12), (-1e-9, 2e-9), (-1e300, 1e300)])
def test_scores_of_any_size_make_a_page(scores: tuple[float, ...]) -> None:
    text = rlkit.report(*seeds_of(*scores)).read_text()
    assert text.count("<svg viewBox") == 2
    assert not re.search(r'[ "]-?(nan|inf)', text)


def test_a_copy_of_a_run_counts_once_and_a_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    folders = seeds_of(1.0, 4.0)
    copies = [Path(shutil.copytree(folders[0], Path(f"copy{i}"))) for i in range(2)]
    group = group_of(*folders, *copies)
    assert group.seeds == [0, 1]
    assert group_score(group).mean == group_score(group_of(*folders)).mean
    assert [curve.values.tolist() for curve in evaluation_curve(group).seeds] == [[1.0], [4.0]]
    assert main(["report", *map(str, [*folders, *copies]), "output=json"]) == 0
    output = capsys.readouterr()
    [found] = json.loads(output.out)["groups"]
    assert (found["seeds"], found["copies"]) == ([0, 1], ["copy0", "copy1"])
    line = "copy0 has the settings and the seed 0 of s0: they count once"
    assert f"rlkit: {line}\n" in output.err
    assert line in Path("report.html").read_text()


def test_of_a_seed_that_was_trained_twice_the_run_that_came_furthest_counts() -> None:
    short = write_run(Path("short"), seed=3, evaluations={100: [1.0]})
    whole = write_run(Path("whole"), seed=3, evaluations={100: [1.0], 200: [2.0]})
    again = write_run(Path("again"), seed=3, evaluations={100: [1.0], 200: [2.0]})
    group = group_of(short, whole, again)
    assert [run.name for run in group.runs] == ["whole"]
    assert [(copy.name, kept.name) for copy, kept in group.copies] == [("short", "whole"), ("again", "whole")]


def test_runs_whose_values_are_alike_are_a_group_whichever_file_set_them() -> None:
    first, second = (write_run(Path(f"s{i}"), seed=i, evaluations={100: [1.0]}) for i in range(2))
    (second / "config.yaml").write_text((second / "config.yaml").read_text().replace("tuned: none", "tuned: other"))
    assert "tuned: other" in (second / "config.yaml").read_text()
    assert group_of(first, second).seeds == [0, 1]


def test_copies_of_one_run_are_one_seed() -> None:
    [folder] = seeds_of(2.0)
    copies = [Path(shutil.copytree(folder, Path(f"copy{i}"))) for i in range(2)]
    path, [found] = write([folder, *copies], "copies.html", 20.0)
    assert found["seeds"] == [0]
    assert found["mean"] == {"value": 2.0, "low": None, "high": None}
    assert "1 seed<" in path.read_text()


def test_returns_that_are_no_numbers_count_nowhere_and_a_line_says_so() -> None:
    good = [write_run(Path(f"s{i}"), seed=i, evaluations={100: [1.0], 200: [3.0 + i]}) for i in range(2)]
    odd = write_run(Path("odd"), seed=2, evaluations={100: [2.0], 200: [float("nan")]}, episodes={50: [float("inf")]})
    group = group_of(*good, odd)
    score = group_score(group)
    assert score.scored == 2
    assert score.mean is not None
    assert score.mean.value == 3.5
    assert score.best == pytest.approx((3 + 4 + 2) / 3)
    curve = evaluation_curve(group)
    assert (curve.mean.steps.tolist(), curve.mean.values.tolist()) == ([100], [pytest.approx(4 / 3)])
    text = rlkit.report(*good, odd).read_text()
    assert "odd has returns that are not finite, which count nowhere: 1 in episodes.csv and 1 in eval" in text
    assert not re.search(r'"(values|low|high)":\[[^]]*(NaN|Infinity)', text)
    assert rlkit.report(odd).is_file()


def test_a_seed_without_evaluations_takes_no_part() -> None:
    folders = [*seeds_of(1.0, 2.0), write_run(Path("none"), seed=9, evaluations={}, episodes={10: [1.0]})]
    score = group_score(group_of(*folders))
    assert (score.episodes, score.scored) == (2, 2)
    assert score.mean is not None
    assert score.mean.value == 1.5
    assert "2 of 3 seeds have a score, and the table is over these" in rlkit.report(*folders).read_text()


def test_unequal_numbers_of_evaluations_are_compared_where_all_have_one() -> None:
    short = write_run(Path("short"), seed=0, evaluations={100: [0.0], 200: [4.0]})
    whole = write_run(Path("whole"), seed=1, evaluations={100: [2.0, 4.0], 200: [6.0], 300: [100.0]})
    curve = evaluation_curve(group_of(short, whole))
    assert curve.mean.steps.tolist() == [100, 200]
    assert curve.mean.values.tolist() == [1.5, 5.0]


def test_the_newest_of_equal_evaluations_is_the_best() -> None:
    folder = write_run(Path("equal"), seed=0, evaluations={100: [3.0, 5.0], 200: [4.0, 4.0], 300: [1.0]})
    score = run_score(Run(folder))
    assert score.best == (200, 4.0)
    assert score.last == (300, 1.0)


def test_an_episode_counts_from_the_very_step_at_which_it_ends() -> None:
    folder = write_run(Path("one"), seed=0, evaluations={}, episodes={10: [1.0], 20: [3.0]})
    curve = training_curve(group_of(folder))
    assert curve.mean.steps.tolist() == list(range(10, 21))
    assert curve.mean.values.tolist() == [1.0] * 10 + [2.0], "the mean of 1 and 3 from step 20 on"


def test_training_curves_are_means_over_seeds_where_both_are() -> None:
    first = write_run(Path("first"), seed=0, evaluations={}, episodes={10: [1.0], 20: [3.0]})
    second = write_run(Path("second"), seed=1, evaluations={}, episodes={12: [5.0], 15: [7.0] * 7})
    curve = training_curve(group_of(first, second))
    assert curve.mean.steps.tolist() == [12, 13, 14, 15]
    np.testing.assert_allclose(curve.mean.values, [3.0, 3.0, 3.0, (1 + (5 + 7 * 7) / 8) / 2])
    assert [line.steps[[0, -1]].tolist() for line in curve.seeds] == [[10, 20], [12, 15]]
