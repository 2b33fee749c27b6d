"""Q-learning in DeepSea 20 with count bonuses and without: episodes until the greedy policy earns .99.

    python tests/benchmarks/count_bonus.py --out <folder>

Both explore with an epsilon of .05 for at most 20,000 episodes; an evaluation is made every 500. An empty `episodes`
says that no evaluation earned .99.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from keep import write

import rlkit

SIZE, EPISODES = 20, 20_000
WORDS = (
    *("agent=q_learning", "env=deep_sea", f"env.size={SIZE}", "agent.epsilon.start=0.05", "agent.epsilon.end=0.05"),
    *("agent.learning_rate=0.5", "agent.learning_rate_decay=0", f"total_steps={SIZE * EPISODES}", "stop_at=0.98"),
    *(f"eval.every={SIZE * 500}", "eval.episodes=1", "video=none", "logger=[csv]"),
)
BONUS = "preprocess=[{_target_:rlkit.preprocess.CountBonus,scale:0.1}]"


def row(bonus: bool, seed: int, folder: Path) -> dict[str, Any]:
    """Train one seed, in a world of its own mapping."""
    name = "count" if bonus else "none"
    more = [f"run_dir={folder}/{name}{seed}", f"env.mapping_seed={seed}", *([BONUS] if bonus else [])]
    run = rlkit.train(*WORDS, *more, seed=seed)
    solved = [step for step, score in run.evaluation_means() if score > 0.98]
    return {"bonus": name, "seed": seed, "episodes": solved[0] // SIZE if solved else ""}


def main() -> None:
    """Print and keep the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for bonus in (True, False):
            for seed in arguments.seeds:
                rows.append(row(bonus, seed, Path(folder)))
                print(rows[-1], flush=True)
                write(arguments.out, "count_bonus", rows)


if __name__ == "__main__":
    main()
