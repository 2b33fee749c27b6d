"""Tree search of single players beside value iteration: 50 random MDPs with costs on the way, and the maze.

    python tests/benchmarks/search_mdps.py --out tests/benchmarks/results

Each MDP has 20 states, 3 actions and 1 or 3 outcomes of each; rewards are normal about -1 (below 0 without a discount);
an outcome ends the episode with probability 0.1. `lost` is by how much the search's action from state 0 is worse than
the best, `gap` by how much the second best is, `error` how far the value that the search gives the state is off.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from keep import write

import rlkit
from rlkit.core.types import Array
from rlkit.envs.maze import Maze
from rlkit.planning.mdp import FiniteMDP
from rlkit.planning.mdp.iteration import value_iteration
from rlkit.planning.search import PUCT, UCT, RandomPlay, Search, root_values, rule_for, visit_counts
from rlkit.planning.search.finite import FiniteModel

SETTINGS = ((1, 0.9), (1, 0.99), (3, 0.9), (3, 0.99), (3, 1.0))


def random_mdp(seed: int, outcomes: int, *, costs: bool) -> FiniteMDP:
    """Return an MDP of 20 states and 3 actions; rewards are mostly negative, with `costs` always."""
    rng, shape = np.random.default_rng(seed), (20, 3, outcomes)
    probability, reached = rng.dirichlet(np.ones(outcomes), size=shape[:2]), rng.integers(20, size=shape)
    reward, over = rng.normal(-1, 1, size=shape), rng.random(shape) < 0.1
    reward = -abs(reward) if costs else reward
    return FiniteMDP(probability, reached, reward, over, np.eye(20)[0], np.ones(shape[:2], bool))


def maze(**options: Any) -> FiniteMDP:
    """Return the maze of conf/env/maze.yaml with `options`."""
    settings = {name: value for name, value in rlkit.defaults("env/maze").items() if name != "_target_"}
    mdp: FiniteMDP = Maze(**{**settings, "render_mode": None, **options}).mdp
    return mdp


def compared(mdp: FiniteMDP, gamma: float, rule: int, simulations: int) -> dict[str, float]:
    """Return how a search from where episodes begin compares with value iteration."""
    state, model = int(mdp.start.argmax()), FiniteModel(mdp)
    values = value_iteration(mdp, gamma=gamma, theta=1e-10).values
    following = np.where(mdp.terminated[state], 0, values[mdp.next_state[state]])
    q = (mdp.probability[state] * (mdp.reward[state] + gamma * following)).sum(axis=1)
    search = Search(
        model, RandomPlay(200, gamma), rule_for(model, rule, 1.0, gamma), simulations=simulations, seconds=None
    )
    tree = search(np.array([[state]]), np.random.default_rng(0)).tree
    ranked: Array = np.sort(q[mdp.mask[state]])[::-1]
    lost = ranked[0] - q[visit_counts(tree, None)[0].argmax()]
    error = abs(root_values(tree)[0] - values[state])
    return {"gap": float(ranked[0] - ranked[1]), "lost": float(lost), "error": float(error)}


def main() -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for rule, name in ((UCT, "uct"), (PUCT, "puct")):
        worlds = [
            (f"{outcomes} outcomes", gamma, seed, random_mdp(seed, outcomes, costs=gamma == 1))
            for outcomes, gamma in SETTINGS
            for seed in range(50)
        ]
        worlds += [("maze", 1.0, 0, maze()), ("maze, slip 0.2", 1.0, 0, maze(slip=0.2))]
        for world, gamma, seed, mdp in worlds:
            found = compared(mdp, gamma, rule, options.simulations)
            rows.append({"rule": name, "world": world, "gamma": gamma, "seed": seed, **found})
    for key in dict.fromkeys((row["rule"], row["world"], row["gamma"]) for row in rows):
        mine = [row for row in rows if (row["rule"], row["world"], row["gamma"]) == key]
        best, errors = sum(row["lost"] < 1e-9 for row in mine), [row["error"] for row in mine]
        print(
            *key, f"best action in {best} of {len(mine)}, median error {np.median(errors):.1e}, most {max(errors):.1e}"
        )
    if options.out:
        write(options.out, "search_mdps", rows, simulations=options.simulations)


if __name__ == "__main__":
    main()
