"""SIGTERM and SIGINT while a run is scored, recorded or matched: one line, the right status, nothing half written."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command

import rlkit

GAME = """
import time
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium import spaces


class Slow(gymnasium.Env):
    observation_space, action_space = spaces.Discrete(10), spaces.Discrete(2)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    state_fields = ("t",)
    t = 0

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return 0, {}

    def step(self, action):
        self.t += 1
        if self.t == 20 and Path("slow").exists():
            Path("going").touch()
        if self.t > 20 and Path("slow").exists():
            time.sleep(0.02)
        return min(self.t, 9), 1.0, self.t >= 100000, False, {}

    def render(self):
        return np.full((32, 32, 3), self.t % 200 + 20, np.uint8)


gymnasium.register("Slow-v0", Slow)
"""

WORDS = {
    "eval": ("eval", "run=r", "max_steps=100000", "trust=slow_game"),
    "play": ("play", "run=r", "max_steps=100000", "actions=true", "trust=slow_game"),
    "record": ("play", "run=r", "max_steps=100000", "record=true", "out=recorded", "trust=slow_game"),
    "match": ("match", "env=tic_tac_toe", "random", "mcts:2", "mcts:20000", "games=2", "out=games.csv"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "slow_game.py").write_text(GAME)
    words = ("agent=random", "env=gym", "env.id=slow_game:Slow-v0", "total_steps=10", "eval.every=0", "run_dir=r")
    done = Command("train", *words, "video=none", "logger=[csv]", cwd=folder, pythonpath=folder)
    assert done.wait(120) == 0, done.communicate()
    (folder / "slow").touch()
    return folder


def said(command: Command) -> str:
    """Return what a command has printed so far."""
    path = command._files[0]
    return path.read_text() if path.exists() else ""


def until(is_there: Callable[[], object], command: Command) -> None:
    while not is_there():
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
@pytest.mark.parametrize("verb", list(WORDS))
def test_a_signal_ends_a_verb(verb: str, number: signal.Signals, made: Path) -> None:
    (made / "going").unlink(missing_ok=True)
    before = {path for path in made.rglob("*") if "__pycache__" not in path.parts}
    command = Command(*WORDS[verb], cwd=made, pythonpath=made)
    until(lambda: (made / "going").exists() if verb != "match" else said(command), command)
    command.send_signal(number)
    _, errors = command.communicate(timeout=30)
    trusted = "" if verb == "match" else "rlkit: r/config.yaml names slow_game:Slow-v0 (trust=slow_game)\n"
    assert (command.returncode, errors) == (128 + number, f"{trusted}rlkit: interrupted\n")
    left = {path for path in made.rglob("*") if "__pycache__" not in path.parts and path.is_file()} - before
    assert {path.name for path in left} <= {"going", ".run"}


def test_a_program_keeps_its_own_handlers(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rlkit.cli.main import main

    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert main(["eval", "run=none"]) == 2
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    with pytest.raises(rlkit.UsageError):
        rlkit.load("none")
