"""Contextual bandits: linear ones (Li et al., 2010; Agrawal & Goyal, 2013), or on any estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rlkit.algorithms.bandits import Contexts, EstimatorArms, Explorer, RecommenderArms, RewardModel, RidgeArms, Steps
from rlkit.algorithms.exploration import greedy
from rlkit.config.values import check_fields
from rlkit.core import tree
from rlkit.core.ranges import NonNegativeInt, PositiveFloat, PositiveInt, shown
from rlkit.core.spaces import num_actions
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, UsageError


@dataclass(frozen=True, kw_only=True)
class BanditSettings:
    """The settings of `Bandit`; values are in conf/agent/bandit.yaml.

    Attributes:
        ridge: of linear models; see `RidgeArms`.
        joint: one estimator for all actions; see `EstimatorArms`.
        unknown: how a recommender reads items that are not known; see `RecommenderArms`.
        memory: newest steps that an estimator is fitted to.
        update_every: steps between fits of an estimator.
        partial: `partial_fit` with the steps since the last fit.
        bootstraps: fits to samples of the memory, whose spread is an estimator's deviation.
        initial_value: reward that actions are thought to have had once; see `Ensemble`.

    Raises:
        UsageError: a number out of its range.
    """

    ridge: PositiveFloat
    joint: bool
    unknown: str
    memory: NonNegativeInt
    update_every: PositiveInt
    partial: bool
    bootstraps: NonNegativeInt
    initial_value: float

    def __post_init__(self) -> None:
        check_fields(self, "agent")


class Bandit:
    """Learns the immediate reward of each action in a context, and explores by the deviation of its estimates.

    Attributes:
        model: of the rewards.
    """

    def __init__(
        self,
        *,
        explorer: Explorer,
        estimator: Any,
        settings: BanditSettings,
        observation_space: FromRun[Any],
        action_space: FromRun[Any],
        rng: FromRun[np.random.Generator],
    ):
        """Put the parts together.

        Args:
            explorer: chooses actions while exploring.
            estimator: of scikit-learn's interface; None: exact ridges, one for each action.
            settings: all numbers.
            observation_space: contexts.
            action_space: `Discrete`.
            rng: draws the samples.

        Raises:
            UsageError: actions that are not discrete, an estimator without the deviations that the explorer needs, or
                what a model refuses.
        """
        self._contexts = Contexts(observation_space)
        shape = num_actions(action_space, agent="bandit"), self._contexts.width
        self.model: RewardModel
        if estimator is None:
            self.model = RidgeArms(*shape, ridge=settings.ridge, intercept=not self._contexts.one_hot)
        else:
            self.model = _fitted(estimator, shape, settings, rng)
        if explorer.needs_deviation and not self.model.has_deviation:
            raise UsageError(
                f"{type(explorer).__name__} needs deviations, which {type(estimator).__name__} does not have; set "
                "agent.bootstraps=10, or explorer@agent.explorer=epsilon_greedy"
            )
        self.settings, self._explorer, self._steps = settings, explorer, 0
        self._pending: Transition | None = None

    def initial_memory(self, n: int) -> Memory:
        """Return an empty memory."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the explorer's actions [N], or those of the highest mean where not exploring."""
        context, legal = self._contexts(timestep.observation), timestep.legal_actions
        if explore:
            return self._explorer(self.model, context, self._steps, rng, legal), memory
        return greedy(self.model.mean(context), rng, legal), memory

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._pending = transition
        self._steps += int(np.count_nonzero(transition.valid))

    def update(self) -> Metrics | None:
        """Learn from the last transition."""
        transition, self._pending = self._pending, None
        if transition is None or not transition.valid.any():
            return None
        context, action, reward = tree.take(
            (transition.observation, transition.action, transition.reward), transition.valid
        )
        steps = Steps(self._contexts(context), action.astype(np.int64), reward.astype(np.float64))
        self.model.learn(steps)
        return {"reward": float(steps.reward.mean())}

    def state_dict(self) -> State:
        """Return the model and the number of decisions."""
        return {"model": self.model.state_dict(), "steps": self._steps}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.model.load_state_dict(state["model"])
        self._steps = state["steps"]


def _fitted(estimator: Any, shape: tuple[int, int], settings: BanditSettings, rng: np.random.Generator) -> RewardModel:
    from rlkit.learners.kinds import kind_of
    from rlkit.learners.slots import require_usable

    if not callable(getattr(estimator, "fit", None)):
        what = f"agent.estimator is {shown(estimator)}, which is no estimator"
        raise UsageError(f"{what}; choose one by its file, e.g. learner@agent.estimator=linear")
    kind = kind_of(estimator)
    names = ("memory", "update_every", "partial", "bootstraps", "initial_value")
    options = {"rng": rng, **{name: getattr(settings, name) for name in names}}
    if kind == "recommender":
        return RecommenderArms(estimator, *shape, unknown=settings.unknown, **options)
    if kind in ("classifier", "regressor"):
        columns = shape[1] + settings.joint * shape[0]
        require_usable("agent.estimator", estimator, kind, columns, lambda model, rows: model.predict(rows))
        return EstimatorArms(estimator, *shape, joint=settings.joint, **options)
    raise UsageError(f"agent.estimator is a {kind}, which predicts no rewards; rlkit list learner shows others")
