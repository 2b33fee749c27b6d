"""Signals are looked at wherever a run is: in evaluations, in steps that do not return, while it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import kills
import pytest
from commands import Command, clean_environment

import rlkit
from rlkit.core.types import Interrupted
from rlkit.runs import session, signals
from rlkit.runs.run import Run

LAKE = ("agent=q_learning", "env=frozen_lake", "tuned=none", "video=none", "logger=[csv]", "eval.episodes=3")

STUCK = """
import time
from pathlib import Path

import gymnasium
from gymnasium import spaces


class Stuck(gymnasium.Env):
    observation_space, action_space = spaces.Discrete(10), spaces.Discrete(2)
    state_fields = ("t",)
    steps = 0

    def __init__(self, kind=""):
        self.kind = kind

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return 0, {}

    def step(self, action):
        Stuck.steps, self.t = Stuck.steps + 1, self.t + 1
        if Stuck.steps > 30 and self.kind:
            Path("stuck").touch()
            while True:
                try:
                    time.sleep(1000 if self.kind == "sleeps" else 0)
                except Exception:
                    pass
        return self.t, float(action), self.t >= 9, False, {}


gymnasium.register("Stuck-v0", Stuck)
"""


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what sends SIGTERM once, when the run has looked for it so many times."""

    def after(times: int) -> None:
        left = [times]

        def reason() -> str | None:
            left[0] -= 1
            return "SIGTERM" if left[0] == 0 else None

        @contextmanager
        def interruptions() -> Iterator[Callable[[], str | None]]:
            yield reason

        monkeypatch.setattr(session, "interruptions", interruptions)

    return after


