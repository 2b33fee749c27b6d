"""PQN on CartPole and Acrobot, with the tuned settings: scores in 100 fresh episodes, and steps a second.

python tests/benchmarks/pqn.py --seeds 5 --out pqn.csv cartpole acrobot
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

import rlkit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("environments", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    out = options.out.resolve()
    os.chdir(tempfile.mkdtemp())
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["env", "seed", "best", "last", "processor_s"])
        for env in options.environments:
            for seed in range(options.seeds):
                begun = time.process_time()
                run = rlkit.train("agent=pqn", f"env={env}", "log.every=0", seed=seed, video="none", logger="[csv]")
                seconds = time.process_time() - begun
                scores = [run.evaluate(episodes=100, checkpoint=which) for which in ("best", "last")]
                row = [env, seed, *(score["return/raw"]["mean"] for score in scores), round(seconds)]
                writer.writerow(row)
                file.flush()
                print(*row)


if __name__ == "__main__":
    main()
