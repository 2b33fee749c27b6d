"""Videos that cannot be written in the middle of a run cost a line, and not the run."""

from __future__ import annotations

from pathlib import Path

import pytest

import rlkit
from rlkit.core.types import UsageError
from rlkit.rendering import video

WORDS = ("agent=q_learning", "env=frozen_lake", "tuned=none", "total_steps=80", "eval.every=40", "eval.episodes=1")
ERRORS = [OSError(28, "No space left on device"), ValueError("av is broken"), UsageError("there is no encoder")]


@pytest.mark.parametrize("error", ERRORS, ids=str)
@pytest.mark.parametrize("kind", ["eval", "every", "final"])
def test_a_video_that_fails_does_not_cost_the_run(
    kind: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def fails(*given: object) -> None:
        raise error

    monkeypatch.setattr(video.VideoWriter, "_open", fails)
    run = rlkit.train(*WORDS, f"video={kind}", "logger=[csv,terminal]", "checkpoint.every=20", "run_dir=r")
    assert run.stopped is None
    assert max(run.checkpoints) >= 80
    assert len(run.evaluation_means()) == 2
    assert "no video" in capfd.readouterr().out
    assert [path.name for path in Path("videos").rglob("*") if path.is_file()] == [".run"]
