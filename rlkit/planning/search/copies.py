"""Any environment whose state can be read and written, as the model of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np

from rlkit.core import tree
from rlkit.core.array_spaces import as_arrays
from rlkit.core.spaces import num_actions
from rlkit.core.types import Array, State, Tree, UsageError
from rlkit.planning.search.model import ModelStep, Rules, Symmetry
from rlkit.vector import snapshot
from rlkit.vector.chance import generator_moved, leaves_to_chance

SAMPLED = 8
"""Outcomes tried for each action of an environment that leaves something to chance."""


class CopyModel:
    """An environment as a `Model`: each state is a copy of its whole state, brought back for each step.

    A truncation ends the world like a termination: beyond it there is nothing to be gained.
    """

    bound: float | None = None
    symmetries: Sequence[Symmetry] = ()
    rules: Rules | None = None

    def __init__(self, env: gymnasium.Env[Any, Any], num_outcomes: int | None):
        """Copy an environment that only the model uses.

        Args:
            env: with discrete actions; `rlkit.vector.snapshot` must be able to read it.
            num_outcomes: so many draws of each action in each state stand for all (Kearns, Mansour & Ng, 2002); None: 1
                where random play leaves nothing to chance, else `SAMPLED`.

        Raises:
            UsageError: its state cannot be read or holds a generator of its own, or its actions are not discrete.
        """
        self._env = as_arrays(env)
        self.num_actions = num_actions(self._env.action_space, agent="a search")
        self._env.reset(seed=0)
        if (why := snapshot.why_opaque(self._env)) is not None:
            raise UsageError(f"a search needs copies of the environment, whose state cannot be read: {why}")
        drawn = SAMPLED if leaves_to_chance(self._env) else 1
        self.num_outcomes = drawn if num_outcomes is None else num_outcomes

    def step(self, states: Array, action: Array, outcome: Array) -> ModelStep:
        """Return the results of `action` [B] int64; `states` [B] are objects that `read` or `step` returned."""
        reached = np.empty(len(states), object)
        reward, discount = np.zeros(len(states)), np.ones(len(states))
        for b in range(len(states)):
            drawn = int(outcome[b]) if self.num_outcomes > 1 else None
            reached[b], reward[b], discount[b] = self._tried(states[b]["env"], int(action[b]), drawn)
            if drawn is None and generator_moved(states[b]["env"], reached[b]["env"]):
                # What the true generator draws next is nothing that a search may know.
                reached[b], reward[b], discount[b] = self._tried(states[b]["env"], int(action[b]), 0)
        return ModelStep(reached, reward, discount)

    def _tried(self, state: State, action: int, outcome: int | None) -> tuple[State, float, float]:
        """Return what `action` reaches, its reward and discount, by one of chance's outcomes or by what is to come."""
        snapshot.restore(self._env, state)
        if outcome is not None:
            _reseed(self._env, state, outcome)
        observation, reward, terminated, truncated, info = self._env.step(action)
        discount = 0.0 if terminated or truncated else info.get("rlkit/discount", 1.0)
        return _observed(self._env, observation, info.get("action_mask")), float(reward), discount

    def legal_actions(self, states: Array) -> Array:
        """Return ``info["action_mask"]`` where the environment has one, else everything; [B, A] bool."""
        everything = np.ones(self.num_actions, bool)
        masks = [state["mask"] for state in states]
        return np.array([everything if mask is None else mask for mask in masks], bool)

    def chances(self, states: Array) -> Array:
        """Return equal shares, [B, A, K]."""
        return np.full((len(states), self.num_actions, self.num_outcomes), 1 / self.num_outcomes)

    def observation(self, states: Array) -> Tree:
        """Return what was observed, [B, ...]."""
        return tree.stack([state["observation"] for state in states])

    def blank_state(self) -> Array:
        """Return an array [] of one object."""
        return np.array(None, object)

    def read(self, env: gymnasium.Env[Any, Any]) -> Array:
        """Return the state that an environment is in: an array [] of one object."""
        return np.array(_observed(env, None, None), object)

    def complete(self, states: Array, observation: Tree, legal_actions: Array | None) -> Array:
        """Return states [B] that were read, with what was observed."""
        completed = np.empty(len(states), object)
        for b, state in enumerate(states):
            mask = None if legal_actions is None else legal_actions[b]
            completed[b] = {**state, "observation": tree.take(observation, b), "mask": mask}
        return completed


def _observed(env: gymnasium.Env[Any, Any], observation: Any, mask: Any) -> State:
    # Copies, because the environment may write the next ones into the same arrays.
    shown = None if observation is None else tree.map(np.array, observation)
    return {"env": snapshot.capture(env), "observation": shown, "mask": None if mask is None else np.array(mask)}


def _reseed(env: gymnasium.Env[Any, Any], state: State, outcome: int) -> None:
    """Choose one of chance's outcomes: the generator is seeded by its own state and the outcome's number."""
    saved = state["generator"]
    words = {} if saved is None else saved["state"]["state"]
    seeds = [int(word) for value in words.values() for word in np.atleast_1d(value)]
    env.unwrapped.np_random = np.random.default_rng([*seeds, outcome])
