"""One environment stepped in Python: rlkit's loop beside CartPole alone, and beside a tutorial's Q-learning.

    python tests/benchmarks/loop.py --out tests/benchmarks/results

Slices of all alternate in one process, and processor time is measured. ``loop`` is `rlkit.core.loop.train`; ``run`` is
with all that a training run does at every step, such as adding up returns and looking for what is due.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from keep import write

from rlkit.config.compose import composed
from rlkit.config.run_config import TrainRunConfig, requested
from rlkit.core.loop import train
from rlkit.core.seeding import Seeds
from rlkit.runs import build
from rlkit.runs.training import Training, stream

Slice = Callable[[int], Any]
EPSILON, RATE, GAMMA = 0.1, 0.1, 0.99
RANDOM = ["agent=random", "env=cartpole"]
Q_LEARNING = [
    *("agent=q_learning", "env=frozen_lake", "inner_loop=python", f"agent.gamma={GAMMA}"),
    *(f"agent.learning_rate={RATE}", "agent.learning_rate_decay=0", "schedule@agent.epsilon=constant"),
    f"agent.epsilon.value={EPSILON}",
]


def alone() -> Slice:
    """Return CartPole with random actions."""
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=0)

    def run(steps: int) -> None:
        for _ in range(steps):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()

    return run


def tutorial() -> Slice:
    """Return Q-learning on FrozenLake as a tutorial writes it."""
    env, rng, q = gymnasium.make("FrozenLake-v1"), np.random.default_rng(0), np.zeros((16, 4))
    at = [env.reset(seed=0)[0]]

    def run(steps: int) -> None:
        state = at[0]
        for _ in range(steps):
            action = int(rng.integers(4)) if rng.random() < EPSILON else int(np.argmax(q[state]))
            after, reward, terminated, truncated, _ = env.step(action)
            target = reward + GAMMA * np.max(q[after]) * (not terminated)
            q[state, action] += RATE * (target - q[state, action])
            state = env.reset()[0] if terminated or truncated else after
        at[0] = state

    return run


def parts(words: list[str]) -> tuple[TrainRunConfig, Any, Any]:
    """Return configuration, agent and environment."""
    often = ["tuned=none", "total_steps=1000000000", "eval.every=0", "checkpoint.every=0", "log.every=1000"]
    config = requested(TrainRunConfig, *composed("train", [*words, *often]))
    env = build.make_environment(config.environment, num_envs=config.num_envs)
    return config, build.make_agent(config.agent_config, env, Seeds(0)), env


def loop(words: list[str]) -> Slice:
    """Return rlkit's loop."""
    config, agent, env = parts(words)
    steps = train(agent, stream(config, agent, env, opaque=False), total_steps=10**9)
    return lambda wanted: sum(1 for _ in islice(steps, wanted))


def training(words: list[str]) -> Slice:
    """Return a run's training, a slice at a time."""
    config, agent, env = parts(words)
    folder = Path(tempfile.mkdtemp())
    run = Training(config, folder, folder, agent=agent, env=env, callbacks={}, opaque=False)

    def more(wanted: int) -> None:
        until = run.steps + wanted
        run.run(lambda: "enough" if run.steps >= until else None)
        run.stopped, run.interrupted = None, False

    return more


def main() -> None:
    """Print and keep microseconds per step of each, in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1000, help="of a slice")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    slices = {
        **{"cartpole alone": alone(), "cartpole loop": loop(RANDOM), "cartpole run": training(RANDOM)},
        **{"tutorial": tutorial(), "frozen_lake loop": loop(Q_LEARNING), "frozen_lake run": training(Q_LEARNING)},
    }
    for step in slices.values():
        step(arguments.steps)
    rows = [
        {name: _microseconds(step, arguments.steps) for name, step in slices.items()} for _ in range(arguments.rounds)
    ]
    for what, base in (("cartpole", "cartpole alone"), ("frozen_lake", "tutorial")):
        for kind in ("loop", "run"):
            ratios = sorted(row[f"{what} {kind}"] / row[base] for row in rows)
            quarter = len(ratios) // 4
            print(
                f"{what} {kind}: {statistics.median(ratios):.2f} times as long as {base} "
                f"({ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f})"
            )
    if arguments.out:
        write(arguments.out, "loop", rows)


def _microseconds(step: Slice, steps: int) -> float:
    started = time.process_time()
    step(steps)
    return round((time.process_time() - started) / steps * 1e6, 3)


if __name__ == "__main__":
    main()
