"""Environments that nobody here wrote, in whole runs: one line, and the checkpoints stay."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from commands import clean_environment, refused
from gymnasium import spaces

import rlkit
from rlkit.core.types import EnvironmentFaultError, RunError, UsageError, described

WORDS = ("agent=q_learning", "env=gym", "env.id=Elses-v0", "name=r", "video=none", "total_steps=120", "tuned=none")
PERIODS = ("eval.every=60", "eval.episodes=1", "checkpoint.every=30")


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Apart(BaseException):
    pass


RAISED = {
    "value": ValueError("the\nmotor"),
    "unprintable": UnprintableError(),
    "surrogate": ValueError("\udc80\x1b[31m"),
    "generator": GeneratorExit("g"),
    "apart": Apart("base"),
    "exit": SystemExit("no license"),
}


class Elses(gymnasium.Env):
    """Misbehaves as its kind says, late: at the 45th step of the process."""

    observation_space = spaces.Discrete(10)
    action_space = spaces.Discrete(2)
    steps = 0

    def __init__(self, kind: str = "", in_evaluation: bool = False):
        self.kind = kind
        self.metadata: Any = None  # as some have it
        if kind == "init":
            raise RAISED["exit"]
        if kind == "handlers":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if kind == "numpy":
            np.seterr(all="raise")

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        if self.kind == "reset":
            raise RAISED["value"]
        return 0, {}

    def step(self, action: int) -> Any:
        self.t, Elses.steps = self.t + 1, Elses.steps + 1
        late = Elses.steps == 45
        if late and self.kind in RAISED:
            raise RAISED[self.kind]
        if late and self.kind == "chdir":
            os.chdir("/")
        if Elses.steps == 62 and self.kind == "evaluation":
            return 0, None, False, False, {}
        return (17 if late and self.kind == "state" else self.t), 1.0, self.t >= 9, False, {}


gymnasium.register("Elses-v0", Elses)


@pytest.fixture(autouse=True)
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Elses, "steps", 0)


def train(kind: str, *words: str) -> Any:
    return rlkit.train(*WORDS, *PERIODS, f"+env.kwargs.kind={kind}", *words)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("value", "ValueError: the motor"),
        ("unprintable", r"UnprintableError at test_somebody_elses.py, line \d+: raise RAISED\[self.kind\]"),
        ("surrogate", r"ValueError: \\udc80\\x1b\[31m"),
        ("generator", "GeneratorExit: g"),
        ("apart", "Apart: base"),
        ("exit", "SystemExit: no license"),
    ],
)
def test_whatever_is_raised_is_one_line_and_the_checkpoint_stays(kind: str, says: str) -> None:
    with pytest.raises(RunError, match=rf"^the environment raised {says} \(after step 44\); fix it, then resume from"):
        train(kind)
    assert Path("runs/r/checkpoints/30").exists()


def test_a_state_that_there_is_not_ends_a_run_in_the_words_of_the_contract() -> None:
    says = (
        r"^the environment returned the observation 17, outside .* \(after step 44\); fix .*; `rlkit check env=gym .*`"
    )
    with pytest.raises(RunError, match=says):
        train("state")
    assert Path("runs/r/checkpoints/30").exists()


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("init", r"Elses-v0 cannot be made with .*: SystemExit: no license \(RLKIT_TRACEBACK=1 shows where\)$"),
        ("reset", r"the environment raised ValueError: the motor; fix it \(RLKIT_TRACEBACK=1 shows where\)$"),
    ],
)
def test_what_fails_at_the_start_leaves_no_folder(kind: str, says: str) -> None:
    with pytest.raises(UsageError, match=rf"^{says}"):
        train(kind)
    assert not Path("runs/r").exists()


class Broken(Elses):
    def step(self, action: int) -> Any:
        return 0, np.array([1.0]), False, False, {}


gymnasium.register("Broken-v0", Broken)


@pytest.mark.parametrize("words", [(), ("num_envs=2", "vectorization=async")])
def test_broken_rewards_name_the_check(words: tuple[str, ...]) -> None:
    command = shlex.join(["rlkit", "check", "env=gym", "env.id=Broken-v0", "env.kwargs.kind=''"])
    says = rf"^step 1 returned the reward array\(\[1.\]\) .*; `{re.escape(command)}` examines all of it$"
    with pytest.raises((EnvironmentFaultError, RunError), match=says if not words else "^step 1 returned the reward"):
        train("", "env.id=Broken-v0", *words)


def test_a_fault_in_an_evaluation_is_the_run_s_and_keeps_it() -> None:
    says = r"^the evaluation at step 60 failed: step 2 returned the reward None .*; fix it, then resume from the last"
    with pytest.raises(RunError, match=says):
        train("evaluation")
    assert Path("runs/r/checkpoints/30").exists()


@pytest.mark.filterwarnings("ignore:the environment changes")
def test_a_late_change_of_the_working_directory_loses_nothing(tmp_path: Path) -> None:
    run = train("chdir", "checkpoint.every=40")
    assert Path.cwd() == tmp_path
    assert sorted(set(run.evaluations["step"])) == [60, 120]
    assert run.checkpoints[-1] == 120


def test_handlers_of_signals_and_numpys_errors_are_changed_back() -> None:
    before = signal.getsignal(signal.SIGTERM), np.geterr()
    with pytest.warns(UserWarning, match=r"^the environment changes the handlers of signals; it is changed back$"):
        train("handlers")
    with pytest.warns(UserWarning, match=r"^the environment changes NumPy to raise errors of floats; it is"):
        train("numpy", "name=q")
    assert (signal.getsignal(signal.SIGTERM), np.geterr()) == before


def test_an_exception_is_described_in_one_printable_line() -> None:
    assert described(ValueError()) == "ValueError"
    assert described(ValueError("a\n b\t\x00")) == r"ValueError: a b \x00"


def test_a_thread_that_is_left_running_does_not_hold_up_the_end(tmp_path: Path) -> None:
    script = (
        "import threading, time, sys; from rlkit.cli import main as cli; cli.THREADS_MAY_TAKE = 0.2; "
        "threading.Thread(target=time.sleep, args=(600,), name='viewer').start(); sys.argv = ['rlkit', '--version']; "
        "sys.exit(cli.main())"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=clean_environment(), check=False, timeout=60
    )
    assert done.returncode == 0
    assert done.stderr == "rlkit: the thread viewer was left running and does not end: the process ends without it\n"
    assert time.monotonic() - began < 60
    assert threading.active_count() >= 1


def test_an_id_of_any_length_has_a_run() -> None:
    name = f"{'Long' * 80}-v0"
    gymnasium.register(name, Elses)
    run = rlkit.train(*(word for word in WORDS if not word.startswith(("name=", "env.id="))), f"env.id={name}")
    assert run.name == f"{f'q_learning_gym_{name}'[:150]}_s0"


def test_a_name_that_no_folder_can_have_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^name=n+… has a part of 256 bytes; a folder's name has at most 250"):
        train("", f"name={'n' * 256}")


class Drawn(Elses):
    """Draws what its kind says."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, kind: str = "", render_mode: str | None = None):
        super().__init__()
        self.kind, self.render_mode = kind, render_mode
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": FPS.get(kind, 30)}

    def render(self) -> Any:
        frame = np.full((16, 16, 3), 20 * self.t, np.uint8)
        drawn = {"none": None, "list": [frame], "float": frame / 255, "gray": frame[..., 0], "tiny": frame[:1, :1]}
        if self.kind == "raise":
            raise RuntimeError("no\ndisplay")
        if self.kind == "exit":
            sys.exit(1)
        if self.kind == "grow":
            return np.pad(frame, ((0, self.t), (0, 0), (0, 0)))
        return drawn.get(self.kind, frame[:, ::-1])


