"""Whether the resident memory of a training run grows beyond what its replay explains.

    python tests/benchmarks/memory.py --seconds 180 --out <folder>

Each case trains in a process of its own for so long. Its replay is full within the first third: what is resident in the
last third, less what was in the middle one, is what grows without a reason. Rows are MiB, medians of each third.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keep import write

import rlkit
from rlkit.core.callback import Callback

CASES = {
    "dqn-cartpole": "agent=dqn env=cartpole tuned=none agent.learning_starts=500 replay.capacity=2000 eval.every=2000",
    "ppo-cartpole": "agent=ppo env=cartpole tuned=none eval.every=2000",
    "alphazero-tic_tac_toe": "agent=alphazero env=tic_tac_toe tuned=none network=mlp agent.simulations=10 "
    "agent.capacity=200 agent.learning_starts=50 agent.batch_size=32 eval.every=500",
    "dqn-videos": "agent=dqn env=cartpole tuned=none agent.learning_starts=500 replay.capacity=500 eval.every=500 "
    "eval.episodes=1 video=eval",
}


class Samples(Callback):
    """Samples the resident memory twice a second, and ends the run after so many seconds."""

    def __init__(self, seconds: float):
        self._began, self._seconds = time.monotonic(), seconds
        self.rows: list[tuple[int, float]] = []

    def step(self, step: int) -> str | None:
        """Sample."""
        passed = time.monotonic() - self._began
        if passed > len(self.rows) / 2:
            self.rows.append((step, resident()))
        return "measured" if passed > self._seconds else None


def resident() -> float:
    """Return the resident MiB of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def measured(case: str, seconds: float) -> None:
    """Train, and print the row of a case."""
    samples = Samples(seconds)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        words = ["total_steps=100000000", "logger=[csv]", "checkpoint.every=2000", "eval.episodes=2", "name=r"]
        rlkit.train(*words, *CASES[case].split(), callbacks=[samples])
        os.chdir("/")
    third = len(samples.rows) // 3
    parts = [samples.rows[i * third : (i + 1) * third] for i in range(3)]
    resident_mib = [round(statistics.median(mib for _, mib in part), 1) for part in parts]
    print(case, samples.rows[-1][0], *resident_mib, round(resident_mib[2] - resident_mib[1], 1))


def main() -> None:
    """Measure every case, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(CASES))
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--here", action="store_true", help="measure the one case in this process")
    options = parser.parse_args()
    if options.here:
        measured(options.cases[0], options.seconds)
        return
    rows = []
    for case in options.cases or CASES:
        words = [sys.executable, __file__, case, "--here", "--seconds", str(options.seconds)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        values = done.stdout.strip().splitlines()[-1].split()
        rows.append(dict(zip(("case", "steps", "first", "middle", "last", "growth"), values, strict=True)))
        print(*values, flush=True)
    if options.out:
        write(options.out, "memory", rows, seconds=options.seconds)


if __name__ == "__main__":
    main()
