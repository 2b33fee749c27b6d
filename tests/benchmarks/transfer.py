"""Does an encoder that was fitted to pictures of Catch save DQN steps in it?

    python tests/benchmarks/transfer.py --out <folder>

A CNN is fitted to every picture that Catch can show, labelled with the side of the paddle on which the ball is (or,
``--labels state``, with the state: a class for each). DQN then begins with its torso, frozen or fine-tuned, or from
scratch, with settings that are otherwise the same. A row is a run: the first evaluation of a mean return of at least
0.8. ``--rate`` is for choosing one, with seeds that are not reported.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from keep import write

import rlkit
from rlkit.envs.catch import image

ROWS, COLUMNS, CELL = 11, 5, 4
GOAL, BUDGET = 0.8, 12_000
FIT = (
    "learner=cnn data=npz network@learner.torso=small learner.scale=255 learner.n_epochs=200 test_size=0 logger=[csv] "
    "plots=false"
)
DQN = (
    "agent=dqn env=catch network=small agent.epsilon.steps=4000 agent.learning_starts=500 agent.batch_size=32 "
    "agent.target_every=200 replay.capacity=20000 eval.every=100 eval.episodes=50 logger=[csv] video=none "
    f"checkpoint.every=0 total_steps={BUDGET} stop_at={GOAL}"
)
WAYS = {"scratch": "", "frozen": "network.freeze=true", "fine_tuned": "network.freeze=false"}


def pictures(labels: str) -> tuple[Any, Any]:
    """Return every picture [n, H, W], and the class of each [n]."""
    states = list(product(range(ROWS), range(COLUMNS), range(COLUMNS)))
    seen = np.stack([image(ROWS, COLUMNS, CELL, state)[:, :, 0] for state in states])
    if labels == "state":
        return seen, np.arange(len(states))
    return seen, np.array([np.sign(ball - paddle) for _, ball, paddle in states])


def fitted(folder: Path, labels: str, seed: int) -> Path:
    """Fit the encoder, and return the folder of its run."""
    frames = folder / "frames.npz"
    X, y = pictures(labels)
    np.savez(frames, X=X.astype(np.float32), y=y.astype(str))
    run = rlkit.fit(*FIT.split(), f"data.path={frames}", seed=seed, run_dir=folder / f"encoder_s{seed}")
    print(f"encoder {seed}: {run.final_metrics}", flush=True)
    return run.directory


def row(way: str, encoder: Path, folder: Path, seed: int, rate: float) -> dict[str, Any]:
    """Train one agent, and return when it was good enough."""
    words = [] if way == "scratch" else [f"network.encoder={encoder}", WAYS[way]]
    words.append(f"agent.learning_rate={rate}")
    run = rlkit.train(*DQN.split(), *words, seed=seed, run_dir=folder / f"{way}_s{seed}")
    means = run.evaluation_means()
    reached = next((step for step, mean in means if mean >= GOAL), None)
    return {
        "way": way,
        "seed": seed,
        "steps": reached,
        "best": round(max(mean for _, mean in means), 3),
    }


def main() -> None:
    """Print and keep a row for each way and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--labels", choices=["side", "state"], default="side")
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for seed in arguments.seeds:
            encoder = fitted(Path(name), arguments.labels, seed)
            for way in arguments.ways:
                rows.append(row(way, encoder, Path(name), seed, arguments.rate))
                print(rows[-1], flush=True)
    for way in arguments.ways:
        own = [one["steps"] for one in rows if one["way"] == way]
        found = [BUDGET if steps is None else steps for steps in own]
        spread = f"{statistics.median(found):,.0f} ({min(found):,} to {max(found):,})"
        print(f"{way}: median {spread}, {own.count(None)} not at all")
    if arguments.out:
        write(arguments.out, "transfer", rows, fit=FIT, dqn=DQN, labels=arguments.labels, rate=arguments.rate)


if __name__ == "__main__":
    main()
