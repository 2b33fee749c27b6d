"""Running means and variances, for observations and rewards of unit scale."""

from __future__ import annotations

import numpy as np

from rlkit.core.ranks import Ranks
from rlkit.core.types import Array, State

EPSILON = 1e-8


class RunningMeanStd:
    """Mean and variance of all rows so far (Chan, Golub & LeVeque, 1983).

    Attributes:
        mean: [...] float64.
        variance: [...] float64, of the population; 1 before any row.
    """

    def __init__(self, shape: tuple[int, ...]):
        """Begin with no rows."""
        self.mean, self.variance, self._count = np.zeros(shape), np.ones(shape), 0

    @np.errstate(over="ignore", invalid="ignore")
    def add(self, rows: Array) -> None:
        """Add rows [B, ...]; B may be 0. Of numbers that are too large, mean and variance are not finite."""
        if len(rows):
            self.merge(rows.mean(0, np.float64), rows.var(0, np.float64), len(rows))

    @np.errstate(over="ignore", invalid="ignore")
    def merge(self, mean: Array, variance: Array, n: int) -> None:
        """Add `n` rows, at least one, of which `mean` and `variance` [...] are known."""
        away, total = mean - self.mean, self._count + n
        before = self.variance * self._count if self._count else 0.0
        self.variance = (before + variance * n + away**2 * self._count * n / total) / total
        self.mean = self.mean + away * n / total
        self._count = total

    def share(self) -> None:
        """Add what other ranks have seen; this process is alone."""

    @property
    def count(self) -> int:
        """How many rows there were."""
        return self._count

    @property
    def std(self) -> Array:
        """[...] float64, never 0: 1 where nothing has varied yet."""
        varied = self.variance > EPSILON**2 * (1 + self.mean**2)
        return np.where(varied, np.sqrt(self.variance + EPSILON), 1.0)

    def state_dict(self) -> State:
        """Return mean, variance and count."""
        return {"mean": np.asarray(self.mean), "variance": np.asarray(self.variance), "count": self._count}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.mean, self.variance, self._count = np.array(state["mean"]), np.array(state["variance"]), state["count"]


class RankedMeanStd(RunningMeanStd):
    """Those of the rows of all ranks up to the last time they were shared, and of one's own since then."""

    def __init__(self, shape: tuple[int, ...], ranks: Ranks):
        """Begin with no rows."""
        super().__init__(shape)
        self._ranks, self._shape = ranks, shape
        self._shared, self._since = RunningMeanStd(shape), RunningMeanStd(shape)

    def add(self, rows: Array) -> None:
        """Add one's own rows [B, ...]."""
        super().add(rows)
        self._since.add(rows)

    def share(self) -> None:
        """Add the rows that all ranks have seen since the last time, in the ranks' order."""
        for state in self._ranks.gather(self._since.state_dict()):
            if state["count"]:
                self._shared.merge(state["mean"], state["variance"], state["count"])
        self._since = RunningMeanStd(self._shape)
        super().load_state_dict(self._shared.state_dict())

    def state_dict(self) -> State:
        """Return also what was shared, and what has come since."""
        return {
            **super().state_dict(),
            "shared": self._shared.state_dict(),
            "since": self._since.state_dict(),
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self._shared.load_state_dict(state["shared"])
        self._since.load_state_dict(state["since"])


class RewardScale:
    """Divides rewards by the standard deviation of the discounted sum of those before (Engstrom et al., 2020).

    Where the turn passed, what the other player had is subtracted, as in a return.
    """

    def __init__(self, num_envs: int, gamma: float):
        """Begin with no rewards of `num_envs` environments."""
        self._sums, self._gamma = np.zeros(num_envs), gamma
        self._statistics = RunningMeanStd(())

    def join_ranks(self, ranks: Ranks) -> None:
        """Scale by what all `ranks` had up to the last `share`, and this one since then."""
        self._statistics = RankedMeanStd((), ranks)

    def share(self) -> None:
        """Add what other ranks have had, if there are any."""
        self._statistics.share()

    def __call__(self, reward: Array, discount: Array, last: Array, valid: Array) -> Array:
        """Add rewards to the statistics and return them scaled, [N] float32 from -10 to 10.

        Args:
            reward: [N], 0 where not `valid`.
            discount: [N], without gamma; negative where the turn passed after the reward.
            last: [N] bool, terminated or truncated.
            valid: [N] bool.
        """
        self._sums = self._gamma * self._sums + reward
        self._statistics.add(self._sums[valid])
        self._sums[valid & (discount < 0)] *= -1
        self._sums[last] = 0.0
        return np.clip(reward / self._statistics.std, -10, 10).astype(np.float32)

    def state_dict(self) -> State:
        """Return sums and their statistics."""
        return {"sums": self._sums.copy(), "statistics": self._statistics.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._sums = np.array(state["sums"])
        self._statistics.load_state_dict(state["statistics"])