def content(run: Run) -> dict[str, bytes]:
    paths = [run.directory / name for name in kills.COMPARED]
    last = max(run.checkpoints)
    paths += [path for part in (str(last), "best") for path in (run.directory / "checkpoints" / part).rglob("*.*")]
    return {str(path.relative_to(run.directory)): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    ("every", "total"),
    [(150, 430), (200, 400)],  # a checkpoint is due at the evaluation's step, or not; the run goes on after it, or not
)
def test_an_interrupted_evaluation_is_made_again_on_resume(
    every: int, total: int, interrupt: Callable[[int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*LAKE, f"checkpoint.every={every}", "eval.every=200", "log.every=100", f"total_steps={total}", "name=r")
    (tmp_path / "whole").mkdir()
    monkeypatch.chdir(tmp_path / "whole")
    uninterrupted = rlkit.train(*words)
    whole = content(uninterrupted)
    at, before = (200, 0) if total == 430 else (400, longest(uninterrupted, 200))
    (tmp_path / "resumed").mkdir()
    monkeypatch.chdir(tmp_path / "resumed")
    interrupt(at + before + 3)
    run = rlkit.train(*words)
    assert run.stopped == "SIGTERM"
    assert max(run.checkpoints) == at
    interrupt(2)  # in the same evaluation again
    assert rlkit.train("resume=runs/r").stopped == "SIGTERM"
    interrupt(0)
    assert content(rlkit.train("resume=runs/r")) == whole


def longest(run: Run, step: int) -> int:
    """Return how many steps an evaluation of episodes side by side took."""
    return int(max(run.evaluations["length"][run.evaluations["step"] == step]))


def stuck(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Return a run whose environment does not return from a step."""
    (folder / "stuck_game.py").write_text(STUCK)
    fixed = "agent=q_learning env=gym env.id=stuck_game:Stuck-v0 name=r video=none eval.every=0 checkpoint.every=10"
    process = begin("-m", "rlkit", "train", *fixed.split(), "total_steps=100", *words, cwd=folder)
    while not (folder / "stuck").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


def begin(*words: str, cwd: Path) -> subprocess.Popen[str]:
    environment = clean_environment(PYTHONPATH=str(cwd))
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *words], cwd=cwd, stdout=pipe, stderr=pipe, env=environment, text=True)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        pytest.param(signal.SIGTERM, "sleeps", (), marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, "spins", (), marks=pytest.mark.slow),
        (signal.SIGTERM, "sleeps", ("num_envs=2", "vectorization=async")),
    ],
)
def test_a_step_that_does_not_return_is_left(number: int, kind: str, words: tuple[str, ...], tmp_path: Path) -> None:
    command = stuck(tmp_path, f"+env.kwargs.kind={kind}", *words)
    began = time.monotonic()
    command.send_signal(number)
    output, errors = command.communicate(timeout=60)
    assert (command.returncode, errors) == (128 + number, "")
    assert time.monotonic() - began < 30
    step = 60 if words else 30
    assert f"stopped: {signal.Signals(number).name} at step {step}" in output
    assert sorted(int(path.name) for path in (tmp_path / "runs/r/checkpoints").iterdir())[-1] == step


def test_workers_that_hang_end_with_the_run(tmp_path: Path) -> None:
    command = stuck(tmp_path, "+env.kwargs.kind=sleeps", "num_envs=2", "vectorization=async")
    workers = children(command.pid)
    assert len(workers) == 2
    command.kill()
    command.communicate()
    until = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(map(alive, workers))


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_says_so_and_resumes_exactly(tmp_path: Path) -> None:
    words = "agent=q_learning env=taxi tuned=none num_envs=2 vectorization=async total_steps=2400 eval.every=800 "
    words += (
        "eval.episodes=2 eval.max_steps=50 checkpoint.every=400 log.every=200 logger=[csv] video=none run_dir=runs/case"
    )
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
    whole = Command("train", *words.split(), cwd=tmp_path / "whole")
    killed = Command("train", *words.split(), cwd=tmp_path / "killed")
    checkpoint = tmp_path / "killed/runs/case/checkpoints/400/manifest.json"
    while not checkpoint.exists():
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.002)
    for worker in children(killed.pid)[:1]:
        os.kill(worker, signal.SIGKILL)
    _, errors = killed.communicate(timeout=60)
    assert killed.returncode == 1
    assert errors.startswith("rlkit: a worker process of the environment ended by SIGKILL (after step ")
    assert errors.count("\n") == 1
    resumed = Command("train", "resume=runs/case", cwd=tmp_path / "killed")
    assert [run.wait(120) for run in (whole, resumed)] == [0, 0]
    assert kills.compare(tmp_path / "whole/runs/case", tmp_path / "killed/runs/case") == []


def test_runs_that_start_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    words = ["agent=random", "env=frozen_lake", "total_steps=200", "eval.every=0", "video=none", "logger=[csv]"]
    runs = [Command("train", *words, cwd=tmp_path) for _ in range(3)]
    assert [run.wait(120) for run in runs] == [0] * 3
    assert len(list(tmp_path.glob("runs/*/checkpoints/200"))) == 3


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    words = ("agent=random", *LAKE[1:], "inner_loop=python", "total_steps=3000", "eval.every=0")
    run = Command("train", *words, "checkpoint.every=500", "name=r", cwd=tmp_path)
    while not (tmp_path / "runs/r/checkpoints/500").exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.002)
    run.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    assert run.poll() is None
    run.send_signal(signal.SIGCONT)
    assert run.wait(120) == 0
    assert (tmp_path / "runs/r/checkpoints/3000").exists()


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def signalled(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(5)


def test_what_comes_after_a_run_is_interrupted_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match="SIGTERM"), signals.interrupted_at_once():
        signalled(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_sigterm_changes_nothing_and_a_second_ctrl_c_ends_it() -> None:
    with signals.interruptions() as interrupted:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert interrupted() == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            signalled(signal.SIGINT)


def test_a_late_step_that_does_not_return_is_left_and_other_work_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "PATIENCE", 0.05)
    done: list[str] = []

    def slow(_: Any) -> None:
        with suppress(OSError):
            time.sleep(60)

    with signals.interruptions() as interrupted:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)  # an update of an agent, which is reminded and goes on
        done.append("update")
        monkeypatch.setattr(signals, "OF_ENVIRONMENTS", (slow.__code__,))
        with pytest.raises(Interrupted, match="SIGTERM"):
            slow(None)
        assert interrupted() == "SIGTERM"
    assert done == ["update"]


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.3])
def test_an_early_ctrl_c_is_quiet(moment: float, tmp_path: Path) -> None:
    words = ("train", *LAKE, "total_steps=3000000", "inner_loop=python", "logger=[csv]")
    # Of Ctrl-C before rlkit is there, Python says what it wants.
    begun = "import sys; from rlkit.cli.main import main; print('x', flush=True); sys.exit(main())"
    process = begin("-c", begun, *words, cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(moment)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors in ("", "rlkit: interrupted\n")
