"""What a search says of a position."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array, UsageError
from rlkit.planning.games.game import Game
from rlkit.planning.search.engine import SearchTrees, node_visit_counts, root_action_values, visit_counts
from rlkit.planning.search.planner import SearchPlayer


class Move(NamedTuple):
    """What a search says of a move."""

    name: str
    action: int
    visits: int  # how often it was tried
    share: float  # of the visits, see `rlkit.planning.search.visit_counts`
    value: float  # the mean of what followed, for whoever moves; NaN where it was never tried
    prior: float  # before any search
    proved: str  # win, draw or loss, where that is certain


class Analysis(NamedTuple):
    """What a search says of a position."""

    moves: list[Move]  # the best first
    value: float  # of the position, for whoever is to move
    line: list[str]  # the best play of both


def analyse(player: Any, game: Game, state: Array, rng: np.random.Generator) -> Analysis:
    """Search a position with the settings of a player.

    Args:
        player: mcts, or the agent of a run that searches.
        game: its rules.
        state: [...] of the position, in which the game is not over.
        rng: what the search draws from.

    Raises:
        UsageError: the player does not search.
    """
    searching = player if isinstance(player, SearchPlayer) else getattr(player, "player", None)
    if not isinstance(searching, SearchPlayer):
        raise UsageError("only who searches can explain its moves: take mcts, or a run of mcts or alphazero")
    forest = searching.search(state[None], rng)
    tree, counts = forest.tree, visit_counts(forest.tree, game.bound)[0]
    values = root_action_values(tree)[0]
    moves = [
        Move(
            game.move_name(state, action),
            action,
            int(tree.visits[0, 0, action]),
            float(counts[action] / counts.sum()),
            float(values[action]),
            float(tree.prior[0, 0, action]),
            _proved(tree.low[0, 0, action], tree.high[0, 0, action]),
        )
        for action in map(int, np.flatnonzero(tree.legal[0, 0]))
    ]
    moves.sort(key=lambda move: (move.share, move.visits, -move.action), reverse=True)
    return Analysis(moves, float(searching.values(forest)[0]), _line(forest, game))


def _proved(low: float, high: float) -> str:
    return "" if low < high else "win" if low > 0 else "loss" if low < 0 else "draw"


def _line(forest: SearchTrees, game: Game) -> list[str]:
    tree, node, names = forest.tree, 0, []
    while node >= 0 and (counts := node_visit_counts(tree, node, game.bound)[0]).any():
        action = int(counts.argmax())
        names.append(game.move_name(forest.states[0, node], action))
        node = int(tree.child[0, node, action, 0])
    return names
