"""Bandits beside popularity in the recommendation environment: the share of liked recommendations.

    python tests/benchmarks/recommending.py --lastfm <folder with user_artists.dat and artists.dat> --out <folder>

Each agent meets users one after the other, is told what they are known to like, and recommends one item. Scored are
2,000 greedy recommendations to users whom only the evaluation knows. `popularity` counts all likes that it was told
of; `table` recommends what most training users are known to like, straight from the ratings.
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
from rlkit.core.types import Array
from rlkit.runs import build

EPISODES = 2000
COMMON = (
    "agent=bandit env=recommendation action_mask=true num_envs=4 total_steps=4000 eval.every=0 checkpoint.every=0 "
    "logger=[csv] video=none"
)
GREEDY = "explorer@agent.explorer=epsilon_greedy"
AGENTS = {
    "popularity": f"learner@agent.estimator=popularity agent.estimator.by=sum {GREEDY} agent.explorer.epsilon.value=0",
    "factorization": f"learner@agent.estimator=factorization {GREEDY} agent.update_every=500",
    "linucb": "env.observation=features",
}
DATA = {
    "planted": "data=planted_ratings",
    "lastfm": "data=lastfm env.threshold=null env.n_items=100 agent.unknown=zero",
}
FACTORS = {
    "planted": "agent.estimator.solver=als agent.estimator.n_components=6 agent.explorer.epsilon.value=0.2",
    "lastfm": "agent.estimator.solver=als agent.estimator.n_components=10 agent.estimator.n_epochs=5 "
    "agent.estimator.regularization=0.01",
}
"""Of the factorization."""


def table_score(run: Any) -> float:
    """Return the share of likes of what most training users are known to like, expected over the users who come."""
    env: Any = build.make_single(run.config.environment)
    later: Any = build.make_single(run.config.environment.for_evaluation())
    history, users = env._audience.history, later._audience.users
    likes = (history[env._audience.learners] > 0).sum(0)
    ranks: Array = np.where(later._audience.open[users], likes, -1)
    return float(later._table.liked[users, ranks.argmax(1)].mean())


def row(data: str, agent: str, seed: int, folder: Path, words: list[str]) -> dict[str, Any]:
    """Train and score one agent; the table is scored with the popularity's run."""
    words = [*COMMON.split(), *DATA[data].split(), *AGENTS[agent].split(), *words]
    words += FACTORS[data].split() if agent == "factorization" else []
    run = rlkit.train(*words, seed=seed, run_dir=folder / f"{data}_{agent}_{seed}")
    score = run.evaluate(EPISODES)["return/raw"]["mean"]
    return {"data": data, "agent": agent, "seed": seed, "liked": round(score, 4), "table": round(table_score(run), 4)}


def main() -> None:
    """Print and keep a row for each data set, agent and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(5)))
    parser.add_argument("--only", nargs="*", choices=list(AGENTS), default=list(AGENTS))
    parser.add_argument("--data", nargs="*", choices=list(DATA), default=list(DATA))
    parser.add_argument("--lastfm", type=Path, help="where its files lie; without it, they are downloaded")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = []
    folders = {"lastfm": [] if arguments.lastfm is None else [f"data.folder={arguments.lastfm}"]}
    with tempfile.TemporaryDirectory() as folder:
        for data, seed, agent in product(arguments.data, arguments.seeds, arguments.only):
            rows.append(row(data, agent, seed, Path(folder), folders.get(data, [])))
            print(rows[-1], flush=True)
    for data in arguments.data:
        for agent in arguments.only:
            found = [one["liked"] for one in rows if (one["data"], one["agent"]) == (data, agent)]
            print(f"{data} {agent}: {statistics.mean(found):.3f} ({min(found):.3f} to {max(found):.3f})")
    if arguments.out:
        write(arguments.out, "recommending", rows, common=COMMON, agents=AGENTS, data=DATA, factors=FACTORS)


if __name__ == "__main__":
    main()
