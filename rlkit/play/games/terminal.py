"""A board in the terminal: drawn as text, moves typed."""

from __future__ import annotations

from collections.abc import Callable

from rlkit.core.types import Array, UsageError
from rlkit.planning.games.game import Game, legal_moves, move_named
from rlkit.play.games.person import PersonCommand
from rlkit.play.human import Closed

COMMANDS = "type a move, hint, undo, moves (those that are legal) or quit"


class TerminalTable:
    """Draws the board and reads a line."""

    def __init__(self, game: Game, read: Callable[[str], str] = input, write: Callable[[str], None] = print):
        """Play `game`; lines are read by `read`, which gets the prompt, and written by `write`."""
        self._game = game
        self._read = read
        self._write = write
        write(COMMANDS)

    def show(self, state: Array, last: int | None, message: str) -> None:
        """Write the board of a state [...], and what there is to say."""
        self._write("\n" + self._game.text(state) + message)

    def ask(self, state: Array) -> int | PersonCommand:
        """Return what was typed, when it is a legal move in `state` [...], or a command."""
        while True:
            word = self._line()
            if word in PersonCommand.__members__:
                return PersonCommand[word]
            if word == "moves":
                self._write(" ".join(self._game.move_name(state, move) for move in legal_moves(self._game, state)))
                continue
            try:
                return move_named(self._game, state, word)
            except UsageError as error:
                self._write(f"{error}; {COMMANDS}")

    def over(self, message: str) -> None:
        """Write how a game ended."""
        self._write(message)

    def close(self) -> None:
        """Say goodbye."""
        self._write("closed")

    def _line(self) -> str:
        try:
            word = self._read("your move: ").strip().lower()
        except EOFError as error:
            raise Closed from error
        if word in ("quit", "exit"):
            raise Closed
        return word
