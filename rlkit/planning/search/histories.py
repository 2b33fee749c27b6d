"""A replay of whole episodes with their searches, from which a model is unrolled and n-step values are computed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rlkit.core.resources import require_memory
from rlkit.core.types import Array, Transition
from rlkit.planning.search.rings import EpisodeRing


class Unrolled(NamedTuple):
    """B positions, K actions that follow each, and what a model is to say of them.

    After an episode's end actions are drawn, rewards and values are 0 (an absorbing state) and there is no policy;
    where an episode was truncated, nothing is known of what comes after.
    """

    observation: Array  # [B, ...]
    successors: Array  # [B, K, ...] observations after each action; beyond an episode's last, that is repeated
    action: Array  # [B, K] int64
    reward: Array  # [B, K] float32, of each action
    discount: Array  # [B, K] float32, of each action: 1, -1, or 0 at and after the end
    value: Array  # [B, K + 1] float32, discounted returns of n steps, for whoever is to move
    policy: Array  # [B, K + 1, A] float32, of the searches
    known: Array  # [B, K + 1] bool, something is known: not beyond a truncation
    going: Array  # [B, K + 1] bool, the episode goes on, so there is a policy


class HistoryRow(NamedTuple):
    """A position; the last of an episode is what its last action led to, with what is to be expected of it."""

    observation: Array
    legal: Array  # [A] bool
    policy: Array  # [A] float32
    value: Any  # float32, by the search; of the last, 0 where the episode ended, else the network's
    action: Any  # int64
    reward: Any  # float32, of the action; of the last, its value
    discount: Any  # float32, of the action; of the last, 0
    left: Any  # int64, rows to the episode's last
    ended: Any  # bool, it ended, rather than being truncated


class HistoryReplay(EpisodeRing):
    """The last rows of whole episodes, in a ring; episodes under way wait until they are over."""

    def __init__(self, capacity: int, gamma: float):
        """Start empty, with room for so many rows."""
        super().__init__(capacity)
        self._gamma = gamma

    def add(self, transition: Transition, bootstrap_value: Array) -> None:
        """Add a step of each of N environments.

        Args:
            transition: its memory has what `rlkit.planning.search.planner.SearchPlayer` notes.
            bootstrap_value: [N] float, of the last states of episodes that were truncated.
        """
        memory = transition.memory
        columns = (transition.observation, memory["legal"], memory["policy"], memory["value"])
        if not self._episodes:
            size = self._capacity * (32 + sum(column.nbytes // len(column) for column in columns))
            require_memory(size, f"a replay of {self._capacity:,} positions", "set agent.capacity lower")
            self._episodes = [[] for _ in transition.valid]
        for i in np.flatnonzero(transition.valid):
            episode = self._episodes[i]
            taken = (transition.action[i], transition.reward[i], transition.discount[i])
            episode.append((*(column[i] for column in columns), *taken))
            if transition.last[i]:
                self._finish(episode, transition.next_observation[i], bootstrap_value[i])
                self._episodes[i] = []

    def _finish(self, episode: list[tuple[Any, ...]], observation: Array, bootstrap_value: float) -> None:
        ended, n = bool(episode[-1][-1] == 0), len(episode)
        value = np.float32(0 if ended else bootstrap_value)
        _, legal, policy, *_ = episode[-1]
        last = (observation, np.ones_like(legal), np.zeros_like(policy), value, 0, value, 0.0)
        for i, (seen, may, towards, searched, action, reward, discount) in enumerate([*episode, last]):
            numbers = (np.float32(searched), np.int64(action), np.float32(reward), np.float32(discount))
            self._store(HistoryRow(seen, may, towards, *numbers, np.int64(n - i), ended))

    def _rows(self) -> HistoryRow:
        return HistoryRow(*self._columns)

    def draw(self, batch_size: int, rng: np.random.Generator) -> Array:
        """Return the places [B] int64 of positions drawn uniformly, none of them the last of an episode."""
        playable = np.flatnonzero(self._rows().left[: len(self)])
        return np.asarray(playable[rng.integers(0, len(playable), batch_size)])

    def positions(self, places: Array) -> tuple[Array, Array]:
        """Return the observations [B, ...] and legal actions [B, A] at places [B]."""
        rows = self._rows()
        return rows.observation[places], rows.legal[places]

    def renew(self, places: Array, policy: Array, value: Array) -> None:
        """Write to places [B] what newer searches say: policies [B, A] and values [B]."""
        rows = self._rows()
        rows.policy[places], rows.value[places] = policy, value

    def unrolled(self, places: Array, unroll: int, td_steps: int, rng: np.random.Generator) -> Unrolled:
        """Return what follows places [B] for so many actions, with returns of `td_steps`."""
        rows, actions = self._rows(), np.arange(unroll + 1)
        left = rows.left[places, None]
        ahead = np.minimum(actions, left)
        at = (places[:, None] + ahead) % self._capacity
        beyond, ended = actions > left, rows.ended[places, None]
        going = actions < left
        now, after = at[:, :-1], at[:, 1:]
        drawn = rng.integers(0, rows.policy.shape[1], now.shape)
        return Unrolled(
            observation=rows.observation[places],
            successors=rows.observation[after],
            action=np.asarray(np.where(going[:, :-1], rows.action[now], drawn)),
            reward=np.where(going[:, :-1], rows.reward[now], np.float32(0)),
            discount=np.where(going[:, :-1], rows.discount[now], np.float32(0)),
            value=self._returns(at, left - ahead, td_steps),
            policy=rows.policy[at] * going[..., None],
            known=~beyond | ended,
            going=going,
        )

    def _returns(self, at: Array, left: Array, td_steps: int) -> Array:
        """Return the discounted returns of `td_steps` from places [B, K], so many rows before the end, [B, K]."""
        rows = self._rows()
        steps = np.minimum(td_steps, left)
        value = rows.value[(at + steps) % self._capacity].astype(np.float64)
        for i in range(min(td_steps, int(left.max())) - 1, -1, -1):
            place = (at + np.minimum(i, left)) % self._capacity
            earlier = rows.reward[place] + self._gamma * rows.discount[place] * value
            value = np.where(i < steps, earlier, value)
        return np.asarray(value, np.float32)
