"""How fast exported files decide, beside the agents that they were made of: one observation at a time, one thread.

    python tests/benchmarks/deployment.py --out tests/benchmarks/results

Slices alternate, and times are of the processor, so that other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from keep import write

import rlkit
from rlkit.core.seeding import Seeds
from rlkit.runs.exporting import formats
from rlkit.runs.exporting.export import boundary_of, graph_of
from rlkit.vector.time_steps import first_timestep

warnings.filterwarnings("ignore")

QUIET = ("video=none", "logger=[csv]", "eval.every=0", "tuned=none", "checkpoint.every=0", "num_envs=1")
ROLLOUTS = ("agent.n_steps=16", "agent.batch_size=16", "total_steps=32")
REPLAY = ("agent.learning_starts=16", "agent.batch_size=16", "total_steps=24")
CASES = {
    "dqn cartpole": ("agent=dqn", "env=cartpole", *REPLAY),
    "dqn minatar images": ("agent=dqn", "env=minatar", *REPLAY),
    "ppo pendulum": ("agent=ppo", "env=pendulum", *ROLLOUTS, "agent.network.standardize=true"),
    "a2c cartpole, gru": ("agent=a2c", "env=cartpole", *ROLLOUTS[::2], "agent.network.recurrent=gru"),
    "sac pendulum": ("agent=sac", "env=pendulum", *REPLAY),
}


def timed(decide: Callable[[], Any], times: int) -> float:
    """Return microseconds of the processor for a call."""
    begin = time.process_time()
    for _ in range(times):
        decide()
    return (time.process_time() - begin) / times * 1e6


def acting(agent: Any, observation: Any) -> Callable[[], Any]:
    """Return a decision of the agent, as evaluations ask for it."""
    timestep = first_timestep(observation, None, lambda model: None)
    memory, rng = agent.initial_memory(1), Seeds(0).generator("benchmark")
    return lambda: agent.act(timestep, memory, explore=False, rng=rng)


def raced(words: tuple[str, ...], folder: Path, rounds: int, times: int) -> dict[str, float]:
    """Return the medians of all rounds, by what decides."""
    run = rlkit.train(*words, *QUIET, run_dir=str(folder / "run"))
    agent, boundary = run.load_agent("last"), boundary_of(run)
    graph = graph_of(agent, boundary)
    observation = np.asarray(boundary.env.observation_space.sample())[None]
    inputs = [observation, *(port.zeros(1) for port in graph.ports.inputs[1:])]
    racers = {"agent": acting(agent, observation)}
    for name, kind in formats.FORMATS.items():
        path = run.export(folder / f"policy{kind.suffix}", format=name, checkpoint="last")
        racers[name] = partial(formats.load(name, path, graph), inputs)
    for decide in racers.values():
        timed(decide, times)
    rows = [[timed(decide, times) for decide in racers.values()] for _ in range(rounds)]
    return dict(zip(racers, (statistics.median(column) for column in zip(*rows, strict=True)), strict=True))


def main() -> None:
    """Print a row for each case, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for deployment.csv")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--times", type=int, default=200, help="decisions in a slice")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case, words in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            medians = raced(words, Path(folder), options.rounds, options.times)
        ratio = medians["agent"] / medians["onnx"]
        row = {"case": case, **{name: f"{value:.1f}" for name, value in medians.items()}, "agent/onnx": f"{ratio:.2f}"}
        rows.append(row)
        print(row, flush=True)
    if options.out is not None:
        write(options.out, "deployment", rows)


if __name__ == "__main__":
    main()
