"""A finite MDP as the model of a search."""

from __future__ import annotations

from typing import Any

import gymnasium
import numba
import numpy as np

from rlkit.core.compiling import callback
from rlkit.core.types import Array
from rlkit.planning.mdp import FiniteMDP
from rlkit.planning.search.draws import below, uniform
from rlkit.planning.search.model import CHANCES, LEGAL, ROLLOUT, STEP, Rules
from rlkit.planning.search.rules import RuleModel

# The data are A, K, the place of the legal actions, and then, for each state, action and outcome: probability, next
# state, reward, and whether the episode ends.
HEAD, FIELDS = 3, 4
WITHIN: dict[str, Any] = {"error_model": "numpy", "forceinline": True, "no_cpython_wrapper": True, "_nrt": False}


@numba.njit(**WITHIN)
def _place(state, action, outcome, data):  # type: ignore[no-untyped-def]
    """Return where the fields of an outcome begin."""
    return HEAD + FIELDS * ((state * int(data[0]) + action) * int(data[1]) + outcome)


@callback(STEP)
def step(state, action, outcome, data, reached, result):  # type: ignore[no-untyped-def]
    """Look up what follows; a state is one number."""
    at = _place(state[0], action, outcome, data)
    reached[0], result[0], result[1] = int(data[at + 1]), data[at + 2], 1.0 - data[at + 3]


@callback(LEGAL)
def legal(state, data, mask):  # type: ignore[no-untyped-def]
    """Look up which actions are legal."""
    at = int(data[2]) + state[0] * mask.size
    for a in range(mask.size):
        mask[a] = data[at + a] != 0


@callback(CHANCES)
def chances(state, action, data, probability):  # type: ignore[no-untyped-def]
    """Look up how likely each outcome is."""
    for k in range(probability.size):
        probability[k] = data[_place(state[0], action, k, data)]


@callback(ROLLOUT)
def rollout(state, rng, data, gamma, max_steps):  # type: ignore[no-untyped-def]
    """Act at random."""
    actions, outcomes, now, total, scale = int(data[0]), int(data[1]), state[0], 0.0, 1.0
    for _ in range(max_steps):
        at, n = int(data[2]) + now * actions, 0
        for a in range(actions):
            n += data[at + a] != 0
        k, action = below(rng, 0, n) if n > 1 else 0, -1
        while k >= 0:
            action += 1
            k -= data[at + action] != 0
        likely = 0
        if outcomes > 1:
            left = uniform(rng, 0)
            for outcome in range(outcomes):
                chance = data[_place(now, action, outcome, data)]
                if chance > 0:
                    likely = outcome
                    left -= chance
                    if left < 0:
                        break
        at = _place(now, action, likely, data)
        total += scale * data[at + 2]
        if data[at + 3] != 0:
            return total
        now, scale = int(data[at + 1]), scale * gamma
    return total


class FiniteModel(RuleModel):
    """A finite MDP as a `Model`: a state is its number, and chance is known exactly."""

    def __init__(self, mdp: FiniteMDP):
        """Make a model of `mdp`."""
        outcomes = mdp.probability.shape[2]
        fields = np.stack([mdp.probability, mdp.next_state, mdp.reward, mdp.terminated], -1).astype(float)
        head = [mdp.num_actions, outcomes, HEAD + fields.size]
        data = np.concatenate([head, fields.ravel(), mdp.mask.ravel().astype(float)])
        super().__init__(Rules(step, legal, chances, rollout, data), mdp.num_actions, 1)
        self.num_outcomes = outcomes

    def observation(self, states: Array) -> Array:
        """Return the numbers of the states, [B] int64."""
        return states[:, 0]

    def read(self, env: gymnasium.Env[Any, Any]) -> Array:
        """Return the state of a `TabularEnv`, or of one of Gymnasium's with a table ``P``, [1] int64."""
        inner: Any = env.unwrapped
        return np.array([inner.s if hasattr(inner, "P") else inner.state], np.int64)
