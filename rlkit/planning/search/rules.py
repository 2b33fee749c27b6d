"""Compiled rules as a `Model`: many states at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gymnasium
import numpy as np

from rlkit.core.compiling import callback, entry
from rlkit.core.types import Array
from rlkit.planning.search.model import CHANCES, ModelStep, Rules, Symmetry

F = TypeVar("F", bound=Callable[..., Any])
kept: Callable[[F], F] = entry(error_model="numpy", no_cfunc_wrapper=True)


@callback(CHANCES)
def certain(state, action, data, probability):  # type: ignore[no-untyped-def]
    """Leave nothing to chance: the `chances` of rules in which each action has one outcome."""
    probability[0] = 1.0


@kept
def _step(step: Any, data: Array, states: Array, action: Array, outcome: Array, reached: Array, result: Array) -> None:
    for b in range(len(states)):
        step(states[b], action[b], outcome[b], data, reached[b], result[b])


@kept
def _legal(legal: Any, data: Array, states: Array, mask: Array) -> None:
    for b in range(len(states)):
        legal(states[b], data, mask[b])


@kept
def _chances(chances: Any, data: Array, states: Array, probability: Array) -> None:
    for b in range(len(states)):
        for a in range(probability.shape[1]):
            chances(states[b], a, data, probability[b, a])


class RuleModel:
    """A `Model` of compiled rules; a subclass says what is observed, and where an environment keeps its state."""

    num_outcomes = 1
    bound: float | None = None
    symmetries: Sequence[Symmetry] = ()

    def __init__(self, rules: Rules, num_actions: int, state_size: int):
        """Make a model of rules with so many actions, and so many numbers in a state."""
        self._size = state_size
        self.rules: Rules | None = rules
        self._rules = rules
        self.num_actions = num_actions

    def step(self, states: Array, action: Array, outcome: Array) -> ModelStep:
        """Return the results of `action` [B] int64 with chance's `outcome` [B]."""
        states, reached, result = np.ascontiguousarray(states), np.empty_like(states), np.empty((len(states), 2))
        action, outcome = np.asarray(action, np.int64), np.asarray(outcome, np.int64)
        _step(self._rules.step, self._rules.data, states, action, outcome, reached, result)
        return ModelStep(reached, result[:, 0], result[:, 1])

    def legal_actions(self, states: Array) -> Array:
        """Return which actions are legal, [B, A] bool."""
        mask = np.empty((len(states), self.num_actions), bool)
        _legal(self._rules.legal, self._rules.data, np.ascontiguousarray(states), mask)
        return mask

    def chances(self, states: Array) -> Array:
        """Return how likely each outcome is, [B, A, K] float64."""
        probability = np.zeros((len(states), self.num_actions, self.num_outcomes))
        _chances(self._rules.chances, self._rules.data, np.ascontiguousarray(states), probability)
        return probability

    def observation(self, states: Array) -> Array:
        """Return what the environment shows of the states, [B, ...]."""
        raise NotImplementedError

    def blank_state(self) -> Array:
        """Return zeros, [S] int64."""
        return np.zeros(self._size, np.int64)

    def read(self, env: gymnasium.Env[Any, Any]) -> Array:
        """Return the state that an environment is in, [S] int64."""
        raise NotImplementedError

    def complete(self, states: Array, observation: Array, legal_actions: Array | None) -> Array:
        """Return the states [B, S] as they are: they are complete."""
        return states
