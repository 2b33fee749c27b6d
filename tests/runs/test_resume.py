"""A run killed at any moment and resumed ends byte for byte like the run that was never killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import kills
import pytest
from commands import Command

IN_CI = ["q_learning-blackjack", "dqn-lunar_lander"]


@pytest.mark.parametrize("case", IN_CI)
def test_two_kills_one_of_them_while_a_checkpoint_is_written(case: str, tmp_path: Path) -> None:
    rows = kills.run_case(kills.CASES[case], tmp_path, kills=2, writing=1)
    assert len(rows) >= 2
    assert [row["different"] for row in rows if row["different"]] == []
    assert sum(int(str(row["while_writing"])) for row in rows) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("case", kills.CASES)
def test_twenty_kills_five_of_them_while_a_checkpoint_is_written(case: str, tmp_path: Path) -> None:
    rows = kills.run_case(kills.CASES[case], tmp_path, kills=20, writing=5)
    assert len(rows) >= 20
    assert [row["different"] for row in rows if row["different"]] == []
    assert sum(int(str(row["while_writing"])) for row in rows) >= 5


RUN = "agent=q_learning env=frozen_lake tuned=none num_envs=2 eval.every=4000 eval.episodes=3 log.every=500 video=none"


def start(folder: Path, overrides: str) -> Command:
    folder.mkdir(exist_ok=True)
    return Command("train", *overrides.split(), cwd=folder)


def ended(process: Command) -> tuple[int | None, str, str]:
    output, errors = process.communicate(timeout=180)
    return process.returncode, output, errors


def wait_for(path: Path, process: Command | subprocess.Popen[bytes]) -> None:
    while not path.exists() and process.poll() is None:
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_writes_a_checkpoint_and_resume_ends_the_same(number: int, status: int, tmp_path: Path) -> None:
    overrides = f"{RUN} total_steps=12000 checkpoint.every=3000 logger=[csv,terminal] run_dir=runs/case"
    whole = start(tmp_path / "whole", overrides)
    assert ended(whole)[0] == 0
    stopped = start(tmp_path / "stopped", overrides)
    wait_for(tmp_path / "stopped/runs/case/checkpoints/3000/manifest.json", stopped)
    stopped.send_signal(number)
    code, output, errors = ended(stopped)
    assert (code, errors) == (status, "")
    assert "resume: rlkit train resume=runs/case" in output
    resumed = start(tmp_path / "stopped", "resume=runs/case")
    assert ended(resumed)[0] == 0
    assert kills.compare(tmp_path / "whole/runs/case", tmp_path / "stopped/runs/case") == []


def test_a_signal_writes_no_extra_checkpoint_where_the_environment_is_opaque(tmp_path: Path) -> None:
    overrides = "agent=random env=lunar_lander total_steps=100000 checkpoint.every=2000 eval.every=0 video=none"
    process = start(tmp_path, f"{overrides} run_dir=runs/case")
    wait_for(tmp_path / "runs/case/checkpoints/2000/manifest.json", process)
    process.send_signal(signal.SIGTERM)
    _, output, _ = ended(process)
    steps = sorted(int(path.name) for path in (tmp_path / "runs/case/checkpoints").iterdir())
    assert steps
    assert f"cannot be read: it goes on from step {steps[-1]:,}" in output or f"at step {steps[-1]:,}\n" in output
    assert all(step % 2000 == 0 for step in steps)


def test_going_on_for_longer_equals_having_asked_for_more(tmp_path: Path) -> None:
    for folder, first, second in (("once", 9000, None), ("twice", 5000, 9000)):
        begun = start(tmp_path / folder, f"{RUN} total_steps={first} checkpoint.every=3000 run_dir=runs/case")
        assert ended(begun)[0] == 0
        if second is not None:
            assert ended(start(tmp_path / folder, f"resume=runs/case total_steps={second}"))[0] == 0
    assert kills.compare(tmp_path / "once/runs/case", tmp_path / "twice/runs/case") == []


def test_a_closed_terminal_does_not_end_a_run(tmp_path: Path) -> None:
    words = f"train {RUN} total_steps=8000 checkpoint.every=1000 run_dir=runs/case".split()
    process = subprocess.Popen(
        [sys.executable, "-m", "rlkit", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    wait_for(tmp_path / "runs/case/checkpoints/1000/manifest.json", process)
    process.send_signal(signal.SIGHUP)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(180) == 0
    assert "done at step 8,000" in (tmp_path / "runs/case/train.log").read_text()


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used(tmp_path: Path) -> None:
    process = start(tmp_path, f"{RUN} total_steps=6000 checkpoint.every=2000 run_dir=runs/case")
    assert ended(process)[0] == 0
    before = (tmp_path / "runs/case/metrics.csv").read_bytes()
    arrays = tmp_path / "runs/case/checkpoints/6000/arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-1] + b"x")
    resumed = start(tmp_path, "resume=runs/case")
    code, output, _ = ended(resumed)
    assert code == 0
    assert "checkpoints/6000 is damaged: arrays.npz does not match its SHA-256; using the one before it" in output
    assert (tmp_path / "runs/case/metrics.csv").read_bytes() == before


def test_a_checkpoint_of_another_run_is_refused_in_one_line(tmp_path: Path) -> None:
    for name, env in (("lake", "frozen_lake"), ("taxi", "taxi")):
        command = f"agent=q_learning env={env} tuned=none total_steps=1000 eval.every=0 video=none run_dir=runs/{name}"
        assert ended(start(tmp_path, command))[0] == 0
    (tmp_path / "runs/taxi/checkpoints").rename(tmp_path / "taken_away")
    (tmp_path / "runs/lake/checkpoints").rename(tmp_path / "runs/taxi/checkpoints")
    resumed = start(tmp_path, "resume=runs/taxi total_steps=2000")
    code, _, errors = ended(resumed)
    assert code == 1
    assert errors.startswith("rlkit: checkpoint runs/taxi/checkpoints/1000 does not fit")
    assert errors.count("\n") == 1


def test_an_opaque_run_that_ended_before_the_first_multiple_says_why_it_cannot_go_on(tmp_path: Path) -> None:
    words = "agent=random env=lunar_lander eval.every=0 video=none logger=[csv,terminal] run_dir=runs/case"
    code, output, _ = ended(start(tmp_path, f"{words} total_steps=300 checkpoint.every=1000"))
    assert code == 0
    assert "that is beyond total_steps: this run cannot be resumed" in output
    code, _, errors = ended(start(tmp_path, "resume=runs/case total_steps=600"))
    assert code != 0
    assert "state cannot be read" in errors
    assert "train again with a smaller checkpoint.every" in errors
    assert len(errors.splitlines()) == 1


def test_fewer_steps_than_a_run_has_are_refused_and_its_configuration_stays(tmp_path: Path) -> None:
    words = "agent=random total_steps=90 num_envs=4 eval.every=0 video=none run_dir=runs/case"
    assert ended(start(tmp_path, words))[0] == 0
    before = (tmp_path / "runs/case/config.yaml").read_text()
    code, _, errors = ended(start(tmp_path, "resume=runs/case total_steps=50"))
    assert (code, errors) == (2, "rlkit: total_steps is 50, and the run is at step 92 already: raise it\n")
    assert (tmp_path / "runs/case/config.yaml").read_text() == before
    # The environments' last step may lie beyond the end.
    assert ended(start(tmp_path, "resume=runs/case"))[0] == 0


def test_resume_refuses_to_change_the_experiment(tmp_path: Path) -> None:
    process = start(tmp_path, f"{RUN} total_steps=1000 run_dir=runs/case")
    assert ended(process)[0] == 0
    resumed = start(tmp_path, "resume=runs/case agent.gamma=0.5")
    code, _, errors = ended(resumed)
    assert code == 2
    assert errors.startswith("rlkit: agent.gamma cannot change on resume")
    assert errors.count("\n") == 1


def test_output_json_ends_stdout_with_one_object(tmp_path: Path) -> None:
    process = start(tmp_path, f"{RUN} total_steps=4000 output=json run_dir=runs/case")
    _, output, _ = ended(process)
    result = json.loads(output.splitlines()[-1])
    assert result["run"] == "runs/case"
    assert [row["step"] for row in result["evaluations"]] == [4000]


def test_a_run_that_is_being_trained_is_not_trained_twice(tmp_path: Path) -> None:
    process = start(tmp_path, f"{RUN} total_steps=1000000 run_dir=runs/case checkpoint.every=2000")
    wait_for(tmp_path / "runs/case/checkpoints/2000/manifest.json", process)
    code, _, errors = ended(start(tmp_path, "resume=runs/case"))
    process.kill()
    ended(process)
    assert code == 2
    assert errors == "rlkit: run folder runs/case is being trained by another process; wait for it or stop it\n"
    assert (tmp_path / "runs/case/config.yaml").exists()
