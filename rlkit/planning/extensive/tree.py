"""The whole tree of a game as flat arrays.

Shapes: P players, N states (nodes), T of them ends, I information sets, Q sequences: the actions of all information
sets, one after the other. A policy is an array [Q] float64, the probability of each action of each information set.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.core.types import Array, UsageError
from rlkit.planning.extensive.game import CHANCE, OVER, ExtensiveGame

MOST_NODES = 5_000_000
"""A tree of more states takes gigabytes while it is built."""


@dataclass(frozen=True)
class GameTree:
    """A game, level by level: the children of a node lie side by side, after it.

    An information set comes after the one in which its player moved before, so that values can be added up from the
    last to the first.

    Attributes:
        game: its rules.
        num_players: P.
        player: [N] int64, who is to move; `CHANCE` or `OVER`.
        first_child: [N] int64; of an end 0.
        num_children: [N] int64.
        chance: [N] float64, with which probability chance takes part in coming here, given its outcomes before.
        information_set: [N] int64; -1 where no player is to move.
        set_player: [I] int64, whose each is.
        offset: [I + 1] int64, its first sequence; the next one's ends it.
        parent_sequence: [I] int64, the sequence by which its player came there; -1: it is the first of them.
        action: [Q] int64, which action each sequence ends with.
        ends: [T] int64, the nodes that are ends.
        end_sequence: [T, P] int64, each player's last sequence before an end; -1: they did not move.
        payoff: [T, P] float64.
        names: [I] what is known in each information set.
        num_actions: A, one more than the greatest action.
    """

    game: ExtensiveGame
    num_players: int
    player: Array
    first_child: Array
    num_children: Array
    chance: Array
    information_set: Array
    set_player: Array
    offset: Array
    parent_sequence: Array
    action: Array
    ends: Array
    end_sequence: Array
    payoff: Array
    names: list[Hashable]
    num_actions: int

    @property
    def num_sets(self) -> int:
        """I."""
        return len(self.set_player)

    @property
    def set_of_sequence(self) -> Array:
        """[Q] int64, whose actions they are."""
        return np.repeat(np.arange(self.num_sets), np.diff(self.offset))

    @property
    def zero_sum(self) -> bool:
        """Whether two players play for the same: what one wins the other loses."""
        return self.num_players == 2 and bool(np.allclose(self.payoff.sum(1), 0))

    def legal_actions(self) -> Array:
        """Return which actions each information set has, [I, A] bool."""
        legal = np.zeros((self.num_sets, self.num_actions), bool)
        legal[self.set_of_sequence, self.action] = True
        return legal

    def table(self, policy: Array) -> Array:
        """Return a policy [Q] as a table [I, A] float64."""
        table = np.zeros((self.num_sets, self.num_actions))
        table[self.set_of_sequence, self.action] = policy
        return table


def build_tree(game: ExtensiveGame) -> GameTree:
    """Return the tree of a game.

    Raises:
        UsageError: it has more than `MOST_NODES` states, or somebody forgets what they knew or did.
    """
    return _Growing(game).tree()


class _Growing:
    """A tree, node by node."""

    def __init__(self, game: ExtensiveGame):
        self._game, self._players = game, game.num_players
        self._sets: dict[tuple[int, Hashable], int] = {}
        self._set_player: list[int] = []
        self._offset: list[int] = [0]
        self._actions: list[int] = []
        self._parents: list[int] = []
        self._ends: list[tuple[int, tuple[int, ...], list[float]]] = []
        self._chance: list[float] = [1.0]
        self._sequences: list[tuple[int, ...]] = [(-1,) * self._players]
        self._states: list[Any] = [game.initial_state()]
        self._nodes: list[tuple[int, int, int, int]] = []

    def tree(self) -> GameTree:
        node = 0
        while node < len(self._states):
            self._nodes.append(self._grown(node))
            # Of the states only those that wait are needed.
            self._states[node] = None
            node += 1
        player, first, count, sets = np.array(self._nodes, np.int64).T.copy()
        ends, sequences, payoff = zip(*self._ends, strict=True)
        return GameTree(
            game=self._game,
            num_players=self._players,
            player=player,
            first_child=first,
            num_children=count,
            chance=np.array(self._chance),
            information_set=sets,
            set_player=np.array(self._set_player, np.int64),
            offset=np.array(self._offset, np.int64),
            parent_sequence=np.array(self._parents, np.int64),
            action=np.array(self._actions, np.int64),
            ends=np.array(ends, np.int64),
            end_sequence=np.array(sequences, np.int64),
            payoff=np.array(payoff, float),
            names=[name for _, name in self._sets],
            num_actions=max(self._actions) + 1,
        )

    def _grown(self, node: int) -> tuple[int, int, int, int]:
        """Append the children of a node; return its player, its first child, how many it has, and its set."""
        state, player = self._states[node], self._game.to_move(self._states[node])
        if player == OVER:
            self._ends.append((node, self._sequences[node], list(self._game.returns(state))))
            return player, 0, 0, -1
        actions, first = list(self._game.actions(state)), len(self._states)
        if first + len(actions) > MOST_NODES:
            raise UsageError(f"{self._game.name} has more than {MOST_NODES:,} states; its tree is too large to solve")
        self._states += [self._game.after(state, action) for action in actions]
        if player == CHANCE:
            self._chance += [self._chance[node] * chance for chance in self._game.chances(state)]
            self._sequences += [self._sequences[node]] * len(actions)
            return player, first, len(actions), -1
        number = self._set_of(state, player, actions, self._sequences[node][player])
        self._chance += [self._chance[node]] * len(actions)
        self._sequences += list(self._followed(node, player, number))
        return player, first, len(actions), number

    def _followed(self, node: int, player: int, number: int) -> Iterator[tuple[int, ...]]:
        before = self._sequences[node]
        for sequence in range(self._offset[number], self._offset[number + 1]):
            yield (*before[:player], sequence, *before[player + 1 :])

    def _set_of(self, state: Any, player: int, actions: list[int], parent: int) -> int:
        key = player, self._game.information(state)
        if key not in self._sets:
            self._sets[key] = len(self._sets)
            self._set_player.append(player)
            self._parents.append(parent)
            self._actions += actions
            self._offset.append(len(self._actions))
        number = self._sets[key]
        known = self._actions[self._offset[number] : self._offset[number + 1]]
        if self._parents[number] != parent or known != actions:
            raise UsageError(
                f"in {self._game.name}, player {player} would not know at {key[1]!r} what they did before, or which "
                "actions there are; put it into information()"
            )
        return number
