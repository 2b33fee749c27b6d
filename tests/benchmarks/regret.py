"""Counterfactual regret minimization beside OpenSpiel's, in Python and in C++: seconds an iteration and exploitability.

Prints a table and writes results/regret.csv. Slices of the three are interleaved; the fastest slice of each counts.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyspiel
from open_spiel.python.algorithms import cfr

from rlkit.envs.poker import KuhnPoker, LeducPoker
from rlkit.planning.extensive import GameTree, build_tree, expected_values, exploitability
from rlkit.planning.extensive.regret import RegretMinimizer

RESULT = Path(__file__).parent / "results" / "regret.csv"
COLUMNS = ("game", "algorithm", "library", "iterations", "seconds_an_iteration", "exploitability", "value")
SLICES = 5


def fastest(run: Callable[[int], None], iterations: int, best: float) -> float:
    """Return the smaller of `best` and the seconds that each of so many iterations takes now."""
    begun = time.perf_counter()
    run(iterations)
    return min(best, (time.perf_counter() - begun) / iterations)


def often(step: Callable[[], None]) -> Callable[[int], None]:
    def run(iterations: int) -> None:
        for _ in range(iterations):
            step()

    return run


def rows_of(name: str, tree: GameTree, plus: bool, wanted: int) -> list[tuple[Any, ...]]:
    """Return a row for each library; ours has also the scores after `wanted` iterations."""
    game = pyspiel.load_game(name)
    python = (cfr.CFRPlusSolver if plus else cfr.CFRSolver)(game)
    cpp = (pyspiel.CFRPlusSolver if plus else pyspiel.CFRSolver)(game)
    ours = RegretMinimizer(tree, averaging=float(plus), floored=plus)
    ours.run(1)
    runs = {
        "open_spiel python": (often(python.evaluate_and_update_policy), 2 if tree.num_sets > 100 else 100),
        "open_spiel c++": (often(cpp.evaluate_and_update_policy), 20),
        "rlkit": (ours.run, 1000),
    }
    seconds = dict.fromkeys(runs, float("inf"))
    for _ in range(SLICES):
        for library, (run, iterations) in runs.items():
            seconds[library] = fastest(run, iterations, seconds[library])
    solved = RegretMinimizer(tree, averaging=float(plus), floored=plus)
    solved.run(wanted)
    policy = solved.average_policy
    scores = {"rlkit": (wanted, exploitability(tree, policy), expected_values(tree, policy)[0])}
    algorithm = "cfr_plus" if plus else "cfr"
    found = []
    for library in runs:
        iterations, gap, value = scores.get(library, ("", "", ""))
        found.append((name, algorithm, library, iterations, f"{seconds[library]:.3g}", gap, value))
    return found


def main() -> None:
    """Measure both games and both algorithms."""
    cases = [
        ("kuhn_poker", build_tree(KuhnPoker()), ((False, 10_000), (True, 10_000))),
        ("leduc_poker", build_tree(LeducPoker()), ((False, 10_000), (True, 1_000))),
    ]
    rows = [row for name, tree, each in cases for plus, wanted in each for row in rows_of(name, tree, plus, wanted)]
    with RESULT.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])
    for row in rows:
        print(*row)


if __name__ == "__main__":
    main()
