"""The TensorBoard logger, read back by TensorBoard itself: every step once, whatever happens to the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import clean_environment, refused
from making import run_config

import rlkit
from rlkit.core.callback import RunInfo
from rlkit.core.statistics import EvaluationEpisode, EvaluationResult
from rlkit.core.types import UsageError
from rlkit.rendering.video import VideoWriter, animated
from rlkit.runs.launch import _check
from rlkit.runs.loggers.tensorboard import TensorBoardLogger

TRAIN = ("agent=q_learning", "env=frozen_lake", "tuned=none", "total_steps=600", "logger=[csv,tensorboard]")
PERIODS = ("eval.every=200", "eval.episodes=3", "checkpoint.every=200", "log.every=100", "video=none")


@pytest.fixture(autouse=True)
def _away_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _numbers_of_two_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin the count of a process's event files: TensorBoard reads those of one second by name, the tenth first."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(10))


def read(directory: Path) -> Any:
    """Return what TensorBoard's own reader shows, all steps of it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sizes = dict.fromkeys(("scalars", "images", "tensors"), 0)
    found = EventAccumulator(str(directory / "tensorboard"), size_guidance=sizes)
    return found.Reload()


def steps(found: Any, tag: str) -> list[int]:
    return [event.step for event in found.Scalars(tag)]


def started(directory: Path, step: int = 0, *, videos: bool = True) -> TensorBoardLogger:
    directory.mkdir(exist_ok=True)
    logger = TensorBoardLogger(videos)
    logger.start(RunInfo("name", directory, "i", {"seed": 1, "eval": {"every": 5}}, step, 1000))
    return logger


def evaluated(step: int, *, final: bool = False) -> EvaluationResult:
    return EvaluationResult(step, [EvaluationEpisode(1.0, 3, False), EvaluationEpisode(2.0, 7, False)], final)


def log(logger: TensorBoardLogger, first: int, last: int) -> None:
    for step in range(first, last + 1):
        logger.metrics(step, {"loss/td": 1 / step, "time/seconds": float(step)})
        if step % 3 == 0:
            logger.evaluation(evaluated(step))


def test_figures_have_the_step_and_the_value(tmp_path: Path) -> None:
    logger = started(tmp_path / "run")
    log(logger, 1, 6)
    logger.end(None, None)
    found = read(tmp_path / "run")
    assert steps(found, "loss/td") == [1, 2, 3, 4, 5, 6]
    assert [event.value for event in found.Scalars("loss/td")] == pytest.approx([1 / step for step in range(1, 7)])
    assert steps(found, "evaluation/return_mean") == [3, 6]
    assert [event.value for event in found.Scalars("evaluation/return_mean")] == [1.5, 1.5]
    assert set(found.Tags()["scalars"]) == {
        *("loss/td", "time/seconds"),
        *(f"evaluation/{name}_{kind}" for name in ("return", "length") for kind in ("mean", "min", "max")),
    }


def test_the_configuration_is_a_text(tmp_path: Path) -> None:
    started(tmp_path / "run").end(None, None)
    [event] = read(tmp_path / "run").Tensors("config/text_summary")
    assert event.tensor_proto.string_val[0].decode() == "    seed: 1\n    eval:\n      every: 5\n"


@pytest.mark.parametrize("checkpoint", [1, 3, 7])
@pytest.mark.parametrize("killed", [False, True])
def test_after_a_resume_no_step_is_there_twice_and_none_is_missing(
    tmp_path: Path, checkpoint: int, killed: bool
) -> None:
    logger = started(tmp_path)
    log(logger, 1, checkpoint)
    assert logger.state_dict() == {}
    log(logger, checkpoint + 1, 8)
    logger.end(None, None)
    if killed:
        [path] = (tmp_path / "tensorboard").iterdir()
        path.write_bytes(path.read_bytes()[:-11])
    for _ in range(2):
        logger = started(tmp_path, checkpoint)
        log(logger, checkpoint + 1, 12)
        logger.end(None, None)
    found = read(tmp_path)
    assert steps(found, "loss/td") == list(range(1, 13))
    assert steps(found, "time/seconds") == list(range(1, 13))
    assert steps(found, "evaluation/return_max") == [3, 6, 9, 12]
    assert len(found.Tensors("config/text_summary")) == 1


def test_rows_of_a_start_that_never_reached_a_checkpoint_are_gone(tmp_path: Path) -> None:
    for last in (6, 3):
        logger = started(tmp_path)
        log(logger, 1, last)
        logger.end(None, None)
    assert steps(read(tmp_path), "loss/td") == [1, 2, 3]


def test_a_final_evaluation_is_gone_where_the_run_goes_on(tmp_path: Path) -> None:
    logger = started(tmp_path)
    log(logger, 1, 5)
    logger.evaluation(evaluated(5, final=True))
    logger.end(None, None)
    assert steps(read(tmp_path), "evaluation/final") == [5]
    assert steps(read(tmp_path), "evaluation/return_mean") == [3, 5]
    logger = started(tmp_path, 5)
    log(logger, 6, 7)
    logger.end(None, None)
    assert steps(read(tmp_path), "evaluation/return_mean") == [3, 6]
    assert "evaluation/final" not in read(tmp_path).Tags()["scalars"]


