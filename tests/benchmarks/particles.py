"""MAPPO beside independent PPO with shared parameters, on simple_spread of mpe2, with equal settings and steps.

    python tests/benchmarks/particles.py --seeds 3 --steps 240000 --out tests/benchmarks/results

One row for each evaluation: the mean return of an agent over 60 episodes; the last of a run has 300 fresh ones.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from keep import write

import rlkit
from rlkit.reporting.intervals import mean_intervals

AGENTS = ("mappo", "ppo")
GAME = "env=pettingzoo env.id=mpe2/simple_spread_v3 env.view=all num_envs=16 video=none logger=[csv]"
EQUAL = (
    "agent.learning_rate=0.001 agent.n_steps=16 agent.epochs=8 agent.batch_size=384 agent.value_weight=1.0 "
    "agent.entropy_weight=0.01 agent.scale_rewards=true"
)


def run(agent: str, seed: int, steps: int, folder: Path) -> list[dict[str, Any]]:
    """Train an agent, and return a row for each evaluation and for the last, longer one."""
    begun = time.perf_counter()
    words = [*GAME.split(), *EQUAL.split(), f"agent={agent}", f"seed={seed}", f"total_steps={steps}"]
    trained = rlkit.train(*words, f"run_dir={folder}", f"eval.every={steps // 6}", "eval.episodes=60")
    seconds = time.perf_counter() - begun
    returns: dict[int, list[float]] = {}
    with (folder / "evaluations.csv").open() as file:
        for row in csv.DictReader(file):
            returns.setdefault(int(row["step"]), []).append(float(row["return/raw"]))
    facts = {"agent": agent, "seed": seed}
    rows = [{**facts, "step": step, "return": np.mean(each), "episodes": len(each)} for step, each in returns.items()]
    final = trained.evaluate(episodes=300, num_envs=100, checkpoint="last", seed=1000 + seed)["return/raw"]["mean"]
    return [
        *({**row, "final": 0, "seconds": ""} for row in rows),
        {**facts, "step": steps, "return": final, "episodes": 300, "final": 1, "seconds": round(seconds)},
    ]


def main() -> None:
    """Train, keep the rows after each run, and print the means with their intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=240_000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in range(arguments.seeds):
        for agent in AGENTS:
            with tempfile.TemporaryDirectory() as folder:
                rows += run(agent, seed, arguments.steps, Path(folder) / "run")
            write(arguments.out, "particles", rows, steps=arguments.steps)
            print(agent, seed, rows[-1]["return"], rows[-1]["seconds"], flush=True)
    for agent in AGENTS:
        last = np.array([row["return"] for row in rows if row["agent"] == agent and row["final"]])
        low, high = mean_intervals(last[:, None], np.random.default_rng(0))
        print(f"{agent}: {last.mean():.2f} [{low[0]:.2f}, {high[0]:.2f}]")


if __name__ == "__main__":
    main()
