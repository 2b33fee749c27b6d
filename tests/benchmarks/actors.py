"""How much faster are slow environments in several actors of Ray? One that sleeps 5 ms a step, PPO, 8 at once.

By hand: ``python tests/benchmarks/actors.py --out tests/benchmarks/results``
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import keep
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

import rlkit
from rlkit.core.csv_tables import read_table

SECONDS = 0.005
NUM_ENVS = 8


class Sleeping(CartPoleEnv):
    """A cart and pole whose steps take `SECONDS`, without a processor's time."""

    def step(self, action: Any) -> Any:
        time.sleep(SECONDS)
        return super().step(action)


def measured(actors: int, steps: int) -> dict[str, Any]:
    """Train, in this process for no actors; return the pace, as timings.csv has it, without the start."""
    words = [
        *("agent=ppo", f"env={Path(__file__).resolve()}:Sleeping", f"num_envs={NUM_ENVS}", "tuned=none"),
        *("agent.n_steps=64", "agent.epochs=2", "agent.batch_size=128", f"total_steps={steps}", f"log.every={steps}"),
        *("eval.every=0", "checkpoint.every=0", "video=none", "logger=[csv]"),
        *(("vectorization=ray", f"actors={actors}") if actors else ()),
    ]
    run = rlkit.train(*words, run_dir=f"runs/{actors}_{time.time_ns()}")
    pace = read_table(run.directory / "timings.csv")["time/steps_per_second"][-1]
    return {"actors": actors, "steps": steps, "steps_per_second": round(float(pace), 1)}


def main() -> None:
    """Print a table; with --out keep it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--actors", type=int, nargs="*", default=[0, 1, 2, 4])
    parser.add_argument("--steps", type=int, default=4096)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    out = arguments.out.resolve() if arguments.out else None
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        measured(0, 2 * 64 * NUM_ENVS)  # what is imported by the first update is no part of what is measured
        for repetition in range(arguments.repetitions):
            for actors in arguments.actors:
                rows.append({"repetition": repetition, **measured(actors, arguments.steps)})
                print(rows[-1], flush=True)
    if out is not None:
        keep.write(out, "actors", rows, load=os.getloadavg())


if __name__ == "__main__":
    main()
