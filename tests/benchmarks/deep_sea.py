"""How deep a sea is solved (Osband et al., 2020): PPO with a bonus for what is new, and without.

    python tests/benchmarks/deep_sea.py --seeds 5 --episodes 20000 --out deep_sea.csv count:20 rnd:10 none:20

Each word is a bonus (count, rnd or none) and a size. A run trains for so many episodes with the tuned settings; solved
is one whose best evaluation has the optimum, .99. Each seed draws another mapping of actions. Empty: it was not solved.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
from pathlib import Path

import rlkit
from rlkit.core.csv_tables import read_table

OPTIMUM = 0.99


def solved_at(bonus: str, size: int, seed: int, episodes: int) -> int | None:
    """Return after how many episodes an evaluation first had the optimum, or None."""
    more = [] if bonus == "none" else [f"+intrinsic@agent.intrinsic={bonus}"]
    words = (
        "agent=ppo",
        "env=deep_sea",
        f"env.size={size}",
        f"env.mapping_seed={seed}",
        f"total_steps={episodes * size}",
        "log.every=0",
    )
    run = rlkit.train(*words, *more, seed=seed, video="none", logger="[csv]")
    evaluations = read_table(run.directory / "evaluations.csv")
    best = evaluations["step"][evaluations["return/raw"] > OPTIMUM - 1e-6]
    return int(best[0]) // size if len(best) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", metavar="BONUS:SIZE")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=20_000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    out = options.out.resolve()
    os.chdir(tempfile.mkdtemp())
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["bonus", "size", "seed", "episodes"])
        for case in options.cases:
            bonus, size = case.split(":")
            for seed in range(options.seeds):
                row = [bonus, size, seed, solved_at(bonus, int(size), seed, options.episodes)]
                writer.writerow(row)
                file.flush()
                print(*row)


if __name__ == "__main__":
    main()
