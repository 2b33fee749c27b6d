"""A board in a window: moves by the mouse."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array, UsageError
from rlkit.planning.games.game import Game, legal_moves
from rlkit.play.games.person import PersonCommand
from rlkit.play.human import Window
from rlkit.rendering.render_wrapper import RenderedFrame

HELP = "click to move, H for a hint, U to undo, Esc to end"
KEYS = {"h": PersonCommand.hint, "u": PersonCommand.undo}
FPS = 30


class WindowTable:
    """Draws the board in a window and waits for a click."""

    def __init__(self, game: Game, title: str):
        """Open a window for `game`.

        Raises:
            UsageError: there is no display, or the game draws no frames.
        """
        if not game.draws:
            raise UsageError(f"{game.name} draws no frames: play it in the terminal, with terminal=true")
        self._game = game
        self._window = Window(f"{title}: {HELP}")

    def show(self, state: Array, last: int | None, message: str) -> None:
        """Draw the board of a state [...]; the message goes to the title."""
        picture = np.asarray(self._game.frame(state, last))
        self._window.show(RenderedFrame(lambda: picture, False, FPS, message or self._game.name))

    def ask(self, state: Array) -> int | PersonCommand:
        """Return the legal move in `state` [...] of a click on the board, or the command of a key."""
        while True:
            pressed = self._window.press()
            if isinstance(pressed, tuple):
                move = self._game.action_at(*pressed)
                if move in legal_moves(self._game, state):
                    return move
            elif pressed in KEYS:
                return KEYS[pressed]

    def over(self, message: str) -> None:
        """Say how a game ended in the title, and wait for a key or a click."""
        self._window.say(f"{message} (any key goes on)")
        self._window.press()

    def close(self) -> None:
        """Close the window."""
        self._window.close()
