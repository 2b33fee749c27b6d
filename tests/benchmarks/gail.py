"""What adversarial imitation makes of ten episodes of an expert on the pendulum, and where nothing is told.

    python tests/benchmarks/gail.py --seeds 0 1 2 --out tests/benchmarks/results

The expert is SAC's tuned agent. A score of 1 is the expert's return, 0 that of random actions. To the constant
discriminator all steps are the same. Rows that are there are kept.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from keep import write
from torch import Tensor

import rlkit
from rlkit.algorithms.imitation.discriminator import Discriminator
from rlkit.cli.main import main as command

NAME, EPISODES, FIRST_SEED = "gail", 100, 10_000
QUIET = ("logger=[csv]", "video=none", "device=cpu")
KINDS = {"gail": (), "constant": ("agent.discriminator._target_=gail.Constant",)}
"""Words of `rlkit train agent=gail env=pendulum`."""


class Constant(Discriminator):
    """Tells nothing."""

    def judge(self, features: Tensor) -> Tensor:
        """Return zeros [B], of no slope."""
        return 0 * super().judge(features)


def expert(folder: Path) -> tuple[Path, float]:
    """Return where ten episodes of the expert are, and its return over fresh ones."""
    run, episodes = folder / "expert", folder / "episodes"
    if not run.exists():
        rlkit.train("agent=sac", "env=pendulum", "eval.every=20000", *QUIET, run_dir=run)
    if not episodes.exists():
        command(["play", f"run={run}", "record=true", "episodes=10", f"out={episodes}"])
    return episodes, returns(rlkit.load(run), "last")


def chances(folder: Path) -> Any:
    """Return the run of random actions."""
    words = ("agent=random", "env=pendulum", "total_steps=200", *QUIET)
    return rlkit.load(folder) if folder.exists() else rlkit.train(*words, run_dir=folder)


def returns(run: Any, checkpoint: str) -> float:
    """Return the mean return over fresh episodes."""
    scores = run.evaluate(episodes=EPISODES, seed=FIRST_SEED, checkpoint=checkpoint)
    return float(scores["return/raw"]["mean"])


def rows_of(kind: str, seed: int, folder: Path, episodes: Path) -> list[dict[str, Any]]:
    """Train, and return a row for each checkpoint."""
    directory = folder / f"{kind}_s{seed}"
    words = ("agent=gail", "env=pendulum", f"agent.episodes={episodes}", *KINDS[kind], *QUIET)
    run = rlkit.train(resume=directory) if directory.exists() else rlkit.train(*words, seed=seed, run_dir=directory)
    return [
        {"kind": kind, "seed": seed, "steps": run.config.total_steps, "checkpoint": name, "return": returns(run, name)}
        for name in ("best", "last")
    ]


def main() -> None:
    """Train and score what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=list(KINDS), metavar="kind", help=", ".join(KINDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/gail"), help="where run folders go")
    parser.add_argument("--out", type=Path, default=Path("tests/benchmarks/results"))
    options = parser.parse_args()
    known = options.out / f"{NAME}.csv"
    rows: list[dict[str, Any]] = list(csv.DictReader(known.open())) if known.exists() else []
    episodes, best = expert(options.runs)
    chance = returns(chances(options.runs / "random"), "last")
    for kind in options.kinds:
        for seed in options.seeds:
            if any((row["kind"], int(row["seed"])) == (kind, seed) for row in rows):
                continue
            for row in rows_of(kind, seed, options.runs, episodes):
                score = (row["return"] - chance) / (best - chance)
                rows.append({**row, "return": round(row["return"], 2), "score": round(score, 4)})
                print(rows[-1], flush=True)
            write(options.out, NAME, rows, settings={"expert": best, "random": chance, "words": dict(KINDS)})


if __name__ == "__main__":
    main()
