"""What observations go through before networks read them, beside their encoders (torch)."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces

from rlkit.algorithms.off_policy.random_shift import RandomShift
from rlkit.algorithms.policy_gradient.observation_statistics import ObservationStatistics
from rlkit.core.parts import parts_of
from rlkit.core.ranks import Ranks
from rlkit.core.types import State, Transition, Tree
from rlkit.networks import is_image
from rlkit.networks.standardize import standardizer


def has_images(space: spaces.Space[Any]) -> bool:
    """Return whether observations are images, or have one among their parts."""
    return any(map(is_image, parts_of(space).values()))


class Preparation:
    """Standardizes observations and shifts images at random, each where it is asked for.

    Attributes:
        standardize: the module that does so; None: it is not asked for.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        *,
        standardize: bool,
        image_shift: int,
        channel_order: str,
        generator: torch.Generator,
        device: str,
    ):
        """Begin with no observations.

        Args:
            observation_space: of one environment.
            standardize: by their running statistics.
            image_shift: pixels, while learning.
            channel_order: of images, as in `rlkit.networks.Image`.
            generator: draws the shifts.
            device: of the networks.

        Raises:
            UsageError: `standardize`, and no observation is of numbers.
        """
        self.standardize = standardizer(observation_space).to(device) if standardize else None
        self._statistics = ObservationStatistics(self.standardize) if standardize else None
        shifts = image_shift and has_images(observation_space)
        self._shift = RandomShift(observation_space, image_shift, generator, channel_order) if shifts else None

    def join_ranks(self, ranks: Ranks) -> None:
        """Standardize by the observations of all `ranks`, at each step."""
        if self._statistics is not None:
            self._statistics.join_ranks(ranks)

    def observe(self, transition: Transition) -> None:
        """Add the observations [N, ...] that were acted on to the statistics."""
        if self._statistics is not None:
            self._statistics.add(transition.observation, transition.valid)
            self._statistics.share()
            self._statistics.apply()

    def __call__(self, observation: Tree, *, learning: bool) -> Tree:
        """Return observations [B, ...] as networks get them."""
        if self.standardize is not None:
            observation = self.standardize(observation)
        return observation if self._shift is None or not learning else self._shift(observation)

    def state_dict(self) -> State:
        """Return the statistics."""
        return {} if self._statistics is None else {"statistics": self._statistics.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        if self._statistics is not None:
            self._statistics.load_state_dict(state["statistics"])
            self._statistics.apply()
