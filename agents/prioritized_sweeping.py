"""Prioritized sweeping (Moore and Atkeson, 1993; Peng and Williams, 1993; Sutton & Barto, 2nd ed., section 8.4)."""

from __future__ import annotations

from typing import Any, NamedTuple

from rlkit.agents.dyna_q import DynaQ
from rlkit.algorithms.model_based.outcomes import record, restore, state_of
from rlkit.algorithms.model_based.tabular_planning import (
    link,
    make_predecessors,
    make_queue,
    sweep,
    unlink,
)
from rlkit.algorithms.tabular.traces import Step
from rlkit.core.ranges import NonNegativeFloat
from rlkit.core.types import State


class PrioritizedSweeping(DynaQ):
    """Learns from its model alone, first where values are furthest from what the model says they should be.

    An update is towards the mean over the outcomes that the model keeps; what leads to a state whose value moved
    becomes urgent in its turn.

    Attributes:
        predecessors: from which states and actions the model leads to each state.
        queue: states and actions by how far their values are from their targets.
    """

    name = "prioritized_sweeping"

    def __init__(self, *, threshold: NonNegativeFloat, **options: Any):
        """Make the table, the model and the queue.

        Args:
            threshold: a value that is no further from its target is left alone.
            **options: those of `DynaQ`.

        Raises:
            UsageError: see there.
        """
        self.threshold = threshold
        super().__init__(**options)

    def _make_tables(self) -> None:
        super()._make_tables()
        self.predecessors = make_predecessors(self.states.size, self.model.reward.size)
        self.queue = make_queue(self.model.tries.size)

    def learn(self, i: int, step: Step) -> list[float]:
        """Take a step into the model, and learn what is most urgent; return how far the step's value was off."""
        self._remember(step)
        pair = step.s_tm1, step.a_tm1
        threshold, most = float(self.threshold), self.planning_steps
        error, updates = sweep(self.table, self.model, self.predecessors, self.queue, *pair, threshold, most)
        self.updates += updates
        return [error]

    def _remember(self, step: Step) -> None:
        s, a, kept = step.s_tm1, step.a_tm1, self.model.reward.shape[2]
        before = self.model.next_state[s, a].tolist()
        known = int(self.model.tries[s, a])
        k = record(self.model, step)
        place = (s * self._num_actions + a) * kept + k
        if known > k:
            unlink(self.predecessors, before[k], place)
        link(self.predecessors, step.s_t, place)

    def state_dict(self) -> State:
        """Return also the queue, and what leads to each state."""
        parts: dict[str, NamedTuple] = {"predecessors": self.predecessors, "queue": self.queue}
        return {**super().state_dict(), **{name: state_of(part) for name, part in parts.items()}}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        super().load_state_dict(state)
        restore(self.predecessors, state["predecessors"])
        restore(self.queue, state["queue"])
