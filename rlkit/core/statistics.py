"""Episodes of training and evaluation, counted from the stream of transitions, and averages between two log rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np

from rlkit.core.types import Array, Metrics, State, Transition

FEW = 16
"""Up to so many environments, Python's own numbers are faster than NumPy's."""


def count(flags: Array) -> int:
    """Return how many of `flags` [...] bool are True; of few, bytes are counted several times as fast as by NumPy."""
    return flags.tobytes().count(1)


def finite_rewards(transition: Transition) -> bool:
    """Return whether all rewards are finite; False also where a sum of them, or of their squares, is too large."""
    reward, raw = transition.reward, transition.info.raw_reward
    if len(reward) <= FEW:
        return isfinite(sum(reward.tolist()) + sum(raw.tolist()))
    return isfinite(reward.dot(reward)) and isfinite(raw.dot(raw))


class Episode(NamedTuple):
    """One finished game."""

    step: int  # agent decisions, summed over environments, when it ended
    env: int  # which environment played it
    return_raw: float  # the game's own score
    return_learner: float  # after clipping and shaping
    length: int  # agent decisions
    truncated_by_checkpoint: bool  # ended by a checkpoint of an opaque environment: not in any average
    info: Metrics = MappingProxyType({})  # of each key of `log.info` the last value and the mean, where there is one


class EvaluationEpisode(NamedTuple):
    """One whole game of an agent that does not learn."""

    return_raw: float  # the game's own score
    length: int  # agent decisions
    capped: bool  # ended by the limit of steps: the return is that so far


class EvaluationResult(NamedTuple):
    """An evaluation of the agent while it is trained."""

    step: int  # agent decisions of training before it
    episodes: Sequence[EvaluationEpisode]
    final: bool  # the one at the end of a run, outside of the schedule: removed if the run is extended

    @property
    def returns(self) -> list[float]:
        """The raw return of each episode."""
        return [episode.return_raw for episode in self.episodes]

    @property
    def lengths(self) -> list[int]:
        """The length of each episode."""
        return [episode.length for episode in self.episodes]

    @property
    def mean_return(self) -> float:
        """The mean raw return."""
        return sum(self.returns) / len(self.episodes)


class _Sums(Protocol):
    """Returns and lengths of the games in progress in N environments."""

    def add(self, transition: Transition) -> None:
        """Add the valid rows of a transition."""

    def take(self, i: int) -> tuple[float, float, int]:
        """Return the raw return, the learner's and the length of environment `i`, and start again from zero."""

    def state_dict(self) -> State:
        """Return raw returns, the learner's, lengths and signs, [N] each."""

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""


class _SumsOfFew:
    """Those of a few environments, in lists."""

    def __init__(self, n: int):
        self._raw, self._learner, self._length, self._sign = [0.0] * n, [0.0] * n, [0] * n, [1.0] * n

    def add(self, transition: Transition) -> None:
        raw, learner = transition.info.raw_reward.tolist(), transition.reward.tolist()
        discount = transition.discount.tolist()
        for i, valid in enumerate(transition.valid.tolist()):
            if valid:
                self._raw[i] += raw[i]
                # After the turn passed, rewards are the other player's: the return is that of the player who began.
                self._learner[i] += self._sign[i] * learner[i]
                self._length[i] += 1
                if discount[i] < 0:
                    self._sign[i] = -self._sign[i]

    def take(self, i: int) -> tuple[float, float, int]:
        taken = self._raw[i], self._learner[i], self._length[i]
        self._raw[i] = self._learner[i] = 0.0
        self._length[i], self._sign[i] = 0, 1.0
        return taken

    def state_dict(self) -> State:
        return {
            "raw": np.array(self._raw),
            "learner": np.array(self._learner),
            "length": np.array(self._length),
            "sign": np.array(self._sign),
        }

    def load_state_dict(self, state: State) -> None:
        self._raw, self._learner = np.array(state["raw"]).tolist(), np.array(state["learner"]).tolist()
        self._length, self._sign = np.array(state["length"]).tolist(), np.array(state["sign"]).tolist()


