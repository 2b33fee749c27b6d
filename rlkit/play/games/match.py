"""Matches: pairs of games from the same opening, each player beginning once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.evaluation import Watch, unwatched
from rlkit.core.types import Actor, Array, Memory
from rlkit.planning.games.game import Game, after, timestep_for_mover


class MatchResult(NamedTuple):
    """How a match of two ended."""

    opening: Array  # [games, plies] int64, the moves before the players begin
    began: Array  # [games] bool, the first player made the first move after the opening
    score: Array  # [games] float64, 1 = the first player won; 0.5 = a draw; 0 = it lost
    length: Array  # [games] int64, moves in all


def openings(game: Game, number: int, plies: int, rng: np.random.Generator) -> Array:
    """Return random beginnings of games that are not over after them, [number, plies] int64."""
    found: list[Array] = []
    while len(found) < number:
        moves, state, goes_on = [], game.initial_state()[None], True
        for _ in range(plies):
            moves.append(int(rng.choice(np.flatnonzero(game.legal_actions(state)[0]))))
            state, _, discount = after(game, state, np.array(moves[-1:]))
            goes_on = goes_on and bool(discount[0])
            if not goes_on:
                break
        if goes_on:
            found.append(np.array(moves, np.int64))
    return np.stack(found)


def play_match(
    game: Game,
    players: Sequence[Actor],
    *,
    pairs: int,
    plies: int,
    rng: np.random.Generator,
    at_once: int = 64,
    watch: Watch = unwatched,
) -> MatchResult:
    """Let two play `pairs` of games, both games of a pair from the same random opening of `plies` moves.

    Args:
        game: what is played.
        players: the first and the second.
        pairs: of games.
        plies: random moves at the beginning.
        rng: for the openings, and what the players draw.
        at_once: games that are played side by side; one where moves have a time, which is that of all of them together.
        watch: sees how far the games are: see `rlkit.core.evaluation.Watch`.
    """
    opened = np.repeat(openings(game, pairs, plies, rng), 2, axis=0)
    began = np.arange(2 * pairs) % 2 == 0
    parts = []
    for start in range(0, len(opened), at_once):
        group = slice(start, start + at_once)
        parts.append(_played(game, players, opened[group], began[group], rng, partial(watch, start)))
    score, length = (np.concatenate(column) for column in zip(*parts, strict=True))
    return MatchResult(opened, began, score, length)


def _played(
    game: Game,
    players: Sequence[Actor],
    opened: Array,
    began: Array,
    rng: np.random.Generator,
    watch: Callable[[Array, Array], None],
) -> tuple[Array, Array]:
    """Return scores of the first player [B] and lengths [B] of games from the openings `opened` [B, plies]."""
    states = np.repeat(game.initial_state()[None], len(opened), axis=0)
    for moves in opened.T:
        states, _, _ = after(game, states, moves)
    # Sides go by who is to move after the opening, since some games have players that pass.
    opener = game.first_to_move(states)
    memories = [player.initial_memory(len(opened)) for player in players]
    score, length = np.full(len(opened), 0.5), np.full(len(opened), opened.shape[1])
    going = np.ones(len(opened), bool)
    while going.any():
        to_move = game.first_to_move(states) == opener
        for which in (0, 1):
            rows = np.flatnonzero(going & ((to_move == began) == (which == 0)))
            if not rows.size:
                continue
            move, memory = players[which].act(
                timestep_for_mover(game, states[rows]), rows_of(memories[which], rows), explore=False, rng=rng
            )
            put(memories[which], rows, memory)
            states[rows], reward, discount = after(game, states[rows], move)
            score[rows] += (0.5 if which == 0 else -0.5) * reward
            length[rows] += 1
            going[rows] = discount != 0
        watch(going, length)
    return score, length


def rows_of(memory: Memory, rows: Array) -> Memory:
    """Return `rows` [R] of a pytree of arrays [N, ...]."""
    if isinstance(memory, dict):
        return {key: rows_of(part, rows) for key, part in memory.items()}
    if isinstance(memory, (tuple, list)):
        return type(memory)(rows_of(part, rows) for part in memory)
    return memory[rows]


def put(memory: Memory, rows: Array, part: Memory) -> None:
    """Write `part` [R, ...] to `rows` [R] of a pytree of arrays."""
    pairs: Any = ()
    if isinstance(memory, dict):
        pairs = ((memory[key], part[key]) for key in memory)
    elif isinstance(memory, (tuple, list)):
        pairs = zip(memory, part, strict=True)
    else:
        memory[rows] = part
    for inner, piece in pairs:
        put(inner, rows, piece)
