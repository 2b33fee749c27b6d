"""Q-learning on SafeCab: rlkit's compiled and Python loops beside a tutorial's loop, steps per second in one run.

The tutorial's loop is what one would write with `gymnasium.make` and a NumPy table. All three learn with the settings
of ``experiment=safecab_source``; compiling is done before, and its time is told.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from keep import write

from rlkit.algorithms.tabular.compiled import compiled_loop
from rlkit.config.compose import composed
from rlkit.config.run_config import TrainRunConfig, requested
from rlkit.core.loop import train
from rlkit.core.seeding import Seeds
from rlkit.core.statistics import Averages, EpisodeTracker
from rlkit.envs.safecab import SafeCab
from rlkit.runs import build
from rlkit.runs.training import stream

REWARDS = {"step": -1.0, "illegal": -10.0, "delivery": 1000.0, "anomaly": -1000.0}


def tutorial(seed: int, steps: int) -> int:
    """Learn as a tutorial does, and return the steps taken."""
    if "SafeCab-v0" not in gymnasium.registry:
        gymnasium.register(
            "SafeCab-v0",
            lambda **keys: SafeCab(**{**REWARDS, "max_steps": None, "render_mode": None, **keys}),
            max_episode_steps=200,
        )
    env, rng = gymnasium.make("SafeCab-v0"), np.random.default_rng(seed)
    q, taken, episode, returns = np.zeros((500, 6)), 0, 0, []
    while taken < steps:
        state, _ = env.reset(seed=seed if episode == 0 else None)
        epsilon, total, done = 0.01 + 0.99 * math.exp(-0.0001 * episode), 0.0, False
        while not done:
            action = int(rng.integers(6)) if rng.random() < epsilon else int(np.argmax(q[state]))
            after, reward, terminated, truncated, _ = env.step(action)
            target = reward + 0.618 * np.max(q[after]) * (not terminated)
            q[state, action] += 0.7 * (target - q[state, action])
            state, total, taken, done = after, total + float(reward), taken + 1, terminated or truncated
        returns.append(total)
        episode += 1
    return taken


def parts(seed: int) -> tuple[TrainRunConfig, Any, Any, Any]:
    """Return configuration, environment, agent and stream of ``experiment=safecab_source``."""
    config = requested(TrainRunConfig, *composed("train", ["experiment=safecab_source", f"seed={seed}"]))
    env = build.make_environment(config.environment, num_envs=1)
    agent = build.make_agent(config.agent_config, env, Seeds(seed))
    return config, env, agent, stream(config, agent, env, opaque=False)


def in_python(seed: int, steps: int) -> int:
    """Learn by the Python loop, and return the steps taken."""
    _, _, agent, taken = parts(seed)
    tracker, averages = EpisodeTracker(1), Averages()
    for transition, metrics in train(agent, taken, total_steps=steps):
        if metrics is not None:
            averages.add(metrics)
        tracker.step(transition, taken.steps)
    return int(taken.steps)


def compiled(seed: int, steps: int) -> int:
    """Learn by the compiled loop, and return the steps taken."""
    _, env, agent, taken = parts(seed)
    loop, tracker, averages = compiled_loop(agent, env, action_mask=False), EpisodeTracker(1), Averages()
    while taken.steps < steps:
        loop.stride(taken, tracker, averages, steps=steps, episodes=steps)
    return int(taken.steps)


def main() -> None:
    """Print and keep steps per second of each, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--steps", type=int, default=100_000, help="of the two slow loops; the compiled one takes fifty times as many"
    )
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    started = time.perf_counter()
    compiled(0, 10)
    print(f"compiling or loading: {time.perf_counter() - started:.1f} s")
    contenders = {"tutorial": (tutorial, 1), "python": (in_python, 1), "compiled": (compiled, 50)}
    rows = []
    for seed in range(arguments.rounds):
        speeds = {}
        for name, (run, factor) in contenders.items():
            started = time.perf_counter()
            speeds[name] = run(seed, factor * arguments.steps) / (time.perf_counter() - started)
        rows.append({"seed": seed, **{name: round(speed) for name, speed in speeds.items()}})
        print(rows[-1], f"compiled / tutorial: {speeds['compiled'] / speeds['tutorial']:.0f}", flush=True)
    ratios = [row["compiled"] / row["tutorial"] for row in rows]
    print(f"compiled / tutorial: median {statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})")
    if arguments.out:
        write(arguments.out, "tabular", rows)


if __name__ == "__main__":
    main()
