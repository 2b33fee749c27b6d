"""Behavioral cloning: a classifier or regressor learns recorded actions from observations (Pomerleau, 1991)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.config.values import check_fields
from rlkit.core.random_actions import random_action
from rlkit.core.ranges import NonNegativeFloat, Probability, ShareBelowOne
from rlkit.core.spaces import as_rows, box_actions
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, UsageError
from rlkit.fitting.session import fitted
from rlkit.learners.datasets.dataset import Rows
from rlkit.learners.datasets.demonstrations import read_episodes
from rlkit.learners.datasets.demonstrations.rows import balanced, require_made_for, split_by_episode
from rlkit.learners.estimators.epochs import OnEpoch
from rlkit.learners.kinds import kind_of
from rlkit.learners.persistence import from_state, packages_of, to_state
from rlkit.learners.pipeline import chained
from rlkit.learners.scores import scores
from rlkit.learners.splits import Split


@dataclass(frozen=True, kw_only=True)
class CloningSettings:
    """The settings of `Cloning`; values are in conf/agent/cloning.yaml.

    Attributes:
        held_out: share of the episodes that it is scored on; 0: none.
        balance: how far classes are made equally frequent;
            see `rlkit.learners.datasets.demonstrations.rows.balanced`.
        repeat: how often the rows of an action count, by its number.
        draw: evaluations, too, draw actions by their probabilities; else the likeliest is taken.

    Raises:
        UsageError: a number out of its range.
    """

    held_out: ShareBelowOne
    balance: Probability
    repeat: Mapping[int, NonNegativeFloat]
    draw: bool

    def __post_init__(self) -> None:
        check_fields(self, "agent")


class Cloning:
    """Fits an estimator to recorded episodes at its first update; it does not learn from its own steps.

    Attributes:
        model: the fitted pipeline; None before.
    """

    def __init__(
        self,
        *,
        episodes: str,
        estimator: Any,
        prepare: Mapping[str, Any],
        settings: CloningSettings,
        observation_space: FromRun[Any],
        action_space: FromRun[Any],
        threads: FromRun[int],
        rng: FromRun[np.random.Generator],
        notify: FromRun[Callable[[str], None]],
        on_epoch: FromRun[OnEpoch],
    ):
        """Put the parts together.

        Args:
            episodes: a folder that ``rlkit play record=true`` wrote; it is read when there is something to learn.
            estimator: with scikit-learn's interface, of classes for discrete actions, else of quantities.
            prepare: transformers that come before it, by name.
            settings: all numbers.
            observation_space: any.
            action_space: `Discrete` or `Box`.
            threads: of torch and of linear algebra while it learns.
            rng: draws what is held out, left out and repeated.
            notify: takes a line for the user.
            on_epoch: is called after each epoch of an estimator that is trained in epochs.

        Raises:
            UsageError: the actions are neither, or the estimator does not predict such.
        """
        self._actions = action_space
        if not isinstance(action_space, spaces.Discrete | spaces.Box):
            raise UsageError(f"agent=cloning learns Discrete or Box actions, not {action_space}; wrap the environment")
        self._discrete = isinstance(action_space, spaces.Discrete)
        self._kind = "classifier" if self._discrete else "regressor"
        if (found := kind_of(estimator)) != self._kind:
            raise UsageError(f"agent.estimator is a {found}; for actions {action_space} it must be a {self._kind}")
        if settings.draw and not (self._discrete and callable(getattr(estimator, "predict_proba", None))):
            raise UsageError("agent.draw=true needs an estimator with probabilities of discrete actions; leave it out")
        self.settings, self._episodes, self._pipeline = settings, episodes, chained(prepare, estimator)
        self._observations = observation_space
        self._threads, self._rng, self._notify, self._on_epoch = threads, rng, notify, on_epoch
        self.model: Any = None

    def initial_memory(self, n: int) -> Memory:
        """Return an empty memory."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the model's actions [N] or [N, ...]; random ones before there is a model."""
        n, legal = len(timestep.valid), timestep.legal_actions
        if self.model is None:
            rows = [None] * n if legal is None else list(legal)
            return np.array([random_action(self._actions, rng, row) for row in rows]), memory
        X = as_rows(timestep.observation, self._observations)
        if not self._discrete:
            values = np.reshape(self.model.predict(X), (n, *self._actions.shape))
            return box_actions(self._actions, values.reshape(len(values), -1)), memory
        if legal is None and not self.settings.draw:
            return np.asarray(self.model.predict(X)), memory
        return self._chosen(self._shares(X, legal), rng), memory

    def _shares(self, X: Array, legal: Array | None) -> Array:
        """Return the actions' probabilities [N, A] float64, up to a factor; above 0 for legal actions only."""
        shares = np.zeros((len(X), int(self._actions.n)))
        if callable(getattr(self.model, "predict_proba", None)):
            shares[:, self.model.classes_] = self.model.predict_proba(X)
        else:
            shares[np.arange(len(X)), self.model.predict(X)] = 1.0
        return shares if legal is None else (shares + 1e-9) * legal

    def _chosen(self, shares: Array, rng: np.random.Generator) -> Array:
        if not self.settings.draw:
            return np.asarray(shares.argmax(axis=1))
        sums = shares.cumsum(axis=1)
        return np.asarray((sums > rng.random((len(sums), 1)) * sums[:, -1:]).argmax(axis=1))

    def observe(self, transition: Transition) -> None:
        """Ignore the transition: only recorded episodes are learned from."""

    def update(self) -> Metrics | None:
        """Learn, the first time: from all episodes but those held out, on which the model is scored."""
        from threadpoolctl import threadpool_limits

        if self.model is not None:
            return None
        train, test = self._rows()
        self._notify(f"learning from {len(train.X):,} steps; {0 if test is None else len(test.X):,} are held out")
        balance, repeat = float(self.settings.balance), self.settings.repeat
        chosen = balanced(train, repeat, balance, self._rng) if self._discrete else train
        with threadpool_limits(self._threads):
            self.model = fitted(self._pipeline, Split(chosen, test), self._on_epoch, self._notify)
            metrics = {"rows": float(len(chosen.X)), **_named("train", scores(self._kind, self.model, train))}
            if test is not None:
                metrics |= _named("held_out", scores(self._kind, self.model, test))
        self._notify(", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))
        return metrics

    def _rows(self) -> Split:
        recorded = read_episodes(self._episodes)
        require_made_for(recorded, self._episodes, observation_space=self._observations, action_space=self._actions)
        wanted = recorded.intended
        if not self._discrete:
            wanted = wanted.reshape(len(wanted), -1)
            wanted = wanted[:, 0] if wanted.shape[1] == 1 else wanted
        rows = Rows(as_rows(recorded.observation, self._observations), wanted)
        return split_by_episode(rows, recorded.episode, self.settings.held_out, self._rng)

    def state_dict(self) -> State:
        """Return the model as plain data, and the generator."""
        model = None if self.model is None else to_state(self.model)
        return {"model": model, "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.model = None if state["model"] is None else from_state(state["model"], packages_of(self._pipeline))
        self._rng.bit_generator.state = state["rng"]


def _named(part: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{part}/{name}": value for name, value in metrics.items()}
