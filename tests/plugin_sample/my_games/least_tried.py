"""The action that was tried least."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.spaces import num_actions, num_states, state_index
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition


class LeastTried:
    """Counts what it tried in each state; ties are broken at random."""

    def __init__(self, *, observation_space: FromRun[Any], action_space: FromRun[Any]):
        """Start with no counts; both spaces are discrete, and come from the run."""
        self._space = observation_space
        states, actions = (
            num_states(observation_space, agent="least_tried"),
            num_actions(action_space, agent="least_tried"),
        )
        self._counts = np.zeros((states, actions), np.int64)

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the least tried action [N], among the legal ones where the environment says which."""
        counts = self._counts[state_index(timestep.observation, self._space)].astype(float)
        if timestep.legal_actions is not None:
            counts[~timestep.legal_actions] = np.inf
        return (counts + 0.5 * rng.random(counts.shape)).argmin(1), memory

    def observe(self, transition: Transition) -> None:
        """Count the actions [N]; rows that are not valid are no steps."""
        states = state_index(transition.observation, self._space)
        np.add.at(self._counts, (states[transition.valid], transition.action[transition.valid]), 1)

    def update(self) -> Metrics | None:
        """Do no more: counting is all it learns. An agent with a loss returns it here, e.g. ``{"loss/td": 0.1}``."""
        return None

    def state_dict(self) -> State:
        """Return all that changes while training, as plain data."""
        return {"counts": self._counts}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._counts = np.array(state["counts"])
