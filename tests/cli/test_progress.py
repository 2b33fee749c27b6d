"""What takes long says how far it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rlkit
from rlkit.cli import progress
from rlkit.cli.main import main
from rlkit.cli.progress import SECONDS, EpisodeProgress


def test_a_line_comes_when_it_is_time(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    watch = EpisodeProgress(clock=lambda: now[0])
    lines = []
    for seconds, before, playing, lengths in [
        (SECONDS - 1, 0, [True, True], [7, 7]),
        (SECONDS, 0, [True, False], [1200, 30]),
        (2 * SECONDS - 1, 0, [True, False], [1300, 30]),
        (2 * SECONDS, 1000, [True], [5]),
    ]:
        now[0] = seconds
        watch(before, np.array(playing), np.array(lengths))
        lines.append(capsys.readouterr().err)
    said = "1 of 2 episodes are being played, at step 1,200\n"
    assert lines == ["", said, "", "1,000 are over, playing, at step 5\n"]


VERBS = {
    "eval": ["run=r", "num_envs=2", "episodes=2"],
    "play": ["run=r", "grid=true", "max_steps=5", "episodes=2"],
    "match": ["random", "perfect", "env=tic_tac_toe", "games=2"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_that_play_many_episodes_say_so(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    if verb != "match":
        rlkit.train("agent=random", "env=cartpole", "total_steps=20", "eval.every=0", "video=none", run_dir="r")
    capsys.readouterr()
    assert main([verb, *VERBS[verb], "output=json"]) == 0
    out, err = capsys.readouterr()
    noun = "games" if verb == "match" else "episodes"
    assert err.startswith(f"2 of 2 {noun} are being played, at step ")
    assert len(out.splitlines()) == 1
