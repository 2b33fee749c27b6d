"""Episodes that somebody recorded: each by itself, and the steps of all one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from rlkit.core import tree
from rlkit.core.types import Array, Tree

COLUMNS = ("observation", "action", "intended", "reward", "discount")
"""What a `Demonstration` has of each step."""


class Demonstration(NamedTuple):
    """One episode of T steps."""

    observation: Tree  # [T, ...] before each step
    action: Array  # [T] or [T, ...], what was done
    intended: Array  # of the same shape: what the player meant to do; something else where an action was drawn
    reward: Array  # [T] float32, or of the dtype that it was imported with
    discount: Array  # [T] float32: 0 = terminated; 1 = goes on, truncation included
    final_observation: Tree  # [...] after the last step
    facts: Mapping[str, Any]  # seed, return (the environment's own) and player
    truncated: Array | None = None  # [T] bool; None: an episode is where it ends without termination
    infos: Tree | None = None  # [T + 1, ...] a dict of what the environment said, first at its reset; None: not kept

    @property
    def truncations(self) -> Array:
        """[T] bool, whether each step ended the episode without its state being an end."""
        if self.truncated is not None:
            return self.truncated
        ends = np.arange(len(self.reward)) == len(self.reward) - 1
        return ends & (self.discount != 0)


class Recorded(NamedTuple):
    """The steps of all episodes, one after the other."""

    observation: Tree  # [T, ...]
    action: Array  # [T] or [T, ...]
    intended: Array  # [T] or [T, ...]
    reward: Array  # [T] float32, or of the dtype that it was imported with
    discount: Array  # [T] float32
    last: Array  # [T] bool, the last step of an episode
    episode: Array  # [T] int64, its number
    final_observation: Tree  # [E, ...] after the last step of each episode, by number
    about: Mapping[str, Any]  # of the environment: its configuration, observation and action space
    episodes: Sequence[Mapping[str, Any]]  # E: number, seed, return, length and player of each
    truncated: Array | None = None  # [T] bool, as in `Demonstration`
    infos: Tree | None = None  # [T + E, ...] likewise

    @property
    def next_observation(self) -> Tree:
        """[T, ...], the true successor of each step, also at the end of an episode."""
        following = tree.map(lambda leaf: np.roll(leaf, -1, axis=0), self.observation)
        tree.put(following, self.last, self.final_observation)
        return following

    @property
    def starts(self) -> Array:
        """[E + 1] int64, the first step of each episode, and T."""
        return np.append(0, np.flatnonzero(self.last) + 1)

    def split(self) -> Iterator[Demonstration]:
        """Yield each episode by itself; its arrays are views."""
        for i, (low, high) in enumerate(pairwise(self.starts)):
            steps = slice(low, high)
            columns = {name: tree.take(getattr(self, name), steps) for name in COLUMNS}
            kept = {name: value for name, value in self.episodes[i].items() if name not in ("number", "length")}
            yield Demonstration(
                **columns,
                final_observation=tree.take(self.final_observation, i),
                facts=kept,
                truncated=None if self.truncated is None else self.truncated[steps],
                infos=None if self.infos is None else tree.take(self.infos, slice(low + i, high + i + 1)),
            )


def joined(episodes: Sequence[Demonstration], first: int) -> dict[str, Tree]:
    """Return the columns of a `Recorded` for `episodes`, of which the first has the number `first`.

    Raises:
        ValueError: they do not fit together.
        KeyError: likewise.
    """
    lengths = [len(episode.reward) for episode in episodes]
    last = np.zeros(sum(lengths), bool)
    last[np.cumsum(lengths) - 1] = True
    columns = {name: tree.concatenate([getattr(episode, name) for episode in episodes]) for name in COLUMNS}
    if any(episode.truncated is not None for episode in episodes):
        columns["truncated"] = np.concatenate([episode.truncations for episode in episodes])
    infos = [episode.infos for episode in episodes]
    if any(one is not None for one in infos):
        columns["infos"] = tree.concatenate([_of_same_keys(one, infos[0]) for one in infos])
    return {
        **columns,
        "last": last,
        "episode": np.repeat(np.arange(first, first + len(episodes)), lengths),
        "final_observation": tree.stack([episode.final_observation for episode in episodes]),
    }


def _of_same_keys(infos: Tree | None, first: Tree | None) -> Tree:
    """Return `infos`, whose keys must be those of the first episode's.

    Raises:
        ValueError: they are not.
    """
    keys = [sorted(one or ()) for one in (infos, first)]
    if keys[0] != keys[1]:
        raise ValueError(f"one episode has the infos {keys[0]}, another {keys[1]}")
    return infos
