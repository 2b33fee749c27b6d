"""DQN on highway-fast-v0 beside Stable-Baselines3's, with the settings of highway-env's documentation.

    <python with rlkit, highway-env, stable-baselines3> tests/benchmarks/highway.py --out <folder>
    … tests/benchmarks/highway.py --only rlkit --seeds 0      # one of the libraries, some of the seeds

Each library trains for 20,000 steps. Then its policy plays 50 episodes greedily, of the same seeds. A row is added to
the results as soon as it is there, and one that is there is not made again.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import gymnasium
import highway_env  # noqa: F401
import numpy as np
from keep import write

ID, STEPS, EPISODES = "highway-fast-v0", 20_000, 50
FIRST_SEED = 10_000

RLKIT = (
    *("agent=dqn", "env=highway", f"env.id={ID}", "tuned=none", "network=mlp", "network.hidden=[256,256]"),
    *("agent.double=false", "agent.learning_rate=5e-4", "agent.gamma=0.8", "agent.learning_starts=200"),
    *("agent.batch_size=32", "agent.train_freq=1", "agent.gradient_steps=1", "agent.target_every=50"),
    *("replay.capacity=15000", "agent.epsilon.start=1", "agent.epsilon.end=0.05", f"agent.epsilon.steps={STEPS // 10}"),
    *(f"total_steps={STEPS}", "eval.every=0", "checkpoint.every=5000", "video=none", "device=cpu"),
)
"""What is left at Stable-Baselines3's own values there has them here too: no double Q-learning, its exploration."""

SETTINGS: dict[str, Any] = {
    **{"policy_kwargs": {"net_arch": [256, 256]}, "learning_rate": 5e-4, "buffer_size": 15000, "gamma": 0.8},
    **{"learning_starts": 200, "batch_size": 32, "train_freq": 1, "gradient_steps": 1, "target_update_interval": 50},
}
"""The same for it."""


def rlkit(seed: int, folder: Path) -> Any:
    """Train, and return a policy that takes one observation."""
    import rlkit

    directory = folder / f"rlkit_s{seed}"
    run = rlkit.train(resume=directory) if directory.exists() else rlkit.train(*RLKIT, seed=seed, run_dir=directory)
    if run.stopped:
        raise SystemExit(f"stopped: {run.stopped}; the same command goes on")
    policy = run.policy(checkpoint="last")

    def act(observation: Any, first: bool) -> Any:
        if first:
            policy.reset()
        return policy(observation)

    return act


def stable_baselines3(seed: int, folder: Path) -> Any:
    """Train, and return a policy that takes one observation."""
    import torch
    from stable_baselines3 import DQN

    torch.set_num_threads(1)
    model = DQN("MlpPolicy", gymnasium.make(ID), seed=seed, device="cpu", **SETTINGS)
    model.learn(STEPS)
    return lambda observation, first: model.predict(observation, deterministic=True)[0]


LIBRARIES = {"rlkit": rlkit, "stable-baselines3": stable_baselines3}


def score(act: Any) -> list[tuple[float, int]]:
    """Return the return and the length of each of `EPISODES`."""
    env, scores = gymnasium.make(ID), []
    for episode in range(EPISODES):
        observation, _ = env.reset(seed=FIRST_SEED + episode)
        total, length, over = 0.0, 0, False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(act(observation, length == 0))
            total, length, over = total + float(reward), length + 1, terminated or truncated
        scores.append((total, length))
    return scores


def main() -> None:
    """Train and score what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=list(LIBRARIES), help="one of the libraries")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where rlkit's run folders go")
    parser.add_argument("--out", type=Path, default=Path("tests/benchmarks/results"))
    options = parser.parse_args()
    known = options.out / "highway.csv"
    rows: list[dict[str, Any]] = list(csv.DictReader(known.open())) if known.exists() else []
    for seed in options.seeds:
        for library in [options.only] if options.only else LIBRARIES:
            if any((row["library"], int(row["seed"])) == (library, seed) for row in rows):
                continue
            started, busy = time.time(), time.process_time()
            scores = np.array(score(LIBRARIES[library](seed, options.runs)))
            row = {"library": library, "seed": seed, "steps": STEPS, "episodes": EPISODES}
            row |= {"return": round(float(scores[:, 0].mean()), 3), "length": round(float(scores[:, 1].mean()), 2)}
            row |= {"seconds": round(time.time() - started), "processor_seconds": round(time.process_time() - busy)}
            rows.append(row)
            print(row, flush=True)
            write(options.out, "highway", rows, settings=" ".join(RLKIT))


if __name__ == "__main__":
    main()