def film(path: Path, frames: int = 400) -> Path:
    writer = VideoWriter(path)
    for i in range(frames):
        writer.add(np.full((120, 480, 3), 40 + i % 200, np.uint8), fps=50)
    return writer.close()


def test_pictures_and_videos_are_there_once(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (30, 20), "red").save(tmp_path / "curve.png")
    video = film(tmp_path / "video.mp4", frames=5)
    for start in (0, 10):
        logger = started(tmp_path / "run", start)
        logger.media(10, tmp_path / "curve.png")
        logger.media(10, video)
        logger.media(10, tmp_path / "gone.png")
        logger.state_dict()
        logger.end(None, None)
    found = read(tmp_path / "run")
    assert sorted(found.Tags()["images"]) == ["media/curve", "media/video"]
    [curve] = found.Images("media/curve")
    assert (curve.step, curve.width, curve.height) == (10, 30, 20)
    assert curve.encoded_image_string == (tmp_path / "curve.png").read_bytes()
    [moving] = found.Images("media/video")
    assert moving.encoded_image_string.startswith(b"GIF8")


def test_videos_can_be_left_out(tmp_path: Path) -> None:
    video = film(tmp_path / "video.mp4", frames=5)
    logger = started(tmp_path / "run", videos=False)
    logger.media(10, video)
    logger.end(None, None)
    assert read(tmp_path / "run").Tags()["images"] == []


def test_a_long_video_becomes_a_small_picture_of_the_same_duration(tmp_path: Path) -> None:
    from io import BytesIO

    from PIL import Image

    content, size = animated(film(tmp_path / "video.mp4"))
    picture = Image.open(BytesIO(content))
    assert picture.size == size == (240, 60)
    assert picture.n_frames == 134
    assert picture.info["duration"] * picture.n_frames == pytest.approx(400 / 50 * 1000, rel=0.02)


def test_a_run_writes_what_its_csv_files_say(tmp_path: Path) -> None:
    run = rlkit.train(*TRAIN, *PERIODS)
    found = read(run.directory)
    assert steps(found, "loss/td") == list(run.metrics["step"])
    values = [event.value for event in found.Scalars("return/raw")]
    assert values == pytest.approx(run.metrics["return/raw"][-len(values) :])
    means = [(event.step, event.value) for event in found.Scalars("evaluation/return_mean")]
    assert means == [(step, pytest.approx(score)) for step, score in run.evaluation_means()]
    assert found.Tags()["images"] == ["media/curve", "media/map"]


def test_a_longer_run_and_one_that_is_resumed_when_done_have_each_step_once(tmp_path: Path) -> None:
    run = rlkit.train(*TRAIN, *PERIODS)
    rlkit.train(f"resume={run.directory}")
    longer = rlkit.train(f"resume={run.directory}", "total_steps=1000")
    found = read(run.directory)
    assert steps(found, "loss/td") == list(longer.metrics["step"]) == list(range(100, 1001, 100))
    assert [event.step for event in found.Images("media/curve")] == [600, 1000]


def test_a_logger_added_on_resume_has_the_rows_before(tmp_path: Path) -> None:
    run = rlkit.train(*TRAIN[:-1], *PERIODS, "logger=[csv]")
    rlkit.train(f"resume={run.directory}", "total_steps=1000", "logger=[csv,tensorboard]")
    found = read(run.directory)
    assert steps(found, "loss/td") == list(range(100, 1001, 100))
    assert steps(found, "evaluation/return_mean") == [200, 400, 600, 800, 1000]
    assert steps(found, "time/seconds") == list(range(100, 1001, 100))


def test_equal_runs_leave_equal_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        run = rlkit.train(*TRAIN, *PERIODS)
        manifests.add((run.directory / "checkpoints/600/manifest.json").read_bytes())
    assert len(manifests) == 1


def test_without_tensorboard_the_run_is_refused_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "tensorboard.py").write_text("raise ImportError('no TensorBoard here')\n")
    line = refused("train", *TRAIN, *PERIODS, cwd=tmp_path, pythonpath=tmp_path)
    assert line.startswith("rlkit: logger=tensorboard needs TensorBoard: pip install tensorboard")
    assert not list(tmp_path.glob("runs/*"))


def test_a_package_that_is_not_there_is_named_before_anything_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    config = run_config(*TRAIN, *PERIODS)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"logger=tensorboard needs tensorboard: pip install tensorboard, or"):
        _check(config)


def test_the_logger_loads_neither_torch_nor_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from rlkit.runs.loggers.tensorboard import TensorBoardLogger\n"
        "assert 'tensorboard' not in sys.modules\n"
        "TensorBoardLogger(True)\n"
        "assert 'tensorboard' in sys.modules and not {'torch', 'tensorflow', 'grpc'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(), check=True, timeout=60)
