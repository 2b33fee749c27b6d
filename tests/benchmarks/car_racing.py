"""How far the agent of a run drives in CarRacing, on tracks that nobody recorded.

``python tests/benchmarks/car_racing.py runs/car_racing_cloning_s0 --tracks 10 --out laps.csv``
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rlkit.core.seeding import Seeds
from rlkit.core.types import Actor
from rlkit.runs import build
from rlkit.runs.origin import versions
from rlkit.runs.run import Run
from rlkit.vector.time_steps import first_timestep


def drive(agent: Actor, env: Any, seed: int) -> dict[str, Any]:
    """Return how an episode went: tiles driven over, all tiles, return, steps, and whether the lap was completed.

    Completed is a lap as the environment says: all tiles, or more than `lap_complete` of them when the first one is
    driven over again.
    """
    observation, _ = env.reset(seed=seed)
    world, rng = env.unwrapped, Seeds(seed).generator("drive")
    score, steps, over, completed = 0.0, 0, False, False
    while not over:
        actions, _ = agent.act(first_timestep(observation[None], None), (), explore=False, rng=rng)
        observation, reward, terminated, truncated, info = env.step(actions[0])
        score, steps, over = score + float(reward), steps + 1, terminated or truncated
        completed = bool(info.get("lap_finished", False))
    tiles = len(world.track)
    return {
        "seed": seed,
        "visited": world.tile_visited_count,
        "tiles": tiles,
        "share": round(world.tile_visited_count / tiles, 4),
        "completed": int(completed),
        "return": round(score, 1),
        "steps": steps,
    }


def main() -> None:
    """Drive, print each track and the averages, and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--tracks", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1000, help="of the tracks")
    parser.add_argument("--draw", action="store_true", help="actions are drawn by their probabilities")
    parser.add_argument("--out", type=Path, help="a CSV file for the rows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    run = Run(arguments.run)
    agent = run.load_agent("last", settings={"draw": True} if arguments.draw else {})
    env = build.make_single(run.config.environment.for_evaluation())
    rows = []
    for seed in Seeds(arguments.seed).integers("held-out tracks", size=arguments.tracks):
        rows.append(drive(agent, env, seed))
        print(rows[-1], flush=True)
    for name in ("share", "return", "completed"):
        print(f"{name} {np.mean([row[name] for row in rows]):.4g}")
    print({name: version for name, version in versions().items() if name in ("python", "torch", "gymnasium")})
    if arguments.out is not None:
        with arguments.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
