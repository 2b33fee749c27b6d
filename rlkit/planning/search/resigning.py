"""Resigning lost games in self-play (Silver et al., 2017): when to, and how often it would be wrong."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from rlkit.core.types import RESIGN, Array, Memory, Metrics, State, Transition, UsageError, require_probability
from rlkit.planning.search.engine import root_action_values, root_values
from rlkit.planning.search.tree import SearchTree

RECENT = 100
"""Finished games that the metrics are of."""


class Resignation(NamedTuple):
    """When games are given up."""

    at: float  # whoever is to move gives up where neither the root nor its best action has a higher value
    played_on: float  # share of the games in which nobody does, so that wrong resignations are noticed

    def initial_memory(self, n: int) -> dict[str, Array]:
        """Return what is remembered of `n` games before their first moves, [n] bool each."""
        return {"hopeless": np.zeros(n, bool), "plays_on": np.zeros(n, bool)}

    def judged(self, tree: SearchTree, best: Array, memory: Memory, rng: np.random.Generator) -> dict[str, Array]:
        """Return which positions [N] are to be given up ("hopeless"), and which games [N] are played on all the same.

        Args:
            tree: searched.
            best: [N] int64, the root's best action.
            memory: what `initial_memory` or `judged` returned, and the "moves" made, [N].
            rng: draws, before the first move of a game, whether it is played on.
        """
        value = root_action_values(tree)[np.arange(len(best)), best]
        drawn = rng.random(len(best)) < self.played_on
        return {
            "hopeless": (root_values(tree) <= self.at) & (value <= self.at),
            "plays_on": np.where(memory["moves"] == 0, drawn, memory["plays_on"]),
        }


def resignation_of(at: float | None, played_on: float, bound: float | None, can_resign: bool) -> Resignation | None:
    """Return when an agent gives up, by its settings; None: never.

    Args:
        at: agent.resign_at.
        played_on: agent.resign_played_on.
        bound: of the model: the value of a lost game is its negative.
        can_resign: of the environment.

    Raises:
        UsageError: the environment cannot be given up, or a setting is out of range.
    """
    require_probability("agent.resign_played_on", played_on)
    if at is None:
        return None
    if not can_resign:
        raise UsageError(
            f"agent.resign_at is {at:g}, but this environment does not let players resign; set agent.resign_at=null"
        )
    most = 1.0 if bound is None else bound
    if not -most <= at < 0:
        raise UsageError(f"agent.resign_at is {at:g}; it must be from {-most:g}, a lost game, to less than 0, or null")
    return Resignation(at, played_on)


class Resignations:
    """How many games are given up, and how many of those that are played on would wrongly have been."""

    def __init__(self, n: int):
        """Watch `n` games at once."""
        # Who would have given up: 1: whoever is to move; -1: the other; 0: nobody so far.
        self._side, self._return = np.zeros(n), np.zeros(n)
        self._given_up: deque[bool] = deque(maxlen=RECENT)
        self._wrong: deque[bool] = deque(maxlen=RECENT)

    def add(self, transition: Transition) -> None:
        """Add a move of each game; the transition's memory has the results of `Resignation.judged`."""
        valid = transition.valid
        self._side[valid & transition.memory["hopeless"] & (self._side == 0)] = 1
        self._return[valid] += (self._side * transition.reward)[valid]
        ended = valid & transition.last
        for i in np.flatnonzero(ended & (transition.discount == 0)):
            given_up = bool(transition.action[i] == RESIGN)
            self._given_up.append(given_up)
            if self._side[i] and not given_up:
                self._wrong.append(bool(self._return[i] >= 0))
        self._side[valid & (transition.discount < 0)] *= -1
        self._side[ended] = self._return[ended] = 0

    def metrics(self) -> Metrics:
        """Return shares of the last games: those given up; and, of those played on, those not lost after all.

        A share of no games yet is left out.
        """
        found = {"resign/share": self._given_up, "resign/wrong": self._wrong}
        return {name: float(np.mean(games)) for name, games in found.items() if games}

    def state_dict(self) -> State:
        """Return the games under way, and how the last ones went."""
        games = {"side": self._side.copy(), "return": self._return.copy()}
        return {**games, "given_up": list(self._given_up), "wrong": list(self._wrong)}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._side, self._return = np.array(state["side"]), np.array(state["return"])
        self._given_up, self._wrong = (deque(state[name], maxlen=RECENT) for name in ("given_up", "wrong"))
