"""Which rows of a ring belong to one episode: the row of any of its steps in a single look-up."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array

LEAST = 64
"""Rows of one environment for which there is room at first."""


class Episodes:
    """The episodes of the rows of a ring of `capacity`, N environments mixed.

    The rows of an environment are numbered from 0 on, its ranks, and so are its episodes. Both lie in rings of R, which
    grows when one environment has more rows than that: its share of the ring is known only then.
    """

    def __init__(self, capacity: int, num_envs: int):
        """Begin without rows."""
        self._capacity = capacity
        self._env, self._rank, self._episode = np.zeros((3, capacity), np.int64)  # of the row in each slot
        self._ranks, self._episodes = np.zeros((2, num_envs), np.int64)  # of each environment, how many there were
        self._size = LEAST
        self._number, self._first, self._last = self._rings(num_envs)

    def _rings(self, num_envs: int) -> Array:
        """Return rings [3, N, R]: the numbers of rows by rank; the first and the last rank of episodes."""
        return np.full((3, num_envs, self._size), -1)

    def add(self, numbers: Array, env: Array, follows: Array, oldest: int) -> None:
        """Add rows.

        Args:
            numbers: [K] int64, of the rows, one after the other.
            env: [K] int, the environment of each.
            follows: [K] bool, whether a row is of the same episode as the row of its environment before.
            oldest: number of the oldest row that is still stored.
        """
        order = np.argsort(env, kind="stable")
        env, numbers = np.asarray(env[order], np.int64), numbers[order]
        heads = np.flatnonzero(np.diff(env, prepend=-1))
        counts = np.diff(np.append(heads, len(env)))
        rank = self._ranks[env] + np.arange(len(env)) - np.repeat(heads, counts)
        begins = ~follows[order] | (rank == 0)
        begun = np.cumsum(begins)
        episode = self._episodes[env] + begun - np.repeat(begun[heads] - begins[heads], counts) - 1
        self._make_room(env, rank, int(counts.max()), numbers.min(), oldest)
        slots = numbers % self._capacity
        self._env[slots], self._rank[slots], self._episode[slots] = env, rank, episode
        self._number[env, rank % self._size] = numbers
        self._first[env[begins], episode[begins] % self._size] = rank[begins]
        self._last[env, episode % self._size] = rank  # of equal places the last counts
        tails = heads + counts - 1
        self._ranks[env[tails]], self._episodes[env[tails]] = rank[tails] + 1, episode[tails] + 1

    def _make_room(self, env: Array, rank: Array, most: int, new: int, oldest: int) -> None:
        """Let the rings grow until rows of those ranks, at most `most` of an environment, overwrite no stored row."""
        while most > self._size or (self._number[env, rank % self._size] >= oldest).any():
            before = self._size
            slots = np.arange(oldest, new) % self._capacity
            env_of, rank_of, episode_of = self._env[slots], self._rank[slots], self._episode[slots]
            numbers, first, last = self._number, self._first, self._last
            self._size *= 2
            self._number, self._first, self._last = self._rings(len(self._ranks))
            self._number[env_of, rank_of % self._size] = numbers[env_of, rank_of % before]
            for old, ring in ((first, self._first), (last, self._last)):
                ring[env_of, episode_of % self._size] = old[env_of, episode_of % before]

    def later(self, numbers: Array, share: Array) -> Array:
        """Return the row at a `share` [B], from 0 to less than 1, of the way from each row to its episode's newest."""
        env, rank, last = self._place(numbers)
        return self.at(env, rank + (share * (last - rank + 1)).astype(np.int64))

    def final(self, numbers: Array) -> Array:
        """Return the newest row of the episode of each row [B]."""
        env, _, last = self._place(numbers)
        return self.at(env, last)

    def any(self, numbers: Array, share: Array, oldest: int) -> Array:
        """Return the row at a `share` [B] of the way through the stored part of each row's episode.

        Its first rows may be older than number `oldest`, and no more stored.
        """
        env, rank, last = self._place(numbers)
        begun = self._first[env, self._episode[numbers % self._capacity] % self._size]
        low, high = np.maximum(begun, self._ranks[env] - self._size), rank
        while (low < high).any():
            middle = (low + high) // 2
            stored = self.at(env, middle) >= oldest
            low, high = np.where(stored, low, middle + 1), np.where(stored, middle, high)
        return self.at(env, low + (share * (last - low + 1)).astype(np.int64))

    def stored(self, oldest: int) -> tuple[Array, Array]:
        """Return the rank [N] of each environment's first row from number `oldest` on, and how many there are [N]."""
        envs = np.arange(len(self._ranks))
        low, high = np.maximum(0, self._ranks - self._size), self._ranks
        while (low < high).any():
            middle = (low + high) // 2
            # Where nothing is left to search, the place may be that of a row to come.
            there = (low < high) & (self.at(envs, middle) < oldest)
            low, high = np.where(there, middle + 1, low), np.where((low < high) & ~there, middle, high)
        return low, self._ranks - low

    def following(self, env: Array, rank: Array, steps: int) -> Array:
        """Return the numbers [T, M] of the rows of environments [M] from a rank on; after its newest row, that one."""
        ranks = np.minimum(rank + np.arange(steps)[:, None], self._ranks[env] - 1)
        return self.at(np.broadcast_to(env, ranks.shape), ranks)

    def _place(self, numbers: Array) -> tuple[Array, Array, Array]:
        """Return environment, rank and the last rank of the episode of rows [B]."""
        slots = numbers % self._capacity
        env = self._env[slots]
        return env, self._rank[slots], self._last[env, self._episode[slots] % self._size]

    def at(self, env: Array, rank: Array) -> Array:
        """Return the numbers [B] of the rows with a `rank` [B] among those of their environment `env` [B]."""
        return np.asarray(self._number[env, rank % self._size])

    def ranks(self, numbers: Array) -> Array:
        """Return the ranks [B] of rows [B]."""
        return np.asarray(self._rank[numbers % self._capacity])

    def copied(self) -> Episodes:
        """Return a copy."""
        other = Episodes(0, 0)
        for name, value in vars(self).items():
            setattr(other, name, value.copy() if isinstance(value, np.ndarray) else value)
        return other
