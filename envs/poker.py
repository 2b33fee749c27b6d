"""Kuhn's and Leduc poker: small games of poker for two, as rules."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

import numpy as np

from rlkit.core.types import FromRun, UsageError
from rlkit.envs.hidden_games import HiddenGame, made
from rlkit.planning.extensive import CHANCE, OVER


class KuhnPoker:
    """Three cards, one each, a bet of one chip (Kuhn, 1950). The first player loses 1/18 of a chip a game.

    A state is the cards dealt and the moves so far. Action 0 passes (checks or folds), action 1 bets (or calls).
    """

    name = "Kuhn poker"
    num_players = 2
    _cards = "JQK"

    State = tuple[tuple[int, ...], str]

    def initial_state(self) -> State:
        """Return that no card is dealt."""
        return (), ""

    def to_move(self, state: State) -> int:
        """Return whose turn it is."""
        cards, moves = state
        if len(cards) < 2:
            return CHANCE
        return OVER if moves in ("pp", "bp", "bb", "pbp", "pbb") else len(moves) % 2

    def actions(self, state: State) -> Sequence[int]:
        """Return the cards that are left, or pass and bet."""
        cards, _ = state
        return [card for card in range(3) if card not in cards] if len(cards) < 2 else (0, 1)

    def chances(self, state: State) -> Sequence[float]:
        """Return the same for all cards."""
        left = 3 - len(state[0])
        return (1 / left,) * left

    def after(self, state: State, action: int) -> State:
        """Return the state after a card or a move."""
        cards, moves = state
        return ((*cards, action), moves) if len(cards) < 2 else (cards, moves + "pb"[action])

    def information(self, state: State) -> Hashable:
        """Return the own card and the moves."""
        cards, moves = state
        return self._cards[cards[len(moves) % 2]] + moves

    def returns(self, state: State) -> Sequence[float]:
        """Return what each has won: an ante, and the bet where it was called."""
        cards, moves = state
        folded = {"bp": 1.0, "pbp": -1.0}.get(moves)
        stake = 2.0 if moves.endswith("bb") else 1.0
        won = folded if folded is not None else stake * (1 if cards[0] > cards[1] else -1)
        return won, -won

    def action_name(self, action: int) -> str:
        """Return pass or bet."""
        return ("pass", "bet")[action]


class LeducPoker:
    """Six cards of two suits, one each and one on the table; two rounds of bets (Southey et al., 2005).

    Bets are of 2 chips in the first round and of 4 in the second, at most two in each; the ante is 1. Who has a pair
    with the table's card wins, else the higher card; equal ones share. Suits mean nothing, but cards that differ
    by them alone are two. A state is the cards dealt (the table's last) and the moves of each round. Action 0 folds, 1
    calls or checks, 2 raises.
    """

    name = "Leduc poker"
    num_players = 2
    _cards = "JQK"
    _bets: ClassVar[tuple[int, int]] = (2, 4)

    State = tuple[tuple[int, ...], tuple[str, str]]

    def initial_state(self) -> State:
        """Return that no card is dealt."""
        return (), ("", "")

    def to_move(self, state: State) -> int:
        """Return whose turn it is."""
        cards, rounds = state
        if "f" in rounds[0] + rounds[1] or _closed(rounds[1]):
            return OVER
        if len(cards) < 2 or (len(cards) == 2 and _closed(rounds[0])):
            return CHANCE
        return len(rounds[len(cards) - 2]) % 2

    def actions(self, state: State) -> Sequence[int]:
        """Return the cards that are left, or what can be done: there is no fold without a bet, and no third raise."""
        cards, rounds = state
        if self.to_move(state) == CHANCE:
            return [card for card in range(6) if card not in cards]
        raises = rounds[len(cards) - 2].count("r")
        return [*([0] if _owes(rounds[len(cards) - 2]) else []), 1, *([2] if raises < 2 else [])]

    def chances(self, state: State) -> Sequence[float]:
        """Return the same for all cards."""
        left = 6 - len(state[0])
        return (1 / left,) * left

    def after(self, state: State, action: int) -> State:
        """Return the state after a card or a move."""
        cards, rounds = state
        if self.to_move(state) == CHANCE:
            return (*cards, action), rounds
        moved = rounds[len(cards) - 2] + "fcr"[action]
        return cards, (moved, "") if len(cards) == 2 else (rounds[0], moved)

    def information(self, state: State) -> Hashable:
        """Return the own card, that on the table, and the moves; suits are shown, as OpenSpiel has them."""
        cards, rounds = state
        own, *table = (cards[self.to_move(state)], *cards[2:])
        return "/".join([self._text(own), *map(self._text, table), *(r for r in rounds if r)])

    def _text(self, card: int) -> str:
        return self._cards[card // 2] + "sh"[card % 2]

    def returns(self, state: State) -> Sequence[float]:
        """Return what each has won."""
        cards, rounds = state
        paid = self._paid(rounds)
        if "f" in rounds[0] + rounds[1]:
            folder = (len(rounds[1] or rounds[0]) - 1) % 2
            won = -float(paid[0]) if folder == 0 else float(paid[1])
        else:
            strength = [10 * (card // 2 == cards[2] // 2) + card // 2 for card in cards[:2]]
            won = float(paid[0]) * np.sign(strength[0] - strength[1]).item()
        return won, -won

    def _paid(self, rounds: tuple[str, str]) -> list[int]:
        """Return how many chips each has put in."""
        paid = [1, 1]
        for bet, moves in zip(self._bets, rounds, strict=True):
            for i, move in enumerate(moves):
                mover = i % 2
                if move == "c":
                    paid[mover] = max(paid)
                elif move == "r":
                    paid[mover] = max(paid) + bet
        return paid

    def action_name(self, action: int) -> str:
        """Return fold, call or raise."""
        return ("fold", "call", "raise")[action]


def _owes(moves: str) -> bool:
    return moves.endswith("r")


def _closed(moves: str) -> bool:
    """Return whether a round is over: a raise was called, or both checked."""
    return len(moves) >= 2 and moves.endswith("c")


GAMES: dict[str, type[KuhnPoker] | type[LeducPoker]] = {"kuhn": KuhnPoker, "leduc": LeducPoker}


def rules_of(name: str) -> KuhnPoker | LeducPoker:
    """Return the rules of a game of `GAMES`.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in GAMES:
        raise UsageError(f"env.rules is {name!r}; it must be one of {', '.join(GAMES)}")
    return GAMES[name]()


def make(
    rules: str,
    opponent: str | None,
    eval_opponent: str | None,
    evaluation: FromRun[bool],
    render_mode: str | None = None,
) -> HiddenGame:
    """Return a game of poker as an environment.

    Args:
        rules: one of `GAMES`.
        opponent: plays the other seat: random or equilibrium; None: the agent plays both.
        eval_opponent: the same, in evaluations and videos.
        evaluation: whether it is for these.
        render_mode: None, ``ansi`` or ``rgb_array``.

    Raises:
        UsageError: there is no such game, opponent or render mode.
    """
    return made(rules_of(rules), opponent, eval_opponent, evaluation, render_mode)
