"""Action values by regressors with scikit-learn's interface."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from rlkit.core.spaces import as_rows, num_actions, row_width
from rlkit.core.types import Array, State, Tree
from rlkit.learners.slots import fitted, models_state, read_models, require_usable, standardized


class RegressedValues:
    """Values [N, A] of all actions: by one regressor over (observation, one-hot action), or by one for each action.

    Before the first fit every value is 0, and so is that of an action that was never taken where each has a regressor
    of its own.
    """

    def __init__(
        self, estimator: Any, observation_space: Any, action_space: Any, *, per_action: bool, standardize: bool
    ):
        """Start with all values 0.

        Args:
            estimator: a regressor with scikit-learn's interface; a copy is fitted each time.
            observation_space: any; discrete values are shown one-hot, the parts of a `Dict` or `Tuple` side by side.
            action_space: `Discrete`.
            per_action: a regressor for each action.
            standardize: rows and targets are brought to mean 0 and variance 1 in each fit.

        Raises:
            UsageError: actions that are not discrete, or no regressor, or one that cannot be saved.
        """
        self._space = observation_space
        self.num_actions = num_actions(action_space, agent="fitted_q")
        self._per_action = per_action
        columns = row_width(observation_space) + (0 if per_action else self.num_actions)
        require_usable("agent.estimator", estimator, "regressor", columns, lambda model, rows: model.predict(rows))
        self._estimator = standardized(estimator, targets=True) if standardize else estimator
        self._models: list[Any] = []

    def __call__(self, observation: Tree) -> Array:
        """Return the values [N, A] float64 for observations [N, ...]."""
        return self.of_rows(self.rows(observation))

    def rows(self, observation: Tree) -> Array:
        """Return observations [N, ...] as rows of numbers [N, D] float64."""
        return as_rows(observation, self._space, np.float64)

    def of_rows(self, rows: Array) -> Array:
        """Return the values [N, A] float64 for `rows` [N, D]."""
        if not self._models:
            return np.zeros((len(rows), self.num_actions))
        if self._per_action:
            return np.stack([self._predicted(model, rows) for model in self._models], axis=1)
        each = np.tile(np.arange(self.num_actions), len(rows))
        joint = self._joint(np.repeat(rows, self.num_actions, axis=0), each)
        return self._predicted(self._models[0], joint).reshape(len(rows), -1)

    def fit(self, rows: Array, action: Array, target: Array, rng: np.random.Generator) -> None:
        """Fit the values of `action` in `rows` to `target`.

        Args:
            rows: [n, D] float64, from `rows`.
            action: [n] int, the actions taken.
            target: [n] float, the values to fit.
            rng: draws the seeds of the regressors.
        """
        if not self._per_action:
            self._models = [self._fitted(self._joint(rows, action), target, rng)]
            return
        taken = [action == a for a in range(self.num_actions)]
        self._models = [self._fitted(rows[mine], target[mine], rng) if mine.any() else None for mine in taken]

    def reset(self) -> None:
        """Drop the fitted regressors, so that every value is 0."""
        self._models = []

    def _fitted(self, rows: Array, target: Array, rng: np.random.Generator) -> Any:
        return fitted(self._estimator, rows, target, int(rng.integers(2**31)))

    def _predicted(self, model: Any, rows: Array) -> Array:
        return np.zeros(len(rows)) if model is None else np.asarray(model.predict(rows), np.float64).reshape(-1)

    def _joint(self, rows: Array, action: Array) -> Array:
        return np.concatenate([rows, np.eye(self.num_actions)[action]], axis=1)

    def state_dict(self) -> State:
        """Return the fitted regressors as plain data."""
        return {"models": models_state(self._models)}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        # Estimators keep the arrays that they are given.
        self._models = read_models(deepcopy(state["models"]), self._estimator)
