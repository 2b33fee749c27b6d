"""Games of one choice each, at the same time, as tables of payoffs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rlkit.core.types import FromRun, UsageError
from rlkit.envs.hidden_games import HiddenGame, made
from rlkit.planning.extensive import MatrixGame


def game_of(game: str, payoffs: Mapping[str, Any]) -> MatrixGame:
    """Return a game by its name.

    Args:
        game: one of `payoffs`.
        payoffs: of each game ``actions``, their names; ``rows``, payoffs of who chooses a row; ``columns``, those of
            who chooses a column; None: what the first wins the second loses.

    Raises:
        UsageError: there is no such game, or its tables do not fit.
    """
    if game not in payoffs:
        raise UsageError(f"env.game is {game!r}; it must be one of {', '.join(payoffs)}, or added: +env.payoffs.mine=…")
    found = payoffs[game]
    rows = np.array(found["rows"], float)
    columns = -rows if found.get("columns") is None else np.array(found["columns"], float)
    names = [str(name) for name in found.get("actions") or range(max(rows.shape))]
    return MatrixGame(game, rows, columns, names)


def make(
    game: str,
    payoffs: Mapping[str, Any],
    opponent: str | None,
    eval_opponent: str | None,
    evaluation: FromRun[bool],
    render_mode: str | None = None,
) -> HiddenGame:
    """Return a game of choices as an environment.

    Args:
        game: one of `payoffs`.
        payoffs: as in `game_of`.
        opponent: makes the other choice: random or equilibrium; None: the agent makes both, one after the other.
        eval_opponent: the same, in evaluations and videos.
        evaluation: whether it is for these.
        render_mode: None, ``ansi`` or ``rgb_array``.

    Raises:
        UsageError: there is no such game, opponent or render mode.
    """
    return made(game_of(game, payoffs), opponent, eval_opponent, evaluation, render_mode)
