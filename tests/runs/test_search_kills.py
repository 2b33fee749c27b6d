"""Searches that are killed as processes: nothing is lost or done twice, and of one worker the results are the same."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from commands import Command, server

from rlkit.runs.run import Run
from rlkit.runs.searching.journal import FILE, VALUES
from rlkit.runs.searching.search import opened

pytest.importorskip("optuna")
pytestmark = pytest.mark.slow

WORDS = [
    "search",
    "agent=q_learning",
    "env=frozen_lake",
    "tuned=none",
    "name=s",
    "total_steps=1000",
    "eval.every=125",
    "eval.episodes=5",
    "checkpoint.every=250",
    "confirm.settings=1",
    "confirm.seeds=1",
    "trials=40",
]
FOLDER = Path("runs/searches/s")

ENDED = 6
"""The code by which Optuna's journal says that a trial has ended."""


def trials(directory: Path) -> list[tuple[Any, ...]]:
    return [
        (one.number, one.state.name, one.value, one.params, dict(one.intermediate_values), one.user_attrs[VALUES])
        for one in opened(directory).journal.trials()
    ]


def ends(directory: Path) -> Counter[int]:
    """Return how often each trial has ended."""
    entries = map(json.loads, (directory / FILE).read_text().splitlines())
    return Counter(entry["trial_id"] for entry in entries if entry["op_code"] == ENDED)


def test_forty_trials_killed_five_times_are_those_that_were_not(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    server()  # whose start is no part of a search's time
    started = time.monotonic()
    assert Command(*WORDS, cwd=whole).wait(600) == 0
    wall = time.monotonic() - started
    moments = random.Random(0)
    for _ in range(5):
        process = Command(*WORDS, cwd=killed)
        time.sleep(moments.uniform(0.1, 0.3) * wall)
        process.kill()
        process.wait()
    assert Command(*WORDS, cwd=killed).wait(600) == 0
    expected = trials(whole / FOLDER)
    assert trials(killed / FOLDER) == expected
    assert len(expected) == 40
    assert Counter(state for _, state, *_ in expected)["PRUNED"] >= 3
    for name in ("trials.csv", "confirmed.csv"):
        assert (whole / FOLDER / name).read_bytes() == (killed / FOLDER / name).read_bytes()
    for number in range(40):
        one = FOLDER / "trials" / f"{number:04d}"
        assert different(whole / one, killed / one) == []


def different(expected: Path, actual: Path) -> list[str]:
    """Return the files that differ between two run folders, but for those of the clock and the lines for the user."""
    left_out = ("timings.csv", "train.log", "versions.json")
    names = sorted(path.relative_to(expected) for path in expected.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(actual) for path in actual.rglob("*") if path.is_file())
    others = [name for name in names if name.name not in left_out]
    return [str(name) for name in others if (expected / name).read_bytes() != (actual / name).read_bytes()]


def test_two_workers_lose_no_trial_and_run_none_twice_although_one_and_their_parent_are_killed(tmp_path: Path) -> None:
    process = Command(*WORDS, "workers=2", cwd=tmp_path)
    wait_for(lambda: len(ended(tmp_path)) >= 3)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(int(children[0]), signal.SIGKILL)
    wait_for(lambda: len(ended(tmp_path)) >= 6)
    process.kill()
    process.wait()
    wait_for(lambda: not Path(f"/proc/{children[1]}").exists())  # it stops when its parent is gone
    left = ended(tmp_path)
    assert len(left) < 40
    joined = [Command(*WORDS, cwd=tmp_path) for _ in range(2)]  # each as one more worker
    assert [one.wait(600) for one in joined] == [0, 0]
    found = trials(tmp_path / FOLDER)
    assert len(found) == 40
    assert set(ends(tmp_path / FOLDER).values()) == {1}
    assert sorted(ends(tmp_path / FOLDER)) == list(range(40))
    for number, state, _, _, values, _ in found:
        assert state in ("COMPLETE", "PRUNED")
        assert list(values.items()) == Run(tmp_path / FOLDER / "trials" / f"{number:04d}").evaluation_means()


def ended(folder: Path) -> Counter[int]:
    return ends(folder / FOLDER) if (folder / FOLDER / FILE).exists() else Counter()


def wait_for(done: Any) -> None:
    until = time.monotonic() + 300
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)
