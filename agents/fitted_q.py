"""Fitted Q-iteration (Ernst, Geurts & Wehenkel, 2005) with any regressor, on the transitions observed while it acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.algorithms.counters import Counts, require_unit
from rlkit.algorithms.exploration import epsilon_greedy
from rlkit.algorithms.fitted_values import RegressedValues
from rlkit.config.values import check_fields
from rlkit.core.ranges import NonNegativeInt, PositiveInt, Probability
from rlkit.core.schedules import ProbabilitySchedule, multiples
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
)
from rlkit.replay import UniformReplay


@dataclass(frozen=True, kw_only=True)
class FittedQSettings:
    """The settings of `FittedQ`; values are in conf/agent/fitted_q.yaml.

    Attributes:
        gamma: discount factor.
        epsilon: probability of a uniformly drawn action.
        epsilon_counts: what that schedule counts: ``steps`` (decisions observed), or ``episodes`` ended.
        learning_starts: decisions before the first fit.
        fit_every: decisions or ended episodes between fits; several multiples passed at once are one fit, which with
            `warm_start` takes the iterations of all.
        fit_counts: which of the two, ``steps`` or ``episodes``.
        iterations: regressions in a fit; each looks a step further ahead.
        warm_start: the first of them goes on from the values of the last fit; else from zero.
        per_action: a regressor for each action, not one over (observation, one-hot action).
        standardize: rows and targets are brought to mean 0 and variance 1 in each regression.

    Raises:
        UsageError: a number out of its range, or an unknown unit.
    """

    gamma: Probability
    epsilon: ProbabilitySchedule
    epsilon_counts: str
    learning_starts: NonNegativeInt
    fit_every: PositiveInt
    fit_counts: str
    iterations: PositiveInt
    warm_start: bool
    per_action: bool
    standardize: bool

    def __post_init__(self) -> None:
        check_fields(self, "agent")
        require_unit("agent.epsilon_counts", self.epsilon_counts)
        require_unit("agent.fit_counts", self.fit_counts)


class FittedQ:
    """Fits a regressor to ``r + gamma * max_a Q(s', a)`` of all stored transitions, several times over.

    Each of these iterations looks one step further ahead. Between fits it acts epsilon-greedily and stores the
    transitions, so that the next fit knows where the last one's policy leads (a growing batch: Lange, Gabel &
    Riedmiller, 2012).
    """

    def __init__(
        self,
        *,
        estimator: Any,
        replay: UniformReplay,
        settings: FittedQSettings,
        observation_space: FromRun[Any],
        action_space: FromRun[Any],
        rng: FromRun[np.random.Generator],
    ):
        """Put the parts together.

        Args:
            estimator: a regressor with scikit-learn's interface; a copy is fitted each time.
            replay: stores transitions; its `n_step` is that of the targets, its capacity how many are learned from.
            settings: all numbers.
            observation_space: any.
            action_space: `Discrete`.
            rng: draws the seeds of regressions.

        Raises:
            UsageError: actions that are not discrete, or an estimator that is no regressor or cannot be saved.
        """
        options = {"per_action": settings.per_action, "standardize": settings.standardize}
        self.values = RegressedValues(estimator, observation_space, action_space, **options)
        self.settings, self._replay, self._rng = settings, replay, rng
        self._counts, self._due = Counts(), 0

    def initial_memory(self, n: int) -> Memory:
        """Return an empty memory."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring; ties are broken at random."""
        q = self.values(timestep.observation)
        return epsilon_greedy(q, self._epsilon() if explore else 0.0, rng, timestep.legal_actions), memory

    def _epsilon(self) -> float:
        return self.settings.epsilon(self._counts.of(self.settings.epsilon_counts))

    def observe(self, transition: Transition) -> None:
        """Store the transition, and note which multiples of `fit_every` it passed."""
        self._replay.add(transition)
        settings = self.settings
        before = self._counts.of(settings.fit_counts)
        self._counts.add(transition)
        if self._counts.steps >= settings.learning_starts:
            first = settings.learning_starts if settings.fit_counts == "steps" else 0
            self._due += multiples(before, self._counts.of(settings.fit_counts), settings.fit_every, first=first)

    def update(self) -> Metrics | None:
        """Fit where that is due."""
        due, self._due = self._due, 0
        if due == 0 or len(self._replay) == 0:
            return None
        stored = self._replay.everything(self.settings.gamma)
        if self.settings.warm_start:
            return self._fit(stored, due * self.settings.iterations)
        self.values.reset()
        return self._fit(stored, self.settings.iterations)

    def _fit(self, stored: Batch, iterations: int) -> Metrics:
        """Regress the values of the actions taken onto their targets, `iterations` times."""
        s_tm1, s_t = self.values.rows(stored.observation), self.values.rows(stored.next_observation)
        for _ in range(iterations):
            target = self._target(stored, s_t)
            self.values.fit(s_tm1, stored.action, target, self._rng)
        q_tm1 = self.values.of_rows(s_tm1)[np.arange(len(s_tm1)), stored.action]
        # What a regressor cannot express of its targets; the exact ones leave 0.
        return {
            "loss/regression": float(np.mean((q_tm1 - target) ** 2)),
            "q/mean": float(target.mean()),
            "transitions": float(len(s_tm1)),
            "epsilon": self._epsilon(),
        }

    def _target(self, stored: Batch, s_t: Array) -> Array:
        """Return ``r_t + discount_t * max_a q_t`` [B] float64, over legal actions, of successors as rows [B, D]."""
        q_t, legal_t = self.values.of_rows(s_t), stored.next_legal_actions
        if legal_t is not None:
            # At an end there may be no legal action; its discount is 0 then.
            q_t = np.where(legal_t | ~legal_t.any(axis=1, keepdims=True), q_t, -np.inf)
        discount_t = self.settings.gamma * stored.discount.astype(np.float64)
        return np.asarray(td_target(stored.reward, discount_t, q_t.max(axis=1)))

    def state_dict(self) -> State:
        """Return the fitted regressors, the replay, the counters and the generator."""
        return {
            "values": self.values.state_dict(),
            "replay": self._replay.state_dict(),
            "counts": self._counts.state_dict(),
            "due": self._due,
            "rng": self._rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; one without its replay is enough to act."""
        self.values.load_state_dict(state["values"])
        if "replay" in state:
            self._replay.load_state_dict(state["replay"])
        self._counts.load_state_dict(state["counts"])
        self._due = state["due"]
        self._rng.bit_generator.state = state["rng"]
