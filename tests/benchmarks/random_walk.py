"""The random walks of Sutton & Barto (2nd ed.): TD(0) and Monte Carlo over the step size, n-step TD over both.

Writes the root mean square errors of each setting and seed, and a figure with 95% bootstrap intervals: on the left
example 6.2 (5 states, error after each episode), on the right figure 7.2 (19 states, mean of the first 10 episodes).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from keep import write
from matplotlib.figure import Figure

from rlkit.agents.mc_prediction import MCPrediction
from rlkit.agents.td_prediction import TDPrediction
from rlkit.algorithms.fixed_policies import Uniform
from rlkit.core.loop import interact, train
from rlkit.core.types import Array
from rlkit.envs.random_walk import RandomWalk
from rlkit.planning.mdp import exact_values, uniform_policy
from rlkit.reporting.intervals import mean_intervals
from rlkit.vector.serial import SerialEnvironment

SMALL = {"states": 5, "jump": 1, "left": 0.0, "right": 1.0, "max_steps": None, "render_mode": None}
LARGE = {"states": 19, "jump": 1, "left": -1.0, "right": 1.0, "max_steps": None, "render_mode": None}
TD, MC = (0.05, 0.1, 0.15), (0.01, 0.02, 0.03, 0.04)
N = (1, 2, 4, 8, 16, 32, 64, 128)
ALPHAS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def errors(
    kind: type[Any], walk: dict[str, Any], alpha: float, initial: float, episodes: int, seed: int, **more: Any
) -> Array:
    """Return the root mean square error over the states after each episode [E]."""
    env = SerialEnvironment([lambda: RandomWalk(**walk)])
    mdp = RandomWalk(**walk).mdp
    true = exact_values(mdp, uniform_policy(mdp), gamma=1.0)[1:-1]
    rates = {"learning_rate": alpha, "learning_rate_decay": 0.0, "initial_value": initial}
    agent = kind(observation_space=env.observation_space, policy=Uniform(env.action_space), gamma=1.0, **rates, **more)
    rng = np.random.default_rng(seed)
    stream = interact(agent, env, explore=True, rng=rng, reset_seeds=lambda step: [seed])
    found: list[float] = []
    for transition, _ in train(agent, stream, total_steps=10**9):
        if transition.last[0]:
            found.append(float(np.sqrt(np.mean((agent.v[1:-1] - true) ** 2))))
            if len(found) == episodes:
                break
    return np.array(found)


def measure(seeds: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each setting and seed."""
    for seed in range(seeds):
        for alpha in TD:
            after = errors(TDPrediction, SMALL, alpha, 0.5, 100, seed, n_step=1, trace_decay=0.0)
            yield from (row("TD(0)", 1, alpha, seed, t, after[t - 1]) for t in (1, 2, 5, 10, 20, 50, 100))
        for alpha in MC:
            after = errors(MCPrediction, SMALL, alpha, 0.5, 100, seed, first_visit=False)
            yield from (row("MC", 0, alpha, seed, t, after[t - 1]) for t in (1, 2, 5, 10, 20, 50, 100))
        for n in N:
            for alpha in ALPHAS:
                after = errors(TDPrediction, LARGE, alpha, 0.0, 10, seed, n_step=n, trace_decay=0.0)
                yield row("n-step", n, alpha, seed, 10, after.mean())


def row(method: str, n: int, alpha: float, seed: int, episodes: int, error: float) -> dict[str, Any]:
    """Return a row of the table."""
    error = round(float(error), 5)
    return {"method": method, "n": n, "alpha": alpha, "seed": seed, "episodes": episodes, "error": error}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw both figures."""
    figure = Figure(figsize=(11, 4.6), dpi=80, layout="constrained")
    left, right = figure.subplots(1, 2)
    for method, alphas, shades in (("TD(0)", TD, "Blues"), ("MC", MC, "Oranges")):
        for i, alpha in enumerate(alphas):
            lines = [r for r in rows if (r["method"], r["alpha"]) == (method, alpha)]
            curve(left, lines, "episodes", f"{method}, alpha {alpha}", shades, (i + 2) / (len(alphas) + 2))
    for i, n in enumerate(N):
        lines = [r for r in rows if (r["method"], r["n"]) == ("n-step", n)]
        curve(right, lines, "alpha", f"n = {n}", "viridis", i / len(N))
    left.set(title="5 states: TD(0) and Monte Carlo", xlabel="episodes", xscale="log", ylabel="root mean square error")
    right.set(title="19 states: n-step TD, first 10 episodes", xlabel="alpha", ylim=(0.22, 0.56))
    for axes in (left, right):
        axes.legend(fontsize=8)
        axes.grid(alpha=0.25)
    figure.savefig(path)


def curve(axes: Any, lines: list[dict[str, Any]], over: str, label: str, shades: str, shade: float) -> None:
    """Draw means over the seeds, with intervals."""
    from matplotlib import colormaps

    places = sorted({line[over] for line in lines})
    curves = np.array([[line["error"] for line in lines if line[over] == place] for place in places]).T
    low, high = mean_intervals(curves, np.random.default_rng(0))
    color = colormaps[shades](shade)
    axes.plot(places, curves.mean(axis=0), label=label, color=color)
    axes.fill_between(places, low, high, alpha=0.2, color=color, linewidth=0)


def main() -> None:
    """Measure, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    rows = list(measure(arguments.seeds))
    write(arguments.out, "random_walk", rows)
    draw(rows, arguments.out / "random_walk.png")


if __name__ == "__main__":
    main()