FPS: dict[str, Any] = {
    "zero": 0,
    "absent": None,
    "low": 0.4,
    "minus": -1,
    "text": "30",
    "undefined": float("nan"),
    "endless": float("inf"),
}
gymnasium.register("Drawn-v0", Drawn)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("none", r"render\(\) returned object \[\]; a frame is \[height, width, 3\] uint8"),
        ("list", r"render\(\) returned uint8 \[1, 16, 16, 3\]"),
        ("float", r"render\(\) returned float64 \[16, 16, 3\]"),
        ("gray", r"render\(\) returned uint8 \[16, 16\]"),
        ("tiny", r"render\(\) returned uint8 \[1, 1, 3\]"),
        ("raise", r"render\(\) raised RuntimeError: no display; fix it, or set video=none$"),
        ("exit", r"render\(\) raised SystemExit: 1; fix it"),
    ],
)
def test_what_is_no_frame_is_named_before_anything_is_trained(kind: str, says: str) -> None:
    with pytest.raises(RunError, match=rf"^{says}"):
        train(kind, "env.id=Drawn-v0", "video=eval")
    assert not Path("runs/r").exists()


@pytest.mark.parametrize("kind", [*FPS, "grow", "flipped"])
def test_every_rate_and_frames_of_changing_size_are_filmed(kind: str) -> None:
    train(kind, "env.id=Drawn-v0", "video=eval", "total_steps=60")
    assert [path.name for path in Path("videos/r").glob("*.mp4")] == ["step-000000060.mp4"]


