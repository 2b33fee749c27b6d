"""Policies that do not change: the uniform one, and mixins of agents that act by a policy or do not learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.random_actions import random_action, uniform
from rlkit.core.types import Actor, FromRun, Memory, Metrics, State, TimeStep, Transition, Tree


class Uniform:
    """Draws each action uniformly from the action space, among the legal ones where the environment says which."""

    def __init__(self, action_space: FromRun[Any]):
        """Draw from `action_space`, which may be any Gymnasium space."""
        self._space = action_space
        self._choices = int(action_space.n) if isinstance(action_space, spaces.Discrete) else None

    def initial_memory(self, n: int) -> Memory:
        """Return an empty memory for `n` environments."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return a random action [N] or [N, ...] for each environment."""
        n = len(timestep.valid)
        if self._choices is not None:
            return uniform(self._choices, n, rng, timestep.legal_actions), memory
        rows = [None] * n if timestep.legal_actions is None else list(timestep.legal_actions)
        return tree.stack([random_action(self._space, rng, row) for row in rows]), memory


class PolicyActor:
    """A mixin of agents that act by a given policy, such as those that only estimate its values."""

    def __init__(self, policy: Actor):
        """Act by `policy`."""
        self._policy = policy

    def initial_memory(self, n: int) -> Memory:
        """Return the policy's memory for `n` environments."""
        return self._policy.initial_memory(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return the policy's actions [N] or [N, ...], and its memory."""
        return self._policy.act(timestep, memory, explore=explore, rng=rng)


class NonLearning:
    """A mixin that makes an agent of an actor: it does not learn and has no state."""

    def observe(self, transition: Transition) -> None:
        """Ignore the transition."""

    def update(self) -> Metrics | None:
        """Return None: nothing is learned."""
        return None

    def state_dict(self) -> State:
        """Return an empty dict."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Do nothing: there is no state to restore."""
