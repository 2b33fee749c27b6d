from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlkit.core.callback import RunInfo
from rlkit.core.statistics import Episode, EvaluationEpisode, EvaluationResult
from rlkit.core.types import RunError
from rlkit.runs.loggers.csv import CsvLogger, Table

NAMES = ("metrics", "episodes", "evaluations", "timings")


def started(directory: Path, *, step: int = 0, state: Any = None) -> CsvLogger:
    logger = CsvLogger()
    if state is not None:
        logger.load_state_dict(state)
    logger.start(RunInfo("name", directory, "id", {}, step, 100))
    return logger


def contents(directory: Path, names: tuple[str, ...] = NAMES) -> dict[str, str]:
    return {name: (directory / f"{name}.csv").read_text() for name in names}


def log(logger: CsvLogger, first: int, last: int) -> None:
    """Log what a run would between two steps, a new figure from step 5 on."""
    for step in range(first, last + 1):
        logger.episode(Episode(step, step % 2, step / 3, step / 7, step, step % 4 == 0))
        late = {"late": step / 11} if step >= 5 else {}
        logger.metrics(step, {"loss": 1 / step, **late, "time/seconds": step * 1.5})
        if step % 3 == 0:
            played = [EvaluationEpisode(1.0, 9, False), EvaluationEpisode(2.5, 8, False)]
            logger.evaluation(EvaluationResult(step, played, final=step == 9))


def test_each_file_has_its_header_and_one_row_for_each_thing_told(tmp_path: Path) -> None:
    logger = started(tmp_path)
    log(logger, 3, 4)
    logger.end(None, None)
    assert contents(tmp_path) == {
        "metrics": "step,loss\n3,0.3333333333333333\n4,0.25\n",
        "episodes": "step,env,return/raw,return/learner,length,truncated_by_checkpoint\n"
        "3,1,1.0,0.42857142857142855,3,0\n4,0,1.3333333333333333,0.5714285714285714,4,1\n",
        "evaluations": "step,episode,return/raw,length,final\n3,0,1.0,9,0\n3,1,2.5,8,0\n",
        "timings": "step,time/seconds\n3,4.5\n4,6.0\n",
    }


def test_nothing_that_depends_on_the_clock_is_outside_timings(tmp_path: Path) -> None:
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        logger = started(tmp_path / name)
        log(logger, 1, 9)
        logger.metrics(10, {"time/seconds": seconds, f"time/{name}": seconds})
        state = repr(logger.state_dict())
        (tmp_path / f"{name}.state").write_text(state.replace(str(tmp_path / name), ""))
        logger.end(None, None)
    same = ("metrics", "episodes", "evaluations")
    assert contents(tmp_path / "a", same) == contents(tmp_path / "b", same)
    assert (tmp_path / "a.state").read_text() == (tmp_path / "b.state").read_text()


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-300, -0.0, 1e22, float("inf"), np.float64(0.1), np.float32(0.1)])
def test_floats_read_back_exactly(value: float, tmp_path: Path) -> None:
    table = Table(tmp_path / "t.csv", ["step"])
    table.append({"step": 1, "x": value})
    table.flush()
    read = float((tmp_path / "t.csv").read_text().splitlines()[1].split(",")[1])
    assert np.float64(read).tobytes() == np.float64(value).tobytes()


def test_a_figure_that_appears_later_is_a_column_at_the_right_empty_before(tmp_path: Path) -> None:
    table = Table(tmp_path / "t.csv", ["step"])
    table.append({"step": 1, "a": 2.0})
    table.append({"step": 2, "b": 3.0, "a": 4.0})
    table.append({"step": 3, "c": 5})
    table.flush()
    assert (tmp_path / "t.csv").read_text() == "step,a,b,c\n1,2.0,,\n2,4.0,3.0,\n3,,,5\n"


def test_several_figures_that_appear_at_once_leave_as_many_places_empty(tmp_path: Path) -> None:
    table = Table(tmp_path / "t.csv", ["step"])
    table.append({"step": 1, "a": 2.0})
    table.append({"step": 2, "b": 3.0, "c": 4})
    table.flush()
    assert (tmp_path / "t.csv").read_text() == "step,a,b,c\n1,2.0,,\n2,,3.0,4\n"


@pytest.mark.parametrize("checkpoint", [2, 4, 5, 7])
@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed in a row"])
def test_resumed_files_equal_those_of_a_run_that_was_never_stopped(
    checkpoint: int, killed: bool, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    logger = started(whole)
    log(logger, 1, 12)
    logger.end(None, None)

    logger = started(parts)
    log(logger, 1, checkpoint)
    state = logger.state_dict()
    log(logger, checkpoint + 1, 8)
    logger.end(None, None)
    if killed:
        for name in NAMES:
            with (parts / f"{name}.csv").open("a") as file:
                file.write("99,1.23")
    logger = started(parts, step=checkpoint, state=state)
    log(logger, checkpoint + 1, 12)
    logger.end(None, None)
    assert contents(parts) == contents(whole)


def test_rows_of_a_start_that_never_reached_a_checkpoint_are_written_anew(tmp_path: Path) -> None:
    logger = started(tmp_path)
    log(logger, 1, 6)
    logger.end(None, None)
    logger = started(tmp_path)
    log(logger, 1, 3)
    logger.end(None, None)
    other = tmp_path / "other"
    other.mkdir()
    logger = started(other)
    log(logger, 1, 3)
    logger.end(None, None)
    assert contents(tmp_path) == contents(other)


def test_a_file_shorter_than_its_checkpoint_is_refused(tmp_path: Path) -> None:
    logger = started(tmp_path)
    log(logger, 1, 6)
    state = logger.state_dict()
    path = tmp_path / "episodes.csv"
    path.write_text(path.read_text()[:50])
    with pytest.raises(RunError, match=r"episodes.csv is shorter than its checkpoint says \(\d+ bytes\)"):
        started(tmp_path, step=6, state=state)
    path.unlink()
    with pytest.raises(RunError, match=r"episodes\.csv is shorter"):
        started(tmp_path, step=6, state=state)


def test_the_state_does_not_move_while_the_run_goes_on(tmp_path: Path) -> None:
    logger = started(tmp_path)
    log(logger, 1, 3)
    state = logger.state_dict()
    before = repr(state)
    log(logger, 4, 7)
    assert repr(state) == before
