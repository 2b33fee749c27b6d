"""Fitted Q-iteration (Ernst, Geurts & Wehenkel, 2005) with any regressor, on what is seen while it acts."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.algorithms.counters import Counts, multiples, require_unit
from rlkit.algorithms.exploration import Schedule, epsilon_greedy
from rlkit.algorithms.fitted_values import RegressedValues
from rlkit.core.targets import td_target
from rlkit.core.types import (
    Array,
    Batch,
    FromRun,
    Memory,
    Metrics,
    State,
    TimeStep,
    Transition,
    require_least,
    require_share,
)
from rlkit.replay import UniformReplay


class FittedQ:
    """Fits a regressor to ``r + gamma * max_a Q(s', a)`` of all stored transitions, several times over.

    Each of these iterations looks one step further ahead. Between fits it acts epsilon-greedily and stores what comes
    of it, so that the next fit knows where the last one's policy leads to (a growing batch: Lange, Gabel & Riedmiller,
    2012).
    """

    def __init__(
        self,
        *,
        estimator: Any,
        replay: UniformReplay,
        observation_space: FromRun[Any],
        action_space: FromRun[Any],
        gamma: float,
        epsilon: Schedule,
        epsilon_counts: str,
        learning_starts: int,
        fit_every: int,
        fit_counts: str,
        iterations: int,
        warm_start: bool,
        per_action: bool,
        standardize: bool,
        rng: FromRun[np.random.Generator],
    ):
        """Put the parts together.

        Args:
            estimator: a regressor with scikit-learn's interface; a copy is fitted each time.
            replay: stores transitions; its `n_step` is that of the targets, its capacity how many are learnt from.
            observation_space: of arrays.
            action_space: `Discrete`.
            gamma: discount factor.
            epsilon: share of uniformly drawn actions.
            epsilon_counts: what that schedule counts: ``steps`` (decisions observed), or ``episodes`` ended.
            learning_starts: decisions before the first fit.
            fit_every: decisions or ended episodes between fits; several multiples passed at once are one fit, which
                with `warm_start` takes the iterations of all.
            fit_counts: which of the two, ``steps`` or ``episodes``.
            iterations: regressions in a fit.
            warm_start: the first of them goes on from the values of the last fit; else from zero.
            per_action: a regressor for each action, not one over (observation, one-hot action).
            standardize: rows and targets are brought to mean 0 and variance 1 in each regression.
            rng: draws the seeds of regressions.

        Raises:
            UsageError: actions that are not discrete, an estimator that is no regressor or cannot be saved, or a
                setting that cannot be.
        """
        options = {"per_action": per_action, "standardize": standardize}
        self.values = RegressedValues(estimator, observation_space, action_space, **options)
        require_least(1, "agent", fit_every=fit_every, iterations=iterations)
        require_least(0, "agent", learning_starts=learning_starts)
        self._replay, self._gamma, self._rng = replay, require_share("agent.gamma", gamma), rng
        self._epsilon, self._epsilon_counts = epsilon, require_unit("agent.epsilon_counts", epsilon_counts)
        self._fit_every, self._fit_counts = fit_every, require_unit("agent.fit_counts", fit_counts)
        self._learning_starts, self._iterations, self._warm_start = learning_starts, iterations, warm_start
        self._seen, self._due = Counts(), 0

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring; ties are broken at random."""
        q = self.values(timestep.observation)
        return epsilon_greedy(q, self._share() if explore else 0.0, rng, timestep.legal_actions), memory

    def _share(self) -> float:
        return self._epsilon(self._seen.of(self._epsilon_counts))

    def observe(self, transition: Transition) -> None:
        """Store the transition, and note which multiples of `fit_every` it passed."""
        self._replay.add(transition)
        before = self._seen.of(self._fit_counts)
        self._seen.add(transition)
        if self._seen.steps >= self._learning_starts:
            first = self._learning_starts if self._fit_counts == "steps" else 0
            self._due += multiples(before, self._seen.of(self._fit_counts), self._fit_every, first=first)

    def update(self) -> Metrics | None:
        """Fit where that is due."""
        due, self._due = self._due, 0
        if due == 0 or len(self._replay) == 0:
            return None
        stored = self._replay.everything(self._gamma)
        if self._warm_start:
            return self._fit(stored, due * self._iterations)
        self.values.forget()
        return self._fit(stored, self._iterations)

    def _fit(self, stored: Batch, iterations: int) -> Metrics:
        rows, following = self.values.rows(stored.observation), self.values.rows(stored.next_observation)
        for _ in range(iterations):
            target = self._target(stored, following)
            self.values.fit(rows, stored.action, target, self._rng)
        chosen = self.values.of_rows(rows)[np.arange(len(rows)), stored.action]
        # What a regressor cannot express of its targets; the exact ones leave 0.
        return {
            "loss/regression": float(np.mean((chosen - target) ** 2)),
            "q/mean": float(target.mean()),
            "transitions": float(len(rows)),
            "epsilon": self._share(),
        }

    def _target(self, stored: Batch, following: Array) -> Array:
        q_t, legal = self.values.of_rows(following), stored.next_legal_actions
        if legal is not None:
            # At an end there may be no legal action; its discount is 0 then.
            q_t = np.where(legal | ~legal.any(axis=1, keepdims=True), q_t, -np.inf)
        discount = self._gamma * stored.discount.astype(np.float64)
        return np.asarray(td_target(stored.reward, discount, q_t.max(axis=1)))

    def state_dict(self) -> State:
        """Return the fitted regressors, what is stored, what was counted and the generator."""
        return {
            "values": self.values.state_dict(),
            "replay": self._replay.state_dict(),
            "seen": self._seen.state_dict(),
            "due": self._due,
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave; a state without its replay is enough to act."""
        self.values.load_state_dict(state["values"])
        if "replay" in state:
            self._replay.load_state_dict(state["replay"])
        self._seen.load_state_dict(state["seen"])
        self._due = state["due"]
        self._rng.bit_generator.state = state["rng"]
