"""Learned models of mazes (Sutton & Barto, 2nd ed., sections 8.2 to 8.4): Dyna-Q, Dyna-Q+ and prioritized sweeping.

    python tests/benchmarks/dyna.py --seeds 30 --out tests/benchmarks/results --figure docs/images/dyna.png

Example 8.2's maze: the steps of each of the first 50 episodes with 0, 5 and 50 planned updates for each step. The
blocking and the shortcut maze: the reward so far by Dyna-Q and Dyna-Q+. Prioritized sweeping: how many updates of
values there are before the greedy way is a shortest one, in that maze and in one twice as fine.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from keep import write
from matplotlib.figure import Figure

from rlkit.agents.dyna_q import DynaQ
from rlkit.agents.dyna_q_plus import DynaQPlus
from rlkit.agents.prioritized_sweeping import PrioritizedSweeping
from rlkit.core.loop import interact, train
from rlkit.core.schedules import Constant
from rlkit.envs.changing_maze import ChangingMaze
from rlkit.envs.maze import Maze
from rlkit.planning.mdp import value_iteration
from rlkit.reporting.intervals import mean_intervals
from rlkit.vector.serial import SerialEnvironment

MAZE = (".......#E", "..#....#.", "S.#....#.", "..#......", ".....#...", ".........")
OPEN, GOAL, START = ".........", "........E", "...S....."
BLOCKING = ((GOAL, OPEN, OPEN, "########.", OPEN, START), (GOAL, OPEN, OPEN, ".########", OPEN, START))
SHORTCUT = ((GOAL, OPEN, OPEN, ".########", OPEN, START), (GOAL, OPEN, OPEN, ".#######.", OPEN, START))
CHANGES = {"blocking": (BLOCKING, 1000, 3000), "shortcut": (SHORTCUT, 3000, 6000)}
"""Name -> drawings, the step of the change, and how many steps there are."""

PLANNED, EPISODES, EVERY = (0, 5, 50), 50, 100
CHANGING = {"planning_steps": 50, "learning_rate": 1.0}
KAPPA = 0.001
FINENESS = (1, 2)
LOOKED, MOST = 5, 1_000_000
"""Steps between two looks at the greedy way, and updates after which no more are made."""


def maze(drawing: tuple[str, ...], fineness: int = 1) -> Maze:
    """Return a maze in which only the exit is worth something, each cell drawn as so many in both directions.

    Start and exit stay single cells.
    """
    rows = [[symbol for symbol in row for _ in range(fineness)] for row in drawing for _ in range(fineness)]
    for symbol in "SE":
        places = [(r, c) for r, row in enumerate(rows) for c, found in enumerate(row) if found == symbol]
        for r, c in places[1:]:
            rows[r][c] = "."
    text = "\n".join("".join(row) for row in rows)
    return Maze(text, 0.0, 1.0, 0.0, 0.0, True, False, 0.0, None)


def agent_of(kind: type[DynaQ], env: SerialEnvironment, seed: int, **changed: Any) -> DynaQ:
    """Return an agent with the book's settings."""
    settings = {
        **{"gamma": 0.95, "epsilon": Constant(0.1), "epsilon_counts": "steps", "learning_rate": 0.1},
        **{"learning_rate_decay": 0.0, "initial_value": 0.0, "discretizer": None, "n_step": 1, "trace_decay": 0.0},
        **{"planning_steps": 5, "outcomes": 1, **changed},
    }
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    return kind(**spaces, **settings, rng=np.random.default_rng([seed, 1]))


def steps_of(agent: DynaQ, env: SerialEnvironment, seed: int) -> Iterator[tuple[float, bool]]:
    """Yield reward and whether the episode ended, for each step without end."""
    stream = interact(agent, env, explore=True, rng=np.random.default_rng(seed), reset_seeds=lambda step: [seed])
    for transition, _ in train(agent, stream, total_steps=10**9):
        yield float(transition.reward[0]), bool(transition.last[0])


def lengths(planned: int, seed: int) -> list[int]:
    """Return the steps of each of the first episodes [EPISODES] in example 8.2's maze."""
    env = SerialEnvironment([lambda: maze(MAZE)])
    found, length = [], 0
    for _, last in steps_of(agent_of(DynaQ, env, seed, planning_steps=planned), env, seed):
        length += 1
        if last:
            found.append(length)
            length = 0
            if len(found) == EPISODES:
                return found
    return found


def rewards(name: str, kind: type[DynaQ], seed: int) -> list[float]:
    """Return the reward so far after each `EVERY` steps in a maze that changes."""
    drawings, change, total = CHANGES[name]
    texts = ["\n".join(drawing) for drawing in drawings]
    env = SerialEnvironment([lambda: ChangingMaze(texts, [change], 0.0, 1.0, 0.0, None)])
    own = {"bonus": KAPPA} if kind is DynaQPlus else {}
    agent = agent_of(kind, env, seed, **CHANGING, **own)
    steps = steps_of(agent, env, seed)
    gained = np.cumsum([next(steps)[0] for _ in range(total)])
    return [float(gained[at - 1]) for at in range(EVERY, total + 1, EVERY)]


