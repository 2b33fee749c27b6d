"""The base of models that fit an estimator with scikit-learn's interface now and then: memory, members and draws."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from rlkit.algorithms.bandits.memory import Memory
from rlkit.algorithms.bandits.model import Steps
from rlkit.core.types import Array, RunError, State, UsageError
from rlkit.learners.slots import models_state, read_models

Members = list[Any]
"""Fitted estimators; None where there was too little to fit."""


class Ensemble(ABC):
    """Estimators fitted to the memory, one, or several to bootstrap samples of it, whose spread is the deviation.

    Until an arm can be estimated it is judged by its mean reward with one more reward of `initial_value`, and a
    deviation of one over the root of the number of these.
    """

    def __init__(
        self,
        estimator: Any,
        num_actions: int,
        width: int,
        *,
        memory: int,
        update_every: int,
        partial: bool,
        bootstraps: int,
        initial_value: float,
        rng: np.random.Generator,
    ):
        """Begin without any estimate.

        Args:
            estimator: is cloned, never fitted itself.
            num_actions: A.
            width: D, of contexts.
            memory: newest steps that are fitted to.
            update_every: steps between fits.
            partial: `partial_fit` with the steps since the last fit, where there is such a method.
            bootstraps: M, samples of the memory; 0: it is fitted as it is.
            initial_value: reward that an arm is thought to have had once.
            rng: draws the samples.

        Raises:
            UsageError: a number that is too small, or an estimator without `partial_fit`.
        """
        if min(memory, update_every) < 1 or bootstraps < 0:
            raise UsageError(
                f"agent.memory is {memory}, agent.update_every {update_every} and agent.bootstraps {bootstraps}; they "
                "must be at least 1, 1 and 0"
            )
        if partial and not callable(getattr(estimator, "partial_fit", None)):
            raise UsageError(f"agent.partial=true needs partial_fit, which {type(estimator).__name__} does not have")
        self.estimator, self.num_actions = estimator, num_actions
        self.members: list[Members] = []  # a list of M for each estimator that the model is made of
        self._partial, self._bootstraps, self._every, self._rng = partial, bootstraps, update_every, rng
        self._memory, self._fitted_at = Memory(memory, width), 0
        self._rewards, self._counts = np.full(num_actions, float(initial_value)), np.ones(num_actions)

    @property
    def has_deviation(self) -> bool:
        """Whether there are several members, whose spread is the deviation."""
        return self._bootstraps > 1

    @property
    def size(self) -> int:
        """M, at least 1."""
        return max(1, self._bootstraps)

    def learn(self, steps: Steps) -> None:
        """Remember steps, and fit where a multiple of `update_every` was passed."""
        before = self._memory.count
        self._memory.add(steps)
        np.add.at(self._rewards, steps.action, steps.reward)
        np.add.at(self._counts, steps.action, 1)
        if self._memory.count // self._every > before // self._every:
            since = self._memory.count - self._fitted_at
            self._fit(self._memory.newest(since if self._partial else self._memory.count))
            self._fitted_at = self._memory.count

    def _fit(self, steps: Steps) -> None:
        fits = [[self._sampled(part) for _ in range(self.size)] for part in self._parts(steps)]
        before = self.members or [[None] * self.size for _ in fits]
        self.members = [
            [self._member(sample, old) for sample, old in zip(samples, olds, strict=True)]
            for samples, olds in zip(fits, before, strict=True)
        ]

    def _sampled(self, steps: Steps) -> Steps:
        """Return as many steps, drawn with replacement; all of them where there is no bootstrap."""
        count = len(steps.action)
        if not self._bootstraps or not count:
            return steps
        chosen = self._rng.integers(count, size=count)
        return Steps(*(column[chosen] for column in steps))

    def _member(self, steps: Steps, before: Any) -> Any:
        """Return an estimator of `steps`; the one `before`, which learns on, where there is too little or `partial`."""
        from sklearn.base import clone

        if not self._enough(steps):
            return before
        goes_on = self._partial and before is not None
        member = before if goes_on else clone(self.estimator)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._train(member, steps)
            except ValueError as error:
                raise RunError(f"{type(member).__name__} cannot be fitted: {' '.join(str(error).split())}") from error
        return member

    @abstractmethod
    def _parts(self, steps: Steps) -> Sequence[Steps]:
        """Return the steps of each estimator."""

    def _enough(self, steps: Steps) -> bool:
        """Return whether an estimator can be fitted."""
        return len(steps.action) > 0

    @abstractmethod
    def _train(self, member: Any, steps: Steps) -> None:
        """Fit, or fit on."""

    @abstractmethod
    def _estimates(self, context: Array, member: int) -> Array:
        """Return the estimates [N, A] of the `member`-th estimators, NaN for arms without one."""

    def _all(self, context: Array) -> Array:
        """Return the estimates [M, N, A] of all."""
        if not self.members:
            return np.full((self.size, len(context), self.num_actions), np.nan)
        return np.stack([self._estimates(context, member) for member in range(self.size)])

    def _or_average(self, estimates: Array) -> Array:
        return np.where(np.isnan(estimates), self._rewards / self._counts, estimates)

    def mean(self, context: Array) -> Array:
        """Return the expected rewards [N, A], means over the members."""
        return np.asarray(self._or_average(self._all(context)).mean(axis=0))

    def deviation(self, context: Array) -> Array:
        """Return the standard deviations [N, A] over the members."""
        estimates = self._all(context)
        known = ~np.isnan(estimates).any(axis=0)
        return np.where(known, self._or_average(estimates).std(axis=0), 1 / np.sqrt(self._counts))

    def draw(self, context: Array, rng: np.random.Generator, scale: float) -> Array:
        """Return the estimates [N, A] of a member for each row; deviations are the members' own, and not scaled."""
        estimates = self._all(context)
        chosen = estimates[rng.integers(self.size, size=len(context)), np.arange(len(context))]
        spread = scale / np.sqrt(self._counts) * rng.standard_normal(chosen.shape)
        return np.where(np.isnan(chosen), self._rewards / self._counts + spread, chosen)

    def state_dict(self) -> State:
        """Return memory, estimators, sums and the generator."""
        return {
            "memory": self._memory.state_dict(),
            "members": [models_state(members) for members in self.members],
            "fitted_at": self._fitted_at,
            "rewards": self._rewards.copy(),
            "counts": self._counts.copy(),
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._memory.load_state_dict(state["memory"])
        self.members = [read_models(members, self.estimator) for members in state["members"]]
        self._fitted_at = state["fitted_at"]
        self._rewards, self._counts = np.array(state["rewards"]), np.array(state["counts"])
        self._rng.bit_generator.state = state["rng"]
