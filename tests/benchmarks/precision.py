"""Does DQN learn as well where its torso learns in bfloat16? On Catch by a small CNN, and on CartPole by an MLP.

    python tests/benchmarks/precision.py --out <folder>

A row is a run: the first evaluation that was good enough, the best one, and the mean return of 100 fresh episodes of
the best agent. A run ends where it is good enough, or its budget is spent. The precisions alternate.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

from keep import write

import rlkit

PRECISIONS = ("float32", "bfloat16")
GOALS = {"catch": 0.8, "cartpole": 475}
WORDS = {
    "catch": (
        "agent=dqn env=catch network=small agent.epsilon.steps=4000 agent.learning_starts=500 agent.batch_size=32 "
        "agent.target_every=200 replay.capacity=20000 eval.every=100 eval.episodes=50 total_steps=12000"
    ),
    "cartpole": "agent=dqn env=cartpole",
}
QUIET = "logger=[csv] video=none checkpoint.every=0"


def row(env: str, precision: str, seed: int, folder: Path) -> dict[str, Any]:
    """Train one agent, and return when it was good enough and how good it is."""
    words = [*WORDS[env].split(), *QUIET.split(), f"agent.precision={precision}", f"stop_at={GOALS[env]}"]
    run = rlkit.train(*words, seed=seed, run_dir=folder / f"{env}_{precision}_s{seed}")
    means = run.evaluation_means()
    return {
        "environment": env,
        "precision": precision,
        "seed": seed,
        "steps": next((step for step, mean in means if mean >= GOALS[env]), None),
        "best": round(max(mean for _, mean in means), 3),
        "fresh": round(run.evaluate(episodes=100)["return/raw"]["mean"], 3),
    }


def main() -> None:
    """Print and keep a row for each environment, seed and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", nargs="*", choices=list(WORDS), default=list(WORDS))
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for env in arguments.environments:
            for seed in arguments.seeds:
                for precision in PRECISIONS:
                    rows.append(row(env, precision, seed, Path(folder)))
                    print(rows[-1], flush=True)
                    if arguments.out:
                        write(arguments.out, "precision", rows, words=WORDS, goals=GOALS)
    for env in arguments.environments:
        for precision in PRECISIONS:
            own = [one["steps"] for one in rows if (one["environment"], one["precision"]) == (env, precision)]
            reached = [steps for steps in own if steps is not None]
            spread = (
                f"median {statistics.median(reached):,.0f} ({min(reached):,} to {max(reached):,})" if reached else ""
            )
            print(f"{env}, {precision}: {spread}, {own.count(None)} not at all")


if __name__ == "__main__":
    main()
