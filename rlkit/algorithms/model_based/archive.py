"""An archive of places: how each was reached best, and the state that brings a simulator back there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import State


class ReachedPlace(NamedTuple):
    """The best way to a cell that is known."""

    state: State  # of the simulator
    score: float  # the sum of rewards on the way
    actions: Sequence[Any]  # of the way, from the start


class CellArchive:
    """Places by their cells. One that was seldom begun from is begun from soon (Ecoffet et al., 2021).

    Attributes:
        places: by cell, in the order in which they were found.
    """

    def __init__(self) -> None:
        """Begin with no places."""
        self.places: dict[bytes, ReachedPlace] = {}
        self._visits: dict[bytes, int] = {}

    def better(self, cell: bytes, score: float, length: int) -> bool:
        """Return whether a way to a cell, of so many steps, is new or better than the one that is known."""
        known = self.places.get(cell)
        return known is None or (score, -length) > (known.score, -len(known.actions))

    def put(self, cell: bytes, place: ReachedPlace) -> None:
        """Keep a way to a cell; it counts as never begun from."""
        self.places[cell] = place
        self._visits[cell] = 0

    def choose(self, rng: np.random.Generator) -> ReachedPlace:
        """Draw a place with chances in proportion to ``1 / sqrt(n + 1)``, where it was begun from n times before."""
        cells = list(self.places)
        weight = 1 / np.sqrt(np.fromiter(self._visits.values(), np.float64, len(cells)) + 1)
        cell = cells[int(rng.choice(len(cells), p=weight / weight.sum()))]
        self._visits[cell] += 1
        return self.places[cell]

    def state_dict(self) -> State:
        """Return cells [K, L] uint8, scores [K], visits [K], ways [K] and states, K places by number."""
        places = list(self.places.values())
        length = len(next(iter(self.places), b""))
        return {
            "cells": np.frombuffer(b"".join(self.places), np.uint8).reshape(len(places), length),
            "scores": np.array([place.score for place in places], np.float64),
            "visits": np.array(list(self._visits.values()), np.int64),
            "ways": {str(i): np.array(place.actions) for i, place in enumerate(places)},
            "states": {str(i): place.state for i, place in enumerate(places)},
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        cells = [np.ascontiguousarray(name).tobytes() for name in state["cells"]]
        self.places = {
            cell: ReachedPlace(state["states"][str(i)], float(state["scores"][i]), list(state["ways"][str(i)]))
            for i, cell in enumerate(cells)
        }
        self._visits = dict(zip(cells, state["visits"].tolist(), strict=True))
