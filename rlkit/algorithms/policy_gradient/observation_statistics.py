"""The running statistics by which a network standardizes observations (torch)."""

from __future__ import annotations

from typing import Any

import torch

from rlkit.algorithms.policy_gradient.normalization import RankedMeanStd, RunningMeanStd
from rlkit.core.divergence import infinite_observation
from rlkit.core.ranks import Ranks
from rlkit.core.types import Array, State, Tree


class ObservationStatistics:
    """Mean and variance of each part of the observations that a network standardizes."""

    def __init__(self, standardize: Any):
        """Begin with no observations; `standardize` is the network's, of `rlkit.networks.standardize`."""
        self._standardize = standardize
        self._of_parts = [RunningMeanStd(tuple(part.mean.shape)) for part in standardize.parts]

    def join_ranks(self, ranks: Ranks) -> None:
        """Standardize by the observations of all `ranks`, which each adds to its own when they are applied."""
        self._of_parts = [RankedMeanStd(tuple(part.mean.shape), ranks) for part in self._standardize.parts]

    def share(self) -> None:
        """Add what other ranks have seen, if there are any."""
        for statistics in self._of_parts:
            statistics.share()

    def add(self, observation: Tree, valid: Array) -> None:
        """Add the rows of observations [N, ...] that are `valid` [N] bool."""
        for statistics, part in zip(self._of_parts, self._standardize.select(observation), strict=True):
            statistics.add(part[valid])

    @property
    def count(self) -> int:
        """How many rows there were."""
        return self._of_parts[0].count

    def apply(self) -> None:
        """Let the network standardize by the statistics as they are now.

        Raises:
            RunError: observations were infinite, or so large that these are.
        """
        for statistics, part in zip(self._of_parts, self._standardize.parts, strict=True):
            if error := infinite_observation((statistics.mean, statistics.variance)):
                raise error
            part.mean.copy_(torch.from_numpy(statistics.mean))
            part.inverse_std.copy_(torch.from_numpy(1 / statistics.std))

    def state_dict(self) -> State:
        """Return mean, variance and count; of several parts, those of each by its number."""
        states = [statistics.state_dict() for statistics in self._of_parts]
        return states[0] if len(states) == 1 else {str(i): state for i, state in enumerate(states)}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        single = len(self._of_parts) == 1
        for i, statistics in enumerate(self._of_parts):
            statistics.load_state_dict(state if single else state[str(i)])
