"""PQN with its tuned settings on CartPole and Acrobot, 100 fresh episodes each, and its speed beside DQN's.

    python tests/benchmarks/pqn.py --out <folder> --seeds 0 1 2 3 4
    … tests/benchmarks/pqn.py --only cartpole

Rates are decisions by seconds of processor time of the whole process, evaluations and start-up included: DQN's with
its own tuned settings for the environment, or its defaults where it has none.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cartpole_seeds import processor, score
from keep import write

STEPS = {"pqn": 500_000, "dqn": 16_000}


def row(agent: str, env: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train, and score what was trained last."""
    before, run = processor(), f"runs/{agent}_{env}_s{seed}"
    words = [f"agent={agent}", f"env={env}", f"seed={seed}", f"total_steps={STEPS[agent]}", "video=none"]
    command = [sys.executable, "-m", "rlkit", "train", *words]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = processor() - before
    rate = round(STEPS[agent] / seconds)
    last = round(score(folder, run, "last"), 2)
    return {"agent": agent, "env": env, "seed": seed, "steps": STEPS[agent], "steps_per_cpu_second": rate, "last": last}


def main() -> None:
    """Print and keep the rows; those that are kept already are not made again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--only", choices=["cartpole", "acrobot"])
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    kept = arguments.out / "pqn.csv"
    rows: list[dict[str, Any]] = list(csv.DictReader(kept.open())) if kept.exists() else []
    envs = [arguments.only] if arguments.only else ["cartpole", "acrobot"]
    wanted = [("dqn", env, 0) for env in envs] + [("pqn", env, seed) for seed in arguments.seeds for env in envs]
    done = {(each["agent"], each["env"], int(each["seed"])) for each in rows}
    with tempfile.TemporaryDirectory() as folder:
        for each in wanted:
            if each not in done:
                rows.append(row(*each, Path(folder)))
                print(json.dumps(rows[-1]), flush=True)
                write(arguments.out, "pqn", rows)


if __name__ == "__main__":
    main()
