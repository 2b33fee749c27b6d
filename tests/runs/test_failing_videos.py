"""Videos that cannot be written in the middle of a run cost a line, and not the run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium import spaces

import rlkit
from rlkit.core.types import RunError, UsageError
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


class Blind(gymnasium.Env[Any, Any]):
    """Has no render()."""

    state_fields = ("t",)
    observation_space = spaces.Discrete(5)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        self.t += 1
        return self.t, 1.0, self.t >= 4, False, {}


gymnasium.register("Blind-v0", Blind)


@pytest.mark.parametrize("env", [(f"env={__name__}:Blind",), ("env=gym", "env.id=Blind-v0")], ids=" ".join)
def test_without_render_it_is_said_at_the_start_and_by_the_environment_s_name(
    env: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("agent=q_learning", "total_steps=8", "eval.every=0", "run_dir=r")
    rlkit.train(*env, *words)
    begin, end = capfd.readouterr().out.split("done at step 8")
    assert "no video will be made: Blind has no render() (video=none wants none)" in begin
    # Of an id, Gymnasium's metadata already say it.
    says = r"Blind has no render\(\); add one, or set video=none" if len(env) == 1 else r"rgb_array; set video=none"
    assert re.search(f"no video: .*{says}", begin + end)
    with pytest.raises((RunError, UsageError), match=says):
        rlkit.train(*env, *words[:-1], "video=eval", "run_dir=q")
    rlkit.train(*env, *words[:-1], "video=none", "run_dir=n")
    assert "no video" not in capfd.readouterr().out
