"""The game that the environment of a configuration is."""

from __future__ import annotations

from typing import Any

from rlkit.config.run_config import EnvironmentConfig
from rlkit.core.types import UsageError
from rlkit.planning.games.game import Game
from rlkit.runs import build
from rlkit.vector.manners import close_quietly


def has_turns(config: EnvironmentConfig) -> bool:
    """Return whether the environment of a configuration is a game with turns."""
    return hasattr(_model_of(config), "move_name")


def game_of(config: EnvironmentConfig) -> Game:
    """Return the game that the environment of a configuration is.

    Raises:
        UsageError: it is not a game with turns.
    """
    game: Game = _model_of(config)
    if not hasattr(game, "move_name"):
        raise UsageError(
            f"{config.env['_target_']} is not a game with turns; env=connect_four, gomoku, othello and tic_tac_toe "
            "do, and envs/README.md shows how to add one"
        )
    return game


def _model_of(config: EnvironmentConfig) -> Any:
    env = build.make_single(config.in_process())
    try:
        return getattr(env.unwrapped, "model", None)
    finally:
        close_quietly(env)
