"""Discretizers: a finite number of states for tabular agents, out of continuous observations.

What they need to know of the observations is gathered while the agent begins by acting at random; after `fit_after`
steps they are fitted, once, and the agent's tables begin.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from rlkit.algorithms.tabular.states import require_room
from rlkit.core.ranges import PositiveInt
from rlkit.core.spaces import as_rows, require_array
from rlkit.core.types import Array, FromRun, RunError, State, Transition, UsageError, a_kind
from rlkit.learners.slots import fitted, models_state, read_models, require_usable, standardized

if TYPE_CHECKING:
    from torch import nn

UNBOUNDED = 1e30
"""Gymnasium gives the largest float, or infinity, for what has no bound."""


class Discretizer(ABC):
    """Gathers the first steps and is fitted to them; a subclass says in `_fit` and `_index` how.

    Attributes:
        size: S, how many states there are; 0 before the fit.
    """

    def __init__(self, *, observation_space: FromRun[Any], fit_after: int):
        """Begin with nothing.

        Args:
            observation_space: a `Box`.
            fit_after: steps that are gathered first.

        Raises:
            UsageError: observations that are discrete already, or nothing to be gathered.
        """
        require_array(observation_space, agent="agent.discretizer")
        if not isinstance(observation_space, spaces.Box):
            raise UsageError(f"agent.discretizer is for Box observations, not {observation_space}; leave it out")
        if fit_after < 1:
            raise UsageError(f"agent.discretizer.fit_after is {fit_after}; it must be at least 1")
        self._space, self._fit_after, self.size = observation_space, fit_after, 0
        self._dimensions = int(np.prod(observation_space.shape))
        self._gathered: list[dict[str, Array]] = []

    def index(self, observation: Array) -> Array:
        """Return the state [N] int64, from 0 to S - 1, of each observation [N, ...]."""
        return self._index(as_rows(observation, self._space, np.float64))

    def index_module(self) -> nn.Module:
        """Return `index` as a module of torch.

        Raises:
            UsageError: no graph can hold it.
        """
        raise UsageError("its discretizer is an estimator, which no graph holds; discretizer=grid is one that does")

    def gather(self, transition: Transition, gamma: float) -> None:
        """Keep a step of random behavior; fit where there are enough.

        Args:
            transition: of N environments.
            gamma: the agent's discount factor.

        Raises:
            RunError: the steps do not allow a fit; the message says why.
        """
        rows = {
            "env": np.arange(len(transition.valid)),
            "row": as_rows(transition.observation, self._space, np.float64),
            "reward": np.asarray(transition.reward, np.float64),
            "discount": gamma * np.asarray(transition.discount, np.float64),
            "last": transition.last,
        }
        self._gathered.append({name: column[transition.valid] for name, column in rows.items()})
        if sum(len(rows["env"]) for rows in self._gathered) >= self._fit_after:
            self._fit(self._together())
            self._gathered = []

    def _together(self) -> dict[str, Array]:
        names = self._gathered[0] if self._gathered else ()
        return {name: np.concatenate([rows[name] for rows in self._gathered]) for name in names}

    @abstractmethod
    def _fit(self, steps: dict[str, Array]) -> None:
        """Find the states in `steps`, columns [n, ...] in the order in which they were made, and set `size`."""

    @abstractmethod
    def _index(self, rows: Array) -> Array:
        """Return the states [N] int64 of rows [N, D]."""

    def state_dict(self) -> State:
        """Return what was gathered, before the fit, and how many states there are."""
        return {"gathered": self._together(), "size": self.size}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        columns = {name: np.array(column) for name, column in state["gathered"].items()}
        self._gathered, self.size = [columns] if columns else [], state["size"]


class Grid(Discretizer):
    """A grid of equal cells; what lies beyond its bounds belongs to the outermost cells."""

    def __init__(
        self,
        *,
        bins: PositiveInt | Sequence[PositiveInt],
        low: Sequence[float | None] | None,
        high: Sequence[float | None] | None,
        fit_after: PositiveInt,
        observation_space: FromRun[Any],
    ):
        """Lay the grid where all of its bounds are known; else when steps have been gathered.

        Args:
            bins: cells along every dimension, or along each.
            low: bounds of each dimension; null, or a null in its place: the space's own, or what was gathered where
                the space has none.
            high: likewise.
            fit_after: steps that are gathered for missing bounds.
            observation_space: a `Box`.

        Raises:
            UsageError: as many bins or bounds as there are not dimensions, or what `Discretizer` refuses.
        """
        super().__init__(observation_space=observation_space, fit_after=fit_after)
        self._bins = self._each("bins", [bins] * self._dimensions if isinstance(bins, int) else bins).astype(np.int64)
        if (self._bins < 1).any():
            raise UsageError(f"agent.discretizer.bins is {bins}; each must be at least 1")
        self._low = self._bounds("low", low)
        self._high = self._bounds("high", high)
        if np.isfinite([self._low, self._high]).all():
            self._fit({"row": np.empty((0, self._dimensions))})

    def _each(self, name: str, given: Sequence[float | None]) -> Array:
        if len(given) != self._dimensions:
            raise UsageError(f"agent.discretizer.{name} has {len(given)} values; observations have {self._dimensions}")
        return np.array([np.nan if value is None else value for value in given], np.float64)

    def _bounds(self, name: str, given: Sequence[float | None] | None) -> Array:
        own = np.asarray(getattr(self._space, name), np.float64).ravel()
        own = np.where(np.abs(own) < UNBOUNDED, own, np.nan)
        if given is None:
            return own
        chosen = self._each(name, given)
        return np.where(np.isnan(chosen), own, chosen)

    def _fit(self, steps: dict[str, Array]) -> None:
        rows = steps["row"]
        for bounds, extreme in ((self._low, np.min), (self._high, np.max)):
            missing = np.isnan(bounds)
            bounds[missing] = extreme(rows[:, missing], axis=0) if missing.any() else ()
        if not (self._low < self._high).all():
            raise UsageError(
                f"agent.discretizer has the bounds low={self._low.tolist()} and high={self._high.tolist()}; "
                "each low must be below its high: set others"
            )
        self.size = math.prod(self._bins.tolist())
        require_room(1, self.size, 1)

    def _index(self, rows: Array) -> Array:
        share = np.clip((rows - self._low) / (self._high - self._low), 0, 1)
        cells = np.minimum((share * self._bins).astype(np.int64), self._bins - 1)
        return np.asarray(np.ravel_multi_index(tuple(cells.T), tuple(self._bins)))

    def index_module(self) -> nn.Module:
        """Return `index` as a module of torch."""
        from rlkit.networks.greedy_policies import GridCell

        return GridCell(self._low, self._high, self._bins)

    def state_dict(self) -> State:
        """Return also the bounds."""
        return {**super().state_dict(), "low": self._low.copy(), "high": self._high.copy()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        self._low, self._high = np.array(state["low"]), np.array(state["high"])


class Labelled(Discretizer):
    """States are the labels that a fitted estimator gives; one more is for labels that nothing gathered had."""

    kind: str

    def __init__(
        self, *, estimator: Any, rng: FromRun[np.random.Generator], observation_space: FromRun[Any], fit_after: int
    ):
        """Take an estimator that is copied for the fit.

        Args:
            estimator: of `kind`.
            rng: draws the seed of its fit.
            observation_space: a `Box`.
            fit_after: steps that are gathered first.

        Raises:
            UsageError: another kind of estimator, or one that cannot be saved, or what `Discretizer` refuses.
        """
        super().__init__(observation_space=observation_space, fit_after=fit_after)
        tried, slot = self._smaller(estimator), "agent.discretizer.estimator"
        require_usable(slot, tried, self.kind, self._dimensions, self._labels)
        self._estimator, self._seed = estimator, int(rng.integers(2**31))
        self._model: Any = None
        self._known = np.empty(0, np.int64)

    def _smaller(self, estimator: Any) -> Any:
        """Return an estimator that can be tried on few rows."""
        return estimator

    @abstractmethod
    def _labels(self, model: Any, rows: Array) -> Array:
        """Return the labels [N] int of rows [N, D]."""

    def _learn(self, rows: Array, targets: Array | None) -> None:
        self._model = fitted(self._estimator, rows, targets, self._seed)
        self._known = np.unique(self._labels(self._model, rows)).astype(np.int64)
        self.size = len(self._known) + 1

    def _index(self, rows: Array) -> Array:
        labels = self._labels(self._model, rows)
        place = np.minimum(np.searchsorted(self._known, labels), len(self._known) - 1)
        return np.where(self._known[place] == labels, place, len(self._known))

    def state_dict(self) -> State:
        """Return also the fitted estimator and the labels that are known."""
        return {**super().state_dict(), "models": models_state([self._model]), "known": self._known.copy()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        [self._model], self._known = read_models(state["models"], self._estimator), np.array(state["known"])


class Clusters(Labelled):
    """Clusters of the observations of a random policy."""

    kind = "clusterer"

    def __init__(
        self,
        *,
        estimator: Any,
        standardize: bool,
        fit_after: PositiveInt,
        observation_space: FromRun[Any],
        rng: FromRun[np.random.Generator],
    ):
        """Take a clusterer.

        Args:
            estimator: with `predict`, as k-means has it.
            standardize: each dimension is brought to mean 0 and variance 1 first, so that none outweighs the others.
            fit_after: steps that are gathered first.
            observation_space: a `Box`.
            rng: draws the seed of the fit.

        Raises:
            UsageError: what `Labelled` refuses.
        """
        super().__init__(estimator=estimator, rng=rng, observation_space=observation_space, fit_after=fit_after)
        self._estimator = standardized(estimator, targets=False) if standardize else estimator

    def _smaller(self, estimator: Any) -> Any:
        from sklearn.base import clone

        many = [name for name in ("n_clusters", "n_components") if name in estimator.get_params(deep=False)]
        return clone(estimator).set_params(**dict.fromkeys(many, 2)) if many else estimator

    def _labels(self, model: Any, rows: Array) -> Array:
        return np.asarray(model.predict(rows))

    def _fit(self, steps: dict[str, Array]) -> None:
        self._learn(steps["row"], None)


class Leaves(Labelled):
    """The leaves of a regression tree that predicts what random behavior earns in the steps that follow.

    So states are distinguished where it matters for the reward, and as finely as it does. A step from which an episode
    was truncated, or the gathering ended, within the horizon is left out: what would have followed is not known.
    """

    kind = "regressor"

    def __init__(
        self,
        *,
        estimator: Any,
        horizon: PositiveInt,
        fit_after: PositiveInt,
        observation_space: FromRun[Any],
        rng: FromRun[np.random.Generator],
    ):
        """Take a tree.

        Args:
            estimator: a regressor with `apply`, which gives the leaf [n] of each row.
            horizon: steps whose discounted rewards are added up; 1: the next reward alone.
            fit_after: steps that are gathered first.
            observation_space: a `Box`.
            rng: draws the seed of the fit.

        Raises:
            UsageError: a regressor without leaves, a horizon below 1, or what `Labelled` refuses.
        """
        if not callable(getattr(estimator, "apply", None)):
            raise UsageError(
                f"agent.discretizer.estimator is {a_kind(estimator)}, which has no leaves (a method apply); "
                "use learner@agent.discretizer.estimator=tree_regressor"
            )
        if horizon < 1:
            raise UsageError(f"agent.discretizer.horizon is {horizon}; it must be at least 1")
        super().__init__(estimator=estimator, rng=rng, observation_space=observation_space, fit_after=fit_after)
        self._horizon = horizon

    def _labels(self, model: Any, rows: Array) -> Array:
        leaves = np.asarray(model.apply(rows))
        if leaves.ndim != 1:
            raise RunError(f"{type(model).__name__} has {leaves.shape[1]} trees, but the leaves of one are the states")
        return leaves

    def _fit(self, steps: dict[str, Array]) -> None:
        order = np.argsort(steps["env"], kind="stable")
        columns = {name: column[order] for name, column in steps.items()}
        earned, whole = earnings(columns, self._horizon)
        if len(np.unique(earned[whole])) < 2:
            raise RunError(
                f"agent.discretizer: random behavior earned the same from each of {len(order)} observations, which "
                "distinguishes no states; gather more (fit_after) or use discretizer@agent.discretizer=kmeans or grid"
            )
        self._learn(columns["row"][whole], earned[whole])


def earnings(steps: dict[str, Array], horizon: int) -> tuple[Array, Array]:
    """Return the discounted sum [n] of each step's next `horizon` rewards, and whether all of them are known [n] bool.

    After a termination nothing is earned, which is known.

    Args:
        steps: columns [n] ``env``, ``reward``, ``discount``, gamma included, and ``last``, environment after
            environment, in order.
        horizon: rewards that are added up.
    """
    reward, factor, ended = steps["reward"], steps["discount"], steps["discount"] == 0
    after = np.minimum(np.arange(len(reward)) + 1, len(reward) - 1)
    follows = (np.arange(len(reward)) < after) & (steps["env"] == steps["env"][after]) & ~steps["last"]
    earned, whole = reward, np.ones(len(reward), bool)
    for _ in range(min(horizon, len(reward)) - 1):  # no episode has more steps
        earned = reward + factor * np.where(follows, earned[after], 0.0)
        whole = ended | (follows & whole[after])
    return earned, whole
