"""Tree search beside OpenSpiel's: simulations a second with random play, and a match at equal time for each move.

    <python with rlkit, open_spiel> tests/benchmarks/search.py --out <folder>
    … tests/benchmarks/search.py --only rates
    … tests/benchmarks/search.py --only match --games 200 --simulations 3000
    … tests/benchmarks/search.py --only tactics

Rates: from the empty board, one thread each, rounds of all three taking turns. numba's code is compiled, or loaded,
before the first round; what that takes is printed. Match: Connect Four from random openings of two plies, each from
both sides; OpenSpiel's C++ bot takes a number of simulations for a move, and rlkit's search the time that the bot took
for its move before. Time is the processor time of this process, so that other work on the machine favours nobody.
Tactics: Connect Four positions in which the exact solver sees a win within 8 plies, or a move that loses within 8.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyspiel
from keep import write
from open_spiel.python.algorithms import mcts as python_mcts

from rlkit.envs.connect_four import ConnectFour
from rlkit.envs.connect_four_solver import CELLS, ConnectFourSolver
from rlkit.envs.tic_tac_toe import TicTacToe
from rlkit.planning.games.game import after, timestep_for_mover
from rlkit.planning.search import UCT, RandomPlay, Search, rule_for
from rlkit.play.games.match import openings
from rlkit.play.games.players import searcher
from rlkit.reporting.intervals import bootstrap_intervals

GAMES = {"tic_tac_toe": TicTacToe, "connect_four": ConnectFour}
SIMULATIONS = {"rlkit": 50_000, "OpenSpiel C++": 20_000, "OpenSpiel Python": 500}
C = 1.4


def compiled_bot(game: Any, simulations: int, seed: int) -> Any:
    """OpenSpiel's bot in C++."""
    evaluator = pyspiel.RandomRolloutEvaluator(1, seed)
    return pyspiel.MCTSBot(game, evaluator, C, simulations, 1000, True, seed, False)


def python_bot(game: Any, simulations: int, seed: int) -> Any:
    """OpenSpiel's bot in Python."""
    rng = np.random.RandomState(seed)
    return python_mcts.MCTSBot(game, C, simulations, python_mcts.RandomRolloutEvaluator(1, rng), True, rng)


def rates(rounds: int) -> list[dict[str, Any]]:
    """Print and return simulations a second, for each game and round."""
    rows = []
    for name, make in GAMES.items():
        model, spiel = make(), pyspiel.load_game(name)
        start = model.initial_state()[None]
        begun = time.perf_counter()
        Search(model, RandomPlay(99, 1.0), rule_for(model, UCT, C, 1.0), simulations=10, seconds=None)(
            start, np.random.default_rng(0)
        )
        print(f"{name}: {time.perf_counter() - begun:.2f} s to compile or load", flush=True)
        for i in range(rounds):
            row: dict[str, Any] = {"game": name, "round": i, "rlkit": _own_rate(model, start, i)}
            for label, bot in (("OpenSpiel C++", compiled_bot), ("OpenSpiel Python", python_bot)):
                row[label] = _bot_rate(bot(spiel, SIMULATIONS[label], i), spiel, SIMULATIONS[label])
            rows.append(row)
        mine = [row for row in rows if row["game"] == name]
        for label in SIMULATIONS:
            ratio = statistics.median(row["rlkit"] / row[label] for row in mine)
            print(f"  {label:<17} {statistics.median(row[label] for row in mine):>10,.0f} a second   1 : {ratio:.3g}")
    return rows


def _own_rate(model: Any, start: Any, seed: int) -> float:
    """A search from the empty board goes on for all its simulations: neither game is proved within them."""
    n = SIMULATIONS["rlkit"]
    search = Search(model, RandomPlay(99, 1.0), rule_for(model, UCT, C, 1.0), simulations=n, seconds=None, nodes=n + 1)
    begun = time.process_time()
    tree = search(start, np.random.default_rng(seed)).tree
    return float(tree.visits[:, 0].sum() / (time.process_time() - begun))


def _bot_rate(bot: Any, game: Any, simulations: int) -> float:
    state = game.new_initial_state()
    begun = time.process_time()
    root = bot.mcts_search(state)
    return float(root.explore_count / (time.process_time() - begun))


def match(pairs: int, simulations: int, seed: int) -> list[dict[str, Any]]:
    """Print and return the games of a match at equal time."""
    model, spiel = ConnectFour(), pyspiel.load_game("connect_four")
    given = openings(model, pairs, 2, np.random.default_rng(seed))
    rows: list[dict[str, Any]] = []
    for i, opening in enumerate(given):
        for begins in (True, False):
            score, own, theirs = _game(model, spiel, opening, begins, simulations, seed=1000 * seed + len(rows))
            game = {"opening": i, "rlkit_begins": int(begins), "score": score}
            rows.append({**game, "rlkit_s": round(own, 4), "openspiel_s": round(theirs, 4)})
        if (i + 1) % 10 == 0:
            print(f"  {i + 1} openings: {np.mean([row['score'] for row in rows]):.3f}", flush=True)
    pairs_of = np.array([row["score"] for row in rows]).reshape(-1, 2).mean(axis=1)
    [(low, high)] = bootstrap_intervals([pairs_of], [np.mean], np.random.default_rng(0))
    spent = sum(row["rlkit_s"] for row in rows) / sum(row["openspiel_s"] for row in rows)
    print(
        f"match of {len(rows)}: rlkit scores {pairs_of.mean():.1%} ({low:.1%} to {high:.1%}), {spent:.2f} of their time"
    )
    return rows