class Boundless(Elses):
    """Shows numbers of no axes, or of none, or infinite and huge ones."""

    def __init__(self, kind: str = ""):
        super().__init__()
        self.kind = kind
        self.observation_space = spaces.Box(-np.inf, np.inf, SHAPES.get(kind, (1,)), np.float64)

    def shown(self) -> Any:
        number = {"infinite": np.inf, "huge": 1e300}.get(self.kind, 0.5)
        return np.full(SHAPES.get(self.kind, (1,)), number)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self.shown(), super().reset(seed=seed)[1]

    def step(self, action: int) -> Any:
        return self.shown(), *super().step(action)[1:]


SHAPES: dict[str, Any] = {"number": (), "nothing": (0,)}
gymnasium.register("Boundless-v0", Boundless)
INFINITE = "^the environment returned an observation with numbers infinite as float32, of which networks"
NETWORKS = [("dqn", "agent.learning_starts=20"), ("ppo", "agent.n_steps=16", "agent.batch_size=8")]


@pytest.mark.parametrize("agent", NETWORKS)
@pytest.mark.parametrize("kind", ["infinite", "huge"])
def test_infinite_observations_are_named_as_what_made_learning_diverge(kind: str, agent: tuple[str, ...]) -> None:
    with pytest.raises(RunError, match=INFINITE):
        train(kind, f"agent={agent[0]}", *agent[1:], "env.id=Boundless-v0", "eval.every=0", "total_steps=40")


@pytest.mark.filterwarnings("error:overflow")
@pytest.mark.parametrize("kind", ["infinite", "huge"])
def test_so_are_they_where_they_are_standardized(kind: str) -> None:
    words = ("agent=ppo", "agent.n_steps=16", "agent.batch_size=8", "agent.network.standardize=true")
    with pytest.raises(RunError, match=INFINITE):
        train(kind, *words, "env.id=Boundless-v0", "eval.every=0", "total_steps=40")


@pytest.mark.parametrize("agent", NETWORKS)
@pytest.mark.parametrize("kind", SHAPES)
def test_networks_take_observations_without_axes_or_numbers(kind: str, agent: tuple[str, ...]) -> None:
    run = train(kind, f"agent={agent[0]}", *agent[1:], "env.id=Boundless-v0", "eval.every=0", "total_steps=40")
    assert len(run.metrics["step"])


BEYOND = """import gymnasium


class Beyond(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(9)
    action_space = gymnasium.spaces.Discrete(2)
    steps = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return 0, {}

    def step(self, action):
        self.steps += 1
        return self.steps % 9, 1e39 if self.steps == 45 else 1.0, False, False, {}
"""


@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_reward_beyond_float32_is_one_line_and_as_the_environment_said_it(vectorization: str, tmp_path: Path) -> None:
    (tmp_path / "beyond.py").write_text(BEYOND)
    words = ("agent=q_learning", "env=beyond.py:Beyond", "video=none", "eval.every=0", "num_envs=1")
    said = refused("train", *words, f"vectorization={vectorization}", cwd=tmp_path, status=1)
    assert said.startswith("rlkit: the environment returned the reward 1e+39 at step 45, which is inf as float32; it")
