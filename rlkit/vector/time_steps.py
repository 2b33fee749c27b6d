"""Time steps of N environments, from resets and from what environments return."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.types import Array, StepInfo, TimeStep, Tree

# A reward beyond float32 becomes infinite where it is cast, and the loop says so in a line of its own.
warnings.filterwarnings(
    "ignore", "overflow encountered in cast", RuntimeWarning, r"rlkit\.vector\.(serial|time_steps)$"
)

States = Callable[[Any], Array]
"""Returns the states of simulators; see `rlkit.core.types.TimeStep`."""


def first_timestep(observation: Tree, legal_actions: Array | None, state: States | None = None) -> TimeStep:
    """Return the time step [N] of a reset, in which no row is valid."""
    n = tree.length(observation)
    no = np.zeros(n, bool)
    return TimeStep(
        observation=observation,
        reward=np.zeros(n, np.float32),
        discount=np.ones(n, np.float32),
        last=no,
        next_observation=observation,
        valid=no,
        legal_actions=legal_actions,
        next_legal_actions=legal_actions,
        state=state,
        info=StepInfo(raw_reward=np.zeros(n), game_over=no, truncated_by_checkpoint=no),
    )


def timestep(
    observation: Tree,
    reward: Array,
    discount: Array | Sequence[float],
    last: Array,
    next_observation: Tree,
    *,
    raw_reward: Any,
    game_over: Any,
    legal_actions: Array | None,
    next_legal_actions: Array | None,
    valid: Array | None = None,
    state: States | None = None,
    logged: Array | None = None,
) -> TimeStep:
    """Return the time step [N] after a step; without `valid`, all rows are."""
    n = len(reward)
    return TimeStep(
        observation=observation,
        reward=reward.astype(np.float32),
        discount=np.asarray(discount, np.float32),
        last=last,
        next_observation=next_observation,
        valid=np.ones(n, bool) if valid is None else valid,
        legal_actions=legal_actions,
        next_legal_actions=next_legal_actions,
        state=state,
        info=StepInfo(np.array(raw_reward, np.float64), np.array(game_over, bool), np.zeros(n, bool), logged),
    )