def _game(
    model: Any, spiel: Any, opening: Any, begins: bool, simulations: int, seed: int
) -> tuple[float, float, float]:
    """Play a game; return rlkit's score, and the seconds that each spent."""
    bot, rng = compiled_bot(spiel, simulations, seed), np.random.default_rng(seed)
    state, board = model.initial_state()[None], spiel.new_initial_state()
    for move in opening:
        state, board = after(model, state, np.array([move]))[0], board.child(int(move))
    begun = time.process_time()
    bot.mcts_search(board)
    granted, spent, mine = time.process_time() - begun, [0.0, 0.0], begins
    while not board.is_terminal():
        begun = time.process_time()
        if mine:
            player = searcher(model, None, granted, time.process_time)
            seen = timestep_for_mover(model, state)
            move = int(player.act(seen, player.initial_memory(1), explore=False, rng=rng)[0][0])
        else:
            move = bot.step(board)
            granted = time.process_time() - begun
        spent[0 if mine else 1] += time.process_time() - begun
        state, board, mine = after(model, state, np.array([move]))[0], board.child(move), not mine
    result = board.returns()[0 if begins else 1]
    return [0.5 + 0.5 * result, *spent]


def tactics(number: int, simulations: int, seed: int) -> list[dict[str, Any]]:
    """Print and return whether a search finds a best move: half of the positions are won, in half a move would lose."""
    model, solver, rng = ConnectFour(), ConnectFourSolver(), np.random.default_rng(seed)
    player = searcher(model, simulations, None)
    rows: list[dict[str, Any]] = []
    for kind in ("win", "block"):
        while sum(row["kind"] == kind for row in rows) < number // 2:
            state, stones = _random_position(model, rng)
            if _kind(model, solver, state, stones) != kind:
                continue
            seen = timestep_for_mover(model, state)
            move = int(player.act(seen, player.initial_memory(1), explore=False, rng=rng)[0][0])
            found = int(model.optimal_moves(state)[0, move])
            rows.append({"kind": kind, "own": int(state[0, 0]), "all": int(state[0, 1]), "found": found})
        mine = [row["found"] for row in rows if row["kind"] == kind]
        print(f"tactics, {kind}: {sum(mine)} of {len(mine)} with {simulations} simulations")
    return rows


def _kind(model: Any, solver: ConnectFourSolver, state: Any, stones: int) -> str | None:
    """Return win or block where that is so within 8 plies, and not every move is as good."""
    best, legal = model.optimal_moves(state)[0], model.legal_actions(state)[0]
    if best[legal].all():
        return None
    if 0 < _plies_to_win(solver, state, stones) <= 8:
        return "win"
    moves = np.flatnonzero(legal & ~best)
    reached, _, discount = after(model, np.repeat(state, len(moves), 0), moves)
    losing = [_plies_to_win(solver, reached[[i]], stones + 1) for i in np.flatnonzero(discount)]
    return "block" if any(0 < plies <= 7 for plies in losing) else None


def _plies_to_win(solver: ConnectFourSolver, state: Any, stones: int) -> int:
    """Return after how many plies whoever is to move wins; 0 where it does not."""
    score = int(solver.scores(state)[0])
    return 2 * (CELLS // 2 + 1 - score - stones // 2) - 1 if score > 0 else 0


def _random_position(model: Any, rng: Any) -> tuple[Any, int]:
    """Return a position out of a random game that is not over, and its number of stones."""
    while True:
        state, stones, wanted, going = model.initial_state()[None], 0, int(rng.integers(16, 34)), True
        while going and stones < wanted:
            move = rng.choice(np.flatnonzero(model.legal_actions(state)[0]), 1)
            state, _, discount = after(model, state, move)
            stones, going = stones + 1, bool(discount[0])
        if going:
            return state, stones


def main() -> None:
    """Run what was asked for, and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("rates", "match", "tactics"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--games", type=int, default=200)
    parser.add_argument("--simulations", type=int, default=3000, help="of OpenSpiel's bot in the match")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    simulations = {"rates": SIMULATIONS, "match": options.simulations, "tactics": 10_000}
    parts = {
        "rates": lambda: rates(options.rounds),
        "match": lambda: match(options.games // 2, options.simulations, options.seed),
        "tactics": lambda: tactics(200, simulations["tactics"], options.seed),
    }
    for name, part in parts.items():
        if options.only in (None, name):
            rows = part()
            if options.out:
                write(options.out, f"search_{name}", rows, simulations=simulations[name], seed=options.seed)


if __name__ == "__main__":
    main()
