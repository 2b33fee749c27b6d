"""Replays side by side on transitions of 4x84x84 frames: bytes, insertions and samples a second.

    <python with rlkit, stable-baselines3, tianshou, torchrl> tests/benchmarks/replay.py --out <folder>
    … tests/benchmarks/replay.py --full                       # rlkit's with a million steps, really filled

Slices of all libraries alternate in one process, on the same transitions; memory is measured in a process each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from keep import write
from replay_peers import LIBRARIES, OPTIONS

from rlkit.core.types import StepInfo, Transition

CYCLE, EPISODE = 16, 800


def transitions(num_envs: int) -> list[Transition]:
    """Return an episode as a loop hands it out: each observation is the array that was the successor before it.

    It consists of a few steps over and over, so that they are in the processor's cache, as what an environment just
    showed is; its end is an end, and the next one begins with other arrays.
    """
    rng = np.random.default_rng(0)
    frames = rng.integers(256, size=(CYCLE, num_envs, 84, 84), dtype=np.uint8)
    stacks = [np.ascontiguousarray(np.roll(frames, -t, axis=0)[:4].swapaxes(0, 1)) for t in range(CYCLE)]
    no = np.zeros(num_envs, bool)
    steps = [
        Transition(
            observation=stacks[t],
            action=rng.integers(6, size=num_envs),
            reward=rng.random(num_envs, np.float32),
            discount=np.ones(num_envs, np.float32),
            next_observation=stacks[(t + 1) % CYCLE],
            last=no,
            valid=~no,
            legal_actions=None,
            next_legal_actions=None,
            info=StepInfo(np.zeros(num_envs), no, no),
        )
        for t in range(CYCLE)
    ]
    episode = steps * (EPISODE // CYCLE)
    end = episode[-1]
    return [*episode[:-1], end._replace(last=~no, next_observation=end.next_observation + 1)]


def rate(work: Callable[[], int]) -> float:
    """Return how many a second `work` did; it returns how many."""
    started = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - started)


def insert(replay: Any, stream: list[Transition], calls: int) -> int:
    for k in range(calls):
        replay.add(stream[k % EPISODE])
    return calls * len(stream[0].last)


def sample(replay: Any, size: int, calls: int) -> int:
    for _ in range(calls):
        replay.sample(size)
    return calls


def speeds(capacity: int, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each slice."""
    rows = []
    for num_envs in (1, 8):
        stream = transitions(num_envs)
        makers = LIBRARIES if num_envs == 1 else {**LIBRARIES, **OPTIONS}
        replays = {name: make(capacity, num_envs) for name, make in makers.items()}
        for replay in replays.values():
            # Twice over, so that every page of every ring was touched.
            insert(replay, stream, 2 * capacity // num_envs)
        for index in range(rounds):
            for name, replay in replays.items():
                figures = {f"insert {num_envs}": rate(partial(insert, replay, stream, 2_000 // num_envs))}
                if num_envs == 8:
                    figures["sample 32"] = rate(partial(sample, replay, 32, 100))
                    figures["sample 256"] = rate(partial(sample, replay, 256, 15))
                rows += [
                    {"round": index, "library": name, "what": what, "per_second": round(figure, 1)}
                    for what, figure in figures.items()
                ]
    return rows


def report(rows: list[dict[str, Any]]) -> None:
    """Print the median of each, and of the ratio of rlkit's to it, round by round."""
    for what in dict.fromkeys(row["what"] for row in rows):
        found: dict[str, list[float]] = {}
        for row in rows:
            if row["what"] == what:
                found.setdefault(row["library"], []).append(row["per_second"])
        for name, values in found.items():
            ratios = [ours / theirs for ours, theirs in zip(found["rlkit"], values, strict=True)]
            print(
                f"{what:11} {name:25} median {statistics.median(values):10,.0f}/s   rlkit/it: "
                f"{statistics.median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )


def memory(name: str, capacity: int) -> float:
    """Return the resident bytes per transition of a filled replay."""
    stream = transitions(8)
    make = {**LIBRARIES, **OPTIONS}[name]
    make(64, 8).add(stream[0])  # imports, and what is allocated once
    before = resident()
    replay = make(capacity, 8)
    for k in range(capacity // 8):
        replay.add(stream[k % EPISODE])
    replay.sample(32)
    return (resident() - before) / capacity


def resident() -> int:
    """Return the resident bytes of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capacity", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--memory", nargs=2, metavar=("LIBRARY", "CAPACITY"))
    arguments = parser.parse_args()
    if arguments.memory:
        print(memory(arguments.memory[0], int(arguments.memory[1])))
        return
    measured = [("rlkit", 1_000_000)] if arguments.full else [(name, 100_000) for name in LIBRARIES]
    rows: list[dict[str, Any]] = []
    for name, capacity in measured:
        command = [sys.executable, __file__, "--memory", name, str(capacity)]
        found = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])
        print(f"bytes per step of {capacity:,}: {name:12} {found:10,.0f}", flush=True)
        rows.append({"round": 0, "library": name, "what": f"bytes per step of {capacity}", "per_second": round(found)})
    if not arguments.full:
        rows += speeds(arguments.capacity, arguments.rounds)
        report([row for row in rows if not row["what"].startswith("bytes")])
    if arguments.out:
        write(arguments.out, "replay_full" if arguments.full else "replay", rows)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
