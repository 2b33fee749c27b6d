"""`rlkit match`."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from rlkit.cli.progress import EpisodeProgress
from rlkit.cli.verbs.words import gathered
from rlkit.config import instantiate
from rlkit.config.compose import Choices, run_verb
from rlkit.config.run_config import EnvironmentConfig, findable
from rlkit.core.evaluation import require_room
from rlkit.core.files import writing
from rlkit.core.seeding import Seeds
from rlkit.core.types import UsageError
from rlkit.planning.games.game import Game, move_names
from rlkit.play.games.match import MatchResult, play_match
from rlkit.play.games.of_config import game_of
from rlkit.play.games.players import Spec, ladder, parsed, player_of
from rlkit.play.games.rating import Rating, ratings
from rlkit.reporting.intervals import bootstrap_intervals
from rlkit.runs.outputs import require_output
from rlkit.runs.run import Run

Match = tuple[int, int, MatchResult]


def main(argv: Sequence[str]) -> int:
    """Play matches; plain words are players."""
    run_verb("match", task, gathered(argv, "players", "players"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Let each play each, and print results and ratings.

    Raises:
        UsageError: there are fewer than two different players, or the number of games is odd.
    """
    names = [name for typed in config.players for name in ladder(typed)]
    if len(set(names)) < max(2, len(names)):
        raise UsageError(f"a match needs two or more different players, not [{', '.join(names)}]")
    if config.games < 2 or config.games % 2:
        raise UsageError(f"games is {config.games}; it must be even, since each player begins half of them")
    require_room(config.games, "games")
    specs = [parsed(name) for name in names]
    game = shared_game(specs, config.env, config.threads, config.trust)
    as_json = config.output.name == "json"
    if config.out is not None:
        require_output(Path(config.out), "games.csv")
    matches = []
    for first, second in combinations(range(len(specs)), 2):
        matches.append((first, second, _match(game, specs[first], specs[second], config)))
        if not as_json:
            print(_pair(names, matches[-1]), flush=True)
    table = standings(names, matches)
    if config.out is not None:
        _write(Path(config.out), game, names, matches)
    print(json.dumps({"game": game.name, "players": table}) if as_json else "\n" + _text(table))


def shared_game(specs: Sequence[Spec], env: Any, threads: int, trust: Any = None) -> Game:
    """Return the game that runs were trained on, or that an environment's configuration is.

    Raises:
        UsageError: runs are of different games, or nothing says which game it is.
    """
    configs: list[EnvironmentConfig] = []
    if env is not None:
        configs.append(EnvironmentConfig(findable({"env": instantiate.plain(env)})["env"]))
    for spec in specs:
        if spec.is_run:
            run = Run(spec.name, trust)
            run.use_threads(threads)
            configs.append(run.config.environment)
    if not configs:
        raise UsageError("nothing says which game is played: name a run, or env=connect_four or another game")
    games = [game_of(config) for config in configs]
    shapes = {(game.name, game.num_actions) for game in games}
    if len(shapes) > 1:
        shown = ", ".join(f"{name} of {moves} moves" for name, moves in sorted(shapes))
        raise UsageError(f"players of a match must know the same game, not {shown}")
    return games[0]


def _match(game: Game, first: Spec, second: Spec, config: DictConfig) -> MatchResult:
    rng = Seeds(config.seed).generator("match")
    limits = {"checkpoint": config.checkpoint, "seconds": config.seconds, "trust": config.trust}
    players = [player_of(spec, game, **limits) for spec in (first, second)]
    watch = EpisodeProgress("games")
    at_once = 64 if config.seconds is None else 1
    return play_match(game, players, pairs=config.games // 2, plies=config.plies, rng=rng, at_once=at_once, watch=watch)


def standings(names: Sequence[str], matches: Sequence[Match]) -> list[dict[str, Any]]:
    """Return what each player reached, the best first."""
    points, games = np.zeros((2, len(names), len(names)))
    counts = np.zeros((len(names), 3), np.int64)
    for first, second, result in matches:
        won, drawn, lost = _counts(result)
        points[first, second], points[second, first] = won + drawn / 2, lost + drawn / 2
        games[first, second] = games[second, first] = len(result.score)
        counts[first] += (won, drawn, lost)
        counts[second] += (lost, drawn, won)
    rating: Rating = ratings(points, games)
    rows = [
        {
            "player": name,
            "elo": float(rating.elo[i]),
            "error": float(rating.error[i]),
            **dict(zip(("won", "drawn", "lost"), counts[i].tolist(), strict=True)),
            "score": float(points[i].sum() / games[i].sum()),
        }
        for i, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: -row["elo"])


def _pair(names: Sequence[str], match: Match) -> str:
    """Return one line: the score of the first player, with the interval from the spread over pairs of games."""
    first, second, result = match
    pairs = result.score.reshape(-1, 2).mean(axis=1)
    [(low, high)] = bootstrap_intervals([pairs], [np.mean], np.random.default_rng(0))
    won, drawn, lost = _counts(result)
    score = f"{pairs.mean():.1%} ({low:.1%} to {high:.1%})"
    return f"{names[first]} - {names[second]}: {score}, {won} won, {drawn} drawn, {lost} lost"


def _counts(result: MatchResult) -> tuple[int, int, int]:
    """Return how many games the first player won, drew and lost."""
    won, drawn, lost = (int(np.count_nonzero(result.score == score)) for score in (1, 0.5, 0))
    return won, drawn, lost


def _text(table: Sequence[Mapping[str, Any]]) -> str:
    width = max(len(row["player"]) for row in table)
    lines = [f"{'player':<{width}}    Elo    ±   won drawn  lost  score"]
    lines += [
        f"{row['player']:<{width}} {row['elo']:>6.0f} {1.96 * row['error']:>4.0f} {row['won']:>5} {row['drawn']:>5} "
        f"{row['lost']:>5} {row['score']:>6.1%}"
        for row in table
    ]
    return "\n".join(lines)


def _write(path: Path, game: Game, names: Sequence[str], matches: Sequence[Match]) -> None:
    """Write one line for each game."""
    with writing(path, "out") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["first", "second", "opening", "first_began", "score", "length"])
        for first, second, result in matches:
            for opening, began, score, length in zip(*result, strict=True):
                moves = " ".join(move_names(game, opening.tolist()))
                writer.writerow([names[first], names[second], moves, int(began), score, length])
