"""The tuned settings: train a pair with some seeds, and play 100 fresh episodes with the best agent of each.

    python tests/benchmarks/tuned.py ppo-acrobot dqn-lunar_lander --seeds 0 1 --out <folder>

Rows are added to those that are there already; a pair's row for a seed takes the place of its last one.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path
from typing import Any

from keep import write

import rlkit

NAME = "tuned_policies"
CONTINUOUS = "ppo-lunar_lander-continuous"


def row(pair: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train and score one seed."""
    agent, env = pair.split("-")[:2]
    words = ["+env.kwargs.continuous=true"] if pair == CONTINUOUS else []
    keys = {"seed": seed, "run_dir": folder / f"{pair}_s{seed}", "logger": "[csv]", "video": "none"}
    run = rlkit.train(f"agent={agent}", f"env={env}", *words, **keys)
    if run.stopped:
        raise SystemExit(f"{pair} was stopped by {run.stopped}: no row")
    best_at = max(run.evaluation_means(), key=lambda found: found[1])[0]
    scores = {name: round(value, 2) for name, value in run.evaluate(100)["return/raw"].items()}
    env += "-continuous" if pair == CONTINUOUS else ""
    return {"agent": agent, "env": env, "seed": seed, "steps": run.config.total_steps, "best_at": best_at, **scores}


def kept(path: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Return the rows that are there already, by agent, environment and seed."""
    if not path.exists():
        return {}
    with path.open() as file:
        return {(one["agent"], one["env"], int(one["seed"])): one for one in csv.DictReader(file)}


def main() -> None:
    """Print and keep a row for each pair and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="+", help=f"<agent>-<env>, or {CONTINUOUS}")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--runs", type=Path, help="keep the run folders here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for pair in arguments.pairs:
            for seed in arguments.seeds:
                found = row(pair, seed, arguments.runs or Path(folder))
                print(found, flush=True)
                if arguments.out:
                    rows = kept(arguments.out / f"{NAME}.csv")
                    rows[found["agent"], found["env"], found["seed"]] = found
                    write(arguments.out, NAME, [rows[key] for key in sorted(rows)])


if __name__ == "__main__":
    main()