def updates_to_shortest(kind: type[DynaQ], fineness: int, seed: int) -> int:
    """Return how many updates of values it takes until the greedy way is a shortest one; `MOST` where it takes more."""
    whole = maze(MAZE, fineness)
    shortest = greedy_length(whole, value_iteration(whole.mdp, gamma=0.95, theta=1e-12).action_values)
    env = SerialEnvironment([lambda: maze(MAZE, fineness)])
    own = {"threshold": 1e-4} if kind is PrioritizedSweeping else {}
    agent = agent_of(kind, env, seed, learning_rate=1.0, **own)
    for t, _ in enumerate(steps_of(agent, env, seed)):
        if agent.updates > MOST or t > MOST // 10:
            break
        if t % LOOKED == 0 and greedy_length(whole, agent.q_values) == shortest:
            return agent.updates
    return MOST


def greedy_length(env: Maze, q: Any) -> int:
    """Return how many steps the greedy way takes from the start; 0 where it does not come to the exit."""
    best, moves, ends = q.argmax(axis=1).tolist(), env.mdp.next_state[:, :, 0], env.mdp.terminated[:, :, 0]
    state, seen = int(np.flatnonzero(env.mdp.start)[0]), set()
    while state not in seen and q[state].any():
        seen.add(state)
        if ends[state, best[state]]:
            return len(seen)
        state = int(moves[state, best[state]])
    return 0


def measure(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each figure."""
    for seed in range(seeds):
        for planned in PLANNED:
            for episode, length in enumerate(lengths(planned, seed), 1):
                yield row("maze", f"n={planned}", seed, episode, length)
        for name in CHANGES:
            for kind in (DynaQ, DynaQPlus):
                for at, gained in enumerate(rewards(name, kind, seed), 1):
                    yield row(name, kind.name, seed, at * EVERY, gained)
        for fineness in FINENESS:
            for kind in (DynaQ, PrioritizedSweeping):
                yield row("updates", kind.name, seed, fineness, updates_to_shortest(kind, fineness, seed))


def row(part: str, method: str, seed: int, at: int, value: float) -> dict[str, Any]:
    """Return a row of the table."""
    return {"part": part, "method": method, "seed": seed, "at": at, "value": round(value, 5)}


def curves(rows: list[dict[str, Any]], part: str, method: str) -> tuple[Any, Any]:
    """Return places [T] and values [seeds, T]."""
    chosen = [row for row in rows if row["part"] == part and row["method"] == method]
    places = sorted({int(row["at"]) for row in chosen})
    seeds = sorted({int(row["seed"]) for row in chosen})
    values = {(int(row["seed"]), int(row["at"])): float(row["value"]) for row in chosen}
    return np.array(places), np.array([[values[seed, at] for at in places] for seed in seeds])


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the four figures."""
    figure = Figure(figsize=(12, 7.4), dpi=80, layout="constrained")
    titles = {
        "maze": ("Example 8.2's maze", "episode", "steps of the episode"),
        "updates": ("Until the greedy way is a shortest one", "cells of each cell's side", "updates"),
        "blocking": ("The way is blocked after 1,000 steps", "step", "reward so far"),
        "shortcut": ("A shorter way opens after 3,000 steps", "step", "reward so far"),
    }
    for axes, (part, (title, x, y)) in zip(figure.subplots(2, 2).flat, titles.items(), strict=True):
        for method in dict.fromkeys(row["method"] for row in rows if row["part"] == part):
            places, values = curves(rows, part, method)
            # Seeds that never come to a shortest way would make means say nothing.
            middle = np.median(values, axis=0) if part == "updates" else values.mean(axis=0)
            (line,) = axes.plot(places, middle, label=method)
            if part == "updates":
                axes.plot(places, values.T, ".", color=line.get_color(), alpha=0.4)
                axes.set_xticks(places)
                continue
            low, high = mean_intervals(values, np.random.default_rng(0))
            axes.fill_between(places, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        axes.set(title=title, xlabel=x, ylabel=y)
        if part in ("maze", "updates"):
            axes.set_yscale("log")
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Measure, keep, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("tests/benchmarks/results"))
    parser.add_argument("--figure", type=Path, help="where a picture goes")
    options = parser.parse_args()
    rows = list(measure(options.seeds))
    write(options.out, "dyna", rows, settings={"changing": CHANGING, "kappa": KAPPA})
    for part, method in dict.fromkeys((row["part"], row["method"]) for row in rows):
        places, values = curves(rows, part, method)
        shown = values[:, [0, len(places) // 2, -1]] if part != "updates" else np.median(values, axis=0)[None]
        print(part, method, np.round(shown.mean(axis=0), 1).tolist())
    if options.figure:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()
