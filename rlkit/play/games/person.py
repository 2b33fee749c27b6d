"""A person at the board, against a player: the course of their games, whatever shows the board."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import NamedTuple, Protocol

import numpy as np

from rlkit.core.types import Actor, Array
from rlkit.planning.games.game import Game, after, timestep_for_mover
from rlkit.planning.search.planner import SearchPlayer
from rlkit.play.games.analysis import analyse
from rlkit.play.games.players import SIMULATIONS, searcher
from rlkit.play.human import Closed


class PersonCommand(Enum):
    """What a person can ask for instead of a move."""

    hint = "hint"
    undo = "undo"


class BoardDisplay(Protocol):
    """Shows a board to a person, and asks for moves."""

    def show(self, state: Array, last: int | None, message: str) -> None:
        """Show a position, `state` [...], the move `last` that led to it, and a message."""

    def ask(self, state: Array) -> int | PersonCommand:
        """Return a legal move in `state` [...], or another command.

        Raises:
            rlkit.play.human.Closed: the person has had enough.
        """

    def over(self, message: str) -> None:
        """Say how a game ended, and leave time to look at it."""


class Moment(NamedTuple):
    """A position of a game."""

    state: Array
    last: int | None


def play_person(
    game: Game, rival: Actor, table: BoardDisplay, *, episodes: int, rng: np.random.Generator
) -> list[float]:
    """Let a person play games, who begins the first of them and then every other one; return the score of each.

    Args:
        game: what is played.
        rival: plays the other side.
        table: where the person sits.
        episodes: games; the person may end earlier.
        rng: what the rival and hints draw.
    """
    scores: list[float] = []
    advise = adviser(game, rival, rng)
    with suppress(Closed):
        for number in range(1, episodes + 1):
            scores.append(_one(game, rival, table, advise, rng, begins=number % 2 == 1))
            word = "you win" if scores[-1] > 0 else "you lose" if scores[-1] < 0 else "a draw"
            table.over(f"game {number} of {episodes}: {word}")
    return scores


def adviser(game: Game, rival: Actor, rng: np.random.Generator) -> Callable[[Array], str]:
    """Return a function that hints at a move in a state [...]: the rival's own search, or one with random play."""
    own = getattr(rival, "player", rival)
    searching = own if isinstance(own, SearchPlayer) else searcher(game, SIMULATIONS, None)

    def advise(state: Array) -> str:
        best = analyse(searching, game, state, rng).moves[0]
        certain = f", a proved {best.proved}" if best.proved else ""
        return f"hint: {best.name} (value {best.value:+.2f}, {best.share:.0%} of the search{certain})"

    return advise


def _one(
    game: Game,
    rival: Actor,
    table: BoardDisplay,
    advise: Callable[[Array], str],
    rng: np.random.Generator,
    *,
    begins: bool,
) -> float:
    history, message = [Moment(game.initial_state(), None)], ""
    while True:
        state, last = history[-1]
        table.show(state, last, message)
        mine = bool(game.first_to_move(state[None])[0]) == begins
        command = table.ask(state) if mine else _reply(game, rival, state, rng)
        if command is PersonCommand.undo:
            history, message = _taken_back(game, history, begins)
            continue
        if command is PersonCommand.hint:
            message = advise(state)
            continue
        message = "" if mine else f"the other plays {game.move_name(state, command)}"
        reached, reward, discount = after(game, state[None], np.array([command]))
        history.append(Moment(reached[0], command))
        if discount[0] == 0:
            table.show(reached[0], command, message)
            return float(reward[0] if mine else -reward[0])


def _reply(game: Game, rival: Actor, state: Array, rng: np.random.Generator) -> int:
    """Return the rival's move. It remembers nothing, so that moves can be undone."""
    move, _ = rival.act(timestep_for_mover(game, state[None]), rival.initial_memory(1), explore=False, rng=rng)
    return int(move[0])


def _taken_back(game: Game, history: list[Moment], begins: bool) -> tuple[list[Moment], str]:
    """Return the game as it was before the person's last move, and what to say."""
    turns = [i for i, moment in enumerate(history) if bool(game.first_to_move(moment.state[None])[0]) == begins]
    if len(turns) < 2:
        return history, "there is no move to take back"
    return history[: turns[-2] + 1], "your last move is taken back"
