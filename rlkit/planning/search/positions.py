"""A replay of self-play: positions, the search's visits, and the returns that followed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rlkit.core.resources import require_memory
from rlkit.core.types import Array, RunError, Transition
from rlkit.planning.search.model import Symmetry
from rlkit.planning.search.rings import EpisodeRing


def truncated_values(transition: Transition, value_of: Callable[[Array], Array]) -> Array:
    """Return what is to be expected after a step of N environments where an episode was truncated, else 0, [N] float64.

    `value_of` returns values [B] of observations [B, ...].
    """
    truncated = transition.last & transition.valid & (transition.discount != 0)
    values = np.zeros(len(truncated))
    if truncated.any():
        values[truncated] = value_of(transition.next_observation[truncated])
    return values


class Positions(NamedTuple):
    """B positions."""

    observation: Array  # [B, ...]
    legal: Array  # [B, A] bool
    policy: Array  # [B, A] float32, shares of the search's visits
    value: Array  # [B] float32, the target: a mix of return and search value, for whoever is to move


class PositionReplay(EpisodeRing):
    """The last positions of whole games, with the returns that followed."""

    def __init__(self, capacity: int, gamma: float, search_share: float, bound: float | None = None):
        """Start empty.

        Args:
            capacity: positions that are kept.
            gamma: discount factor.
            search_share: of the search's own value in the target; the rest is the return.
            bound: no return is beyond ±bound, as the model states; None: it states nothing.
        """
        super().__init__(capacity)
        self._gamma, self._share = gamma, search_share
        self._bound = bound

    def add(self, transition: Transition, bootstrap_value: Array) -> None:
        """Add a move of each of N games.

        Args:
            transition: of N environments; its memory has what `rlkit.planning.search.planner.SearchPlayer` notes.
            bootstrap_value: [N] float, of the last states of games that were truncated.
        """
        memory = transition.memory
        columns = (transition.observation, memory["legal"], memory["policy"], memory["value"], transition.reward)
        if not self._episodes:
            size = self._capacity * sum(8 + column.nbytes // len(column) for column in columns)
            require_memory(size, f"a replay of {self._capacity:,} positions", "set agent.capacity lower")
            self._episodes = [[] for _ in transition.valid]
        for i in np.flatnonzero(transition.valid):
            game = self._episodes[i]
            game.append((*(column[i] for column in columns), transition.discount[i]))
            if transition.last[i]:
                self._finish(game, bootstrap_value[i])
                self._episodes[i] = []

    def _finish(self, game: list[tuple[Array, ...]], value: float) -> None:
        ended = not game[-1][-1]
        for observation, legal, policy, searched, reward, discount in reversed(game):
            value = float(reward) + self._gamma * float(discount) * value if discount else float(reward)
            if ended:
                self._require_within(value)
            target = (1 - self._share) * value + self._share * float(searched)
            self._store((observation, legal, policy, np.float32(target)))

    def _require_within(self, value: float) -> None:
        # A value is learned as the bound times a hyperbolic tangent, which has no more to say.
        if self._bound is not None and abs(value) > self._bound * (1 + 1e-6):
            raise RunError(
                f"a game came to {value:g}, and the model's bound says that none is beyond {self._bound:g}; set it "
                "to the largest possible return, or to None"
            )

    def sample(self, batch_size: int, rng: np.random.Generator, symmetries: Sequence[Symmetry]) -> Positions:
        """Draw positions uniformly, each turned or mirrored at random where there are `symmetries`."""
        rows = rng.integers(0, len(self), batch_size)
        drawn = Positions(*(column[rows] for column in self._columns))
        return turned(drawn, symmetries, rng.integers(0, len(symmetries), batch_size)) if symmetries else drawn


def turned(positions: Positions, symmetries: Sequence[Symmetry], which: Array) -> Positions:
    """Return positions [B] in the world of the symmetry `which` [B] each."""
    cells = np.stack([symmetry.cells for symmetry in symmetries])[which]
    actions = np.stack([symmetry.actions for symmetry in symmetries])[which]
    shape = positions.observation.shape
    flat = positions.observation.reshape(len(which), -1, cells.shape[1])
    observation = np.take_along_axis(flat, cells[:, None, :], axis=2).reshape(shape)
    legal, policy = (np.take_along_axis(column, actions, axis=1) for column in (positions.legal, positions.policy))
    return Positions(observation, legal, policy, positions.value)
