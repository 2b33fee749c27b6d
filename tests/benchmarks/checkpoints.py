"""What a checkpoint of DQN on Pong costs, beside a copy of its whole replay: seconds and new bytes.

    python tests/benchmarks/checkpoints.py --out <folder>

The replay is filled by random play; then a checkpoint is written every `--every` steps, as training does.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from keep import write

from rlkit.config.compose import composed
from rlkit.config.run_config import TrainRunConfig, requested
from rlkit.core.checkpoint import Store
from rlkit.core.loop import Interaction, interact
from rlkit.core.seeding import Seeds
from rlkit.core.types import Transition
from rlkit.runs import build


def new_bytes(folder: Path, seen: set[int]) -> int:
    """Return the bytes of files that no checkpoint before had, by inode."""
    files = [path.stat() for path in folder.rglob("*") if path.is_file()]
    fresh = {file.st_ino: file.st_size for file in files if file.st_ino not in seen}
    seen.update(fresh)
    return sum(fresh.values())


def play(stream: Interaction, agent: Any, steps: int) -> None:
    """Let the agent store so many steps without learning from them."""
    until = stream.steps + steps
    while stream.steps < until:
        transition: Transition = next(stream)
        agent.observe(transition)


def rows(capacity: int, every: int, count: int, compress: bool, folder: Path) -> list[dict[str, Any]]:
    """Fill a replay and write `count` checkpoints after it."""
    words = ["agent=dqn", "env=atari", f"replay.capacity={capacity}", f"replay.compress={str(compress).lower()}"]
    config = requested(TrainRunConfig, *composed("train", [*words, "device=cpu"]))
    env = build.make_environment(config.environment, num_envs=8)
    agent = build.make_agent(config.agent_config, env, Seeds(0))
    stream = interact(
        agent, env, explore=True, rng=np.random.default_rng(0), reset_seeds=lambda step: list(range(env.num_envs))
    )
    store, seen = Store(folder, keep=2), set()
    found = []
    play(stream, agent, capacity)
    for index in range(count + 1):
        started = time.perf_counter()
        path = store.save(stream.steps, {"agent": agent.state_dict()})
        took = time.perf_counter() - started
        what = "first, whole" if index == 0 else f"{every} steps later"
        found.append(
            {"compress": compress, "checkpoint": what, "seconds": round(took, 3), "bytes": new_bytes(path, seen)}
        )
        play(stream, agent, every)
    env.close()
    return found


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--capacity", type=int, default=100_000)
    parser.add_argument("--every", type=int, default=5_000)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    table: list[dict[str, Any]] = []
    for compress in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            table += rows(arguments.capacity, arguments.every, arguments.count, compress, Path(folder))
    for compress in (False, True):
        for what in dict.fromkeys(row["checkpoint"] for row in table):
            mine = [row for row in table if (row["compress"], row["checkpoint"]) == (compress, what)]
            seconds, size = (statistics.median(row[key] for row in mine) for key in ("seconds", "bytes"))
            print(f"compress={compress!s:5} {what:20} {seconds:7.2f} s  {size / 1e6:8.1f} MB new")
    if arguments.out:
        write(arguments.out, "checkpoints", table)


if __name__ == "__main__":
    main()
