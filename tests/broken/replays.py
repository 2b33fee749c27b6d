"""Replays that break one rule each."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.types import Batch, State, Transition
from rlkit.replay import UniformReplay


class KeepsInvalidRows(UniformReplay):
    """Stores rows that are only resets."""

    def add(self, transition: Transition) -> None:
        super().add(transition._replace(valid=np.ones(len(transition.valid), bool)))


class TakesTheNextRow(UniformReplay):
    """Takes the next observation for a truncated episode's successor."""

    def add(self, transition: Transition) -> None:
        ended = transition.last & (transition.discount == 1)
        following = transition.observation + 3
        successor = np.where(ended[:, None], following, transition.next_observation).astype(np.float32)
        super().add(transition._replace(next_observation=successor))


class MixesRows(UniformReplay):
    """Gives rewards of other rows."""

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        batch = super().sample(batch_size, gamma)
        return batch._replace(reward=np.roll(batch.reward, 1))


class NeverTheNewest(UniformReplay):
    """Leaves the newest row out of its samples."""

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        newest, kept = super().__len__() - 1, super().sample(batch_size, gamma)
        return Batch(*(None if a is None else self._without(a, kept.index, newest) for a in kept))  # type: ignore[arg-type]

    def _without(self, array: Any, index: Any, newest: int) -> Any:
        good = np.flatnonzero(index != newest)
        return array[np.where(index == newest, good[0], np.arange(len(index)))]


class WeighsNothing(UniformReplay):
    """Gives no weights worth the name."""

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        batch = super().sample(batch_size, gamma)
        return batch._replace(weight=np.zeros(batch_size, np.float32))


class ForgetsItsGenerator(UniformReplay):
    """Goes on with another generator when it is loaded."""

    def load_state_dict(self, state: State) -> None:
        mine = self._rng.bit_generator.state
        super().load_state_dict({**state, "rng": mine})


class DrawsFromNumpy(UniformReplay):
    """Samples with NumPy's generator for the whole process."""

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        self._rng = np.random.default_rng(np.random.randint(2**31))  # noqa: NPY002
        return super().sample(batch_size, gamma)
