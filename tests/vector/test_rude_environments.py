"""Environments that misbehave: closing that fails, another working directory, the end of the process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium import spaces

import rlkit
from rlkit.core.types import RunError


class Rude(gymnasium.Env):
    """Nine steps an episode; `steps` are those of the process."""

    steps = 0

    observation_space = spaces.Discrete(10)
    action_space = spaces.Discrete(2)

    def __init__(self, kind: str = ""):
        self.kind = kind

    def leave(self, kind: str) -> None:
        if self.kind == kind:
            os.chdir("/")

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        self.leave("reset")
        return 0, {}

    def step(self, action: int) -> Any:
        self.t, Rude.steps = self.t + 1, Rude.steps + 1
        self.leave("step")
        if self.kind == "exit" and Rude.steps == 60:
            sys.exit(3)
        return self.t, float(action), self.t >= 9, False, {}

    def close(self) -> None:
        if self.kind == "close":
            raise RuntimeError("the display is gone already")
        if self.kind == "exit in close":
            sys.exit(3)
        self.leave("leave in close")


gymnasium.register("Rude-v0", Rude)


def train(kind: str, *words: str) -> Any:
    return rlkit.train(
        *("agent=q_learning", "env=gym", "env.id=Rude-v0", f"+env.kwargs.kind='{kind}'", "name=rude", "video=none"),
        *("total_steps=100", "eval.every=50", "eval.episodes=1", "checkpoint.every=50", *words),
    )


WORKERS = ("num_envs=2", "vectorization=async")


@pytest.mark.parametrize("kind", ["close", "exit in close"])
@pytest.mark.parametrize("words", [(), WORKERS])
def test_closing_that_fails_takes_nothing_away(
    kind: str, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.warns(
        UserWarning, match=r"^closing the environment raised (RuntimeError|SystemExit): .*nothing is lost"
    ):
        train(kind, *words)
    assert (tmp_path / "runs/rude/checkpoints/100").exists()


@pytest.mark.parametrize(
    ("kind", "words"), [("reset", ()), ("step", ()), ("leave in close", ()), ("leave in close", WORKERS)]
)
def test_another_working_directory_is_changed_back(
    kind: str, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match=r"^the environment changes the working directory; it is changed back$"):
        train(kind, *words)
    assert Path.cwd() == tmp_path
    assert (tmp_path / "runs/rude/checkpoints/100").exists()


def test_an_environment_that_ends_the_process_ends_the_run_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Rude, "steps", 0)
    with pytest.raises(RunError, match=r"^the environment raised SystemExit: 3 \(after step 59\); fix it, then resume"):
        train("exit", "eval.every=0")
    assert (tmp_path / "runs/rude/checkpoints/50").exists()


def test_a_worker_that_its_environment_ends_is_said_with_its_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Rude, "steps", 0)
    with pytest.raises(RunError, match=r"^a worker process of the environment ended with status 3, as by sys.exit \("):
        train("exit", "eval.every=0", "total_steps=200", *WORKERS)
    assert (tmp_path / "runs/rude/checkpoints/100").exists()
