"""Dyna-Q (Sutton, 1990; Sutton & Barto, 2nd ed., section 8.2)."""

from __future__ import annotations

from typing import Any

from rlkit.agents.q_learning import QLearning
from rlkit.algorithms.model_based.outcomes import make_outcomes, record, restore, state_of
from rlkit.algorithms.model_based.tabular_planning import RatedTable, plan
from rlkit.algorithms.tabular.traces import Step
from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.types import Metrics, State


class DynaQ(QLearning):
    """Q-learning that also learns, after each step, from steps that its model of the environment tells of.

    Attributes:
        model: what lately followed each action in each state.
        planning_steps: updates from the model for each step of the environment.
        updates: updates of values so far, of both kinds.
    """

    name = "dyna_q"
    bonus = 0.0
    untried = False

    def __init__(self, *, planning_steps: NonNegativeInt, outcomes: PositiveInt, **options: Any):
        """Make the table and the model.

        Args:
            planning_steps: updates from the model for each step of the environment.
            outcomes: how many of the last outcomes of each action in each state the model keeps; 1: it takes the
                environment for deterministic.
            **options: those of `rlkit.algorithms.tabular.control.TabularControl`.

        Raises:
            UsageError: see there.
        """
        self.planning_steps, self._kept = planning_steps, outcomes
        self.updates = 0
        super().__init__(**options)

    def _make_tables(self) -> None:
        super()._make_tables()
        self.model = make_outcomes(self.states.size, self._num_actions, self._kept, self.gamma)

    @property
    def table(self) -> RatedTable:
        """The table of action values, as planning takes it."""
        return RatedTable(self.q.values, self.q.visits, float(self._learning_rate), float(self._learning_rate_decay))

    def learn(self, i: int, step: Step) -> list[float]:
        """Learn from a step of environment `i`, take it into the model, and plan; return the TD errors of the step."""
        errors = super().learn(i, step)
        record(self.model, step)
        plan(self.table, self.model, self.planning_steps, float(self.bonus), self.untried, self.rng)
        self.updates += len(errors) + self.planning_steps
        return errors

    def update(self) -> Metrics | None:
        """Learn from the last transition; metrics count the updates of values so far, too."""
        metrics = super().update()
        return metrics and {**metrics, "planning/updates": float(self.updates)}

    def state_dict(self) -> State:
        """Return also the model."""
        return {**super().state_dict(), "model": state_of(self.model), "updates": self.updates}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        restore(self.model, state["model"])
        self.updates = state["updates"]
