"""Features of observations for linear functions: tiles, radial bases and polynomials (Sutton & Barto, section 9.5)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium import spaces

from rlkit.core.ranges import NonNegativeInt, PositiveFloat, PositiveInt
from rlkit.core.resources import require_memory
from rlkit.core.spaces import require_array
from rlkit.core.types import Array, FromRun, UsageError


class Active(NamedTuple):
    """The features of N observations that are not zero."""

    index: Array  # type: ignore[assignment]  # [N, K] int64
    value: Array  # [N, K] float64


class Features(Protocol):
    """A function from observations to features.

    Attributes:
        size: F, how many features there are.
        norm: what a step size is divided by: the number of features that are one at once, where they are one or zero.
    """

    size: int
    norm: float

    def __call__(self, observation: Array) -> Active:
        """Return the features of observations [N, ...]."""


class Scaling:
    """Observations as points in the unit cube.

    Raises:
        UsageError: the space is neither a `Box` nor `Discrete`, or has no bounds and none are given.
    """

    def __init__(self, space: Any, low: Sequence[float] | None, high: Sequence[float] | None):
        """Scale by the bounds of `space`, or by `low` and `high` where given, one value for each dimension."""
        if isinstance(space, spaces.Discrete):
            bounds = [np.zeros(1), np.full(1, float(max(1, space.n - 1)))]
        elif isinstance(space, spaces.Box):
            bounds = [np.asarray(bound, np.float64).ravel() for bound in (space.low, space.high)]
        else:
            require_array(space, agent="a linear agent")
            raise UsageError(f"linear agents need Box or Discrete observations, not {space}")
        for i, (name, given) in enumerate((("low", low), ("high", high))):
            if given is not None and len(given) != len(bounds[i]):
                raise UsageError(f"agent.features.{name} has {len(given)} values, observations have {len(bounds[i])}")
            bounds[i] = bounds[i] if given is None else np.asarray(given, np.float64)
        self.low, high_bound = bounds
        self.span = high_bound - self.low
        # Gymnasium's bound is the largest float where there is none.
        if not np.all((self.span > 0) & (self.span < 1e30)):
            raise UsageError(
                f"observations of {space} have no bounds; set agent.features.low=[…] and agent.features.high=[…]"
            )
        self.dimensions = len(self.low)

    def __call__(self, observation: Array) -> Array:
        """Return points [N, D] float64; what lies beyond the bounds is brought to them."""
        points = (np.asarray(observation, np.float64).reshape(len(observation), -1) - self.low) / self.span
        return np.asarray(np.clip(points, 0.0, 1.0))


def _require_room(size: int, dimensions: int, remedy: str) -> None:
    """Refuse features whose weights and places [F, D] do not fit into memory."""
    require_memory(8 * size * (dimensions + 2), f"a representation of {size:,} features", remedy)


class Tiles:
    """Grids laid over each other, each shifted by a fraction of a tile; in each, one tile is active.

    Source: Sutton & Barto, 2nd ed., section 9.5.4, with the displacement vector (1, 3, 5, …).
    """

    def __init__(
        self,
        tilings: PositiveInt,
        tiles: PositiveInt,
        low: Sequence[float] | None,
        high: Sequence[float] | None,
        observation_space: FromRun[Any],
    ):
        """Lay `tilings` grids of `tiles` tiles a dimension; one tiling is state aggregation."""
        self._scaling = Scaling(observation_space, low, high)
        dimensions = self._scaling.dimensions
        self._tiles, sides = tiles, tiles + (tilings > 1)
        self.size, self.norm = tilings * sides**dimensions, float(tilings)
        _require_room(self.size, 1, "set {tilings} or {tiles} lower")
        displacement = np.arange(tilings)[:, None] * (2 * np.arange(dimensions) + 1)
        self._shifts = (displacement % tilings) / tilings
        self._strides = sides ** np.arange(dimensions)
        self._firsts = np.arange(tilings) * sides**dimensions
        self._sides = sides

    def __call__(self, observation: Array) -> Active:
        """Return the active tiles [N, tilings]."""
        points = self._scaling(observation)[:, None] * self._tiles + self._shifts
        places = np.minimum(points.astype(np.int64), self._sides - 1)
        index = places @ self._strides + self._firsts
        return Active(index, np.ones(index.shape))


class Radial:
    """Gaussian bumps on a grid (Sutton & Barto, 2nd ed., section 9.5.5)."""

    norm = 1.0

    def __init__(
        self,
        centres: PositiveInt,
        width: PositiveFloat,
        low: Sequence[float] | None,
        high: Sequence[float] | None,
        observation_space: FromRun[Any],
    ):
        """Put `centres` bumps a dimension; `width` is their standard deviation in distances between neighbors."""
        self._scaling = Scaling(observation_space, low, high)
        dimensions = self._scaling.dimensions
        # The product of the grid's lines is a list first, of which an item has about 100 bytes.
        _require_room(20 * centres**dimensions, dimensions, "set {centres} lower")
        line = np.linspace(0.0, 1.0, centres)
        self._centers = np.array(list(itertools.product(line, repeat=self._scaling.dimensions)))
        self._spread = 2 * (width / max(1, centres - 1)) ** 2
        self.size = len(self._centers)

    def __call__(self, observation: Array) -> Active:
        """Return all bumps [N, F]."""
        distance = ((self._scaling(observation)[:, None] - self._centers) ** 2).sum(axis=2)
        return _dense(np.exp(-distance / self._spread))


class Polynomial:
    """Products of powers up to `order` of each dimension (Sutton & Barto, 2nd ed., section 9.5.1)."""

    norm = 1.0

    def __init__(
        self,
        order: NonNegativeInt,
        low: Sequence[float] | None,
        high: Sequence[float] | None,
        observation_space: FromRun[Any],
    ):
        """Use powers from 0 to `order`."""
        self._scaling = Scaling(observation_space, low, high)
        dimensions = self._scaling.dimensions
        _require_room(20 * (order + 1) ** dimensions, dimensions, "set {order} lower")
        self._powers = np.array(list(itertools.product(range(order + 1), repeat=self._scaling.dimensions)))
        self.size = len(self._powers)

    def __call__(self, observation: Array) -> Active:
        """Return all products [N, F]."""
        return _dense((self._scaling(observation)[:, None] ** self._powers).prod(axis=2))


def _dense(value: Array) -> Active:
    return Active(np.broadcast_to(np.arange(value.shape[1]), value.shape), value)
