"""`rlkit train` as it comes (DQN on CartPole-v1) for ten seeds: wall time of training, and 100 fresh episodes each.

    python tests/benchmarks/cartpole_seeds.py --out <folder>

Training is timed as a whole process: start-up, evaluations, checkpoints, the curve and the video included. Processor
time is that of all its threads and processes: it says the same on a machine that does other things, too.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from keep import write

RLKIT = [sys.executable, "-m", "rlkit"]


def score(folder: Path, run: str, checkpoint: str) -> float:
    """Return the mean return of 100 fresh episodes."""
    command = [*RLKIT, "eval", f"run={run}", f"checkpoint={checkpoint}", "episodes=100", "output=json"]
    output = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return float(json.loads(output.splitlines()[-1])["return/raw"]["mean"])


def processor() -> float:
    """Return the seconds of processor time that finished children have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(seed: int, folder: Path) -> dict[str, Any]:
    """Train and score one seed."""
    started, before = time.perf_counter(), processor()
    subprocess.run([*RLKIT, "train", f"seed={seed}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds, cpu = time.perf_counter() - started, processor() - before
    run = f"runs/dqn_cartpole_s{seed}"
    scores = {checkpoint: score(folder, run, checkpoint) for checkpoint in ("best", "last")}
    return {"seed": seed, "seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), **scores}


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in arguments.seeds:
            rows.append(row(seed, Path(folder)))
            print(rows[-1], flush=True)
            if arguments.out:
                write(arguments.out, "cartpole_seeds", rows)
    for name in ("seconds", "cpu_seconds"):
        values = [one[name] for one in rows]
        print(f"{name}: median {statistics.median(values)}, worst {max(values)}")
    for checkpoint in ("best", "last"):
        values = [one[checkpoint] for one in rows]
        print(f"{checkpoint}: least {min(values)}, median {statistics.median(values)}")


if __name__ == "__main__":
    main()