class _SumsOfMany:
    """Those of many environments, in arrays."""

    def __init__(self, n: int):
        self._raw, self._learner, self._length, self._sign = np.zeros(n), np.zeros(n), np.zeros(n, np.int64), np.ones(n)

    def add(self, transition: Transition) -> None:
        valid = transition.valid
        self._raw[valid] += transition.info.raw_reward[valid]
        self._learner[valid] += self._sign[valid] * transition.reward[valid]
        self._length += valid
        self._sign[valid & (transition.discount < 0)] *= -1

    def take(self, i: int) -> tuple[float, float, int]:
        taken = self._raw.item(i), self._learner.item(i), self._length.item(i)
        self._raw[i] = self._learner[i] = self._length[i] = 0
        self._sign[i] = 1
        return taken

    def state_dict(self) -> State:
        return {
            "raw": self._raw.copy(),
            "learner": self._learner.copy(),
            "length": self._length.copy(),
            "sign": self._sign.copy(),
        }

    def load_state_dict(self, state: State) -> None:
        self._raw, self._learner = np.array(state["raw"]), np.array(state["learner"])
        self._length, self._sign = np.array(state["length"]), np.array(state["sign"])


class EpisodeTracker:
    """Adds up returns and lengths in N environments and returns each game when it ends."""

    def __init__(self, n: int, info_keys: Sequence[str] = ()):
        """Count in `n` environments; `info_keys` are those of the columns of `rlkit.core.types.StepInfo.logged`."""
        self._sums: _Sums = _SumsOfFew(n) if n <= FEW else _SumsOfMany(n)
        self._infos = InfoTracker(n, info_keys) if info_keys else None

    def step(self, transition: Transition, step: int) -> list[Episode]:
        """Add one transition and return the games that it ended; `step` is the number of decisions after it."""
        self._sums.add(transition)
        info = transition.info
        if self._infos is not None and info.logged is not None:
            self._infos.add(info.logged, transition.valid)
        if not count(info.game_over) and not count(info.truncated_by_checkpoint):
            return []
        ended = np.flatnonzero(transition.valid & (info.game_over | info.truncated_by_checkpoint)).tolist()
        return [self._finish(i, step, bool(info.truncated_by_checkpoint[i])) for i in ended]

    def _finish(self, i: int, step: int, truncated: bool) -> Episode:
        infos = MappingProxyType({} if self._infos is None else self._infos.finish(i))
        return Episode(step, i, *self._sums.take(i), truncated, infos)

    def state_dict(self) -> State:
        """Return the sums of the games in progress."""
        infos = {} if self._infos is None else {"infos": self._infos.state_dict()}
        return {**self._sums.state_dict(), **infos}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._sums.load_state_dict(state)
        if self._infos is not None:
            self._infos.load_state_dict(state["infos"])


class InfoTracker:
    """Keeps, of each of K numbers of the infos, the last value and the mean over an episode in N environments."""

    def __init__(self, n: int, keys: Sequence[str]):
        self._keys = tuple(keys)
        self._last = np.full((n, len(keys)), np.nan)
        self._sum = np.zeros((n, len(keys)))
        self._count = np.zeros((n, len(keys)), np.int64)

    def add(self, values: Array, valid: Array) -> None:
        """Add the values [N, K] of a step of the environments that are `valid` [N]; NaN is none."""
        known = valid[:, None] & ~np.isnan(values)
        self._last[known] = values[known]
        self._sum[known] += values[known]
        self._count += known

    def finish(self, i: int) -> dict[str, float]:
        """Return the last value and the mean of each key in environment `i`, which begins a new episode."""
        found: dict[str, float] = {}
        for k in np.flatnonzero(self._count[i]):
            found[f"info/{self._keys[k]}/last"] = float(self._last[i, k])
            found[f"info/{self._keys[k]}/mean"] = float(self._sum[i, k] / self._count[i, k])
        self._last[i], self._sum[i], self._count[i] = np.nan, 0, 0
        return found

    def state_dict(self) -> State:
        """Return what the episodes in progress have so far."""
        return {"last": self._last.copy(), "sum": self._sum.copy(), "count": self._count.copy()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._last = np.array(state["last"])
        self._sum = np.array(state["sum"])
        self._count = np.array(state["count"])


class Averages:
    """Means of metrics since they were last read."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, metrics: Metrics) -> None:
        """Add the metrics of one update."""
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
            self._counts[name] = self._counts.get(name, 0) + 1

    def read(self) -> dict[str, float]:
        """Return the means by name, and start again."""
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        self._sums = {}
        self._counts = {}
        return means

    def state_dict(self) -> State:
        """Return sums and counts."""
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._sums = {str(name): float(total) for name, total in state["sums"].items()}
        self._counts = {name: int(state["counts"][name]) for name in self._sums}
