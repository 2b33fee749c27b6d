"""Transitions and time steps written by hand, and one update from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.types import StepInfo, TimeStep, Transition
from rlkit.vector.time_steps import first_timestep


def transition(
    observation: Any,
    action: Any,
    reward: Any,
    discount: Any,
    next_observation: Any,
    *,
    last: Any = None,
    valid: Any = None,
    next_legal_actions: Any = None,
) -> Transition:
    n = len(observation)
    discount = np.array(discount, np.float32)
    return Transition(
        observation=np.array(observation),
        action=np.array(action),
        reward=np.array(reward, np.float32),
        discount=discount,
        next_observation=np.array(next_observation),
        last=discount == 0 if last is None else np.array(last),
        valid=np.ones(n, bool) if valid is None else np.array(valid),
        legal_actions=None,
        next_legal_actions=None if next_legal_actions is None else np.array(next_legal_actions),
        info=StepInfo(np.zeros(n), np.zeros(n, bool), np.zeros(n, bool)),
    )


def seen(observation: Any, legal_actions: Any = None) -> TimeStep:
    return first_timestep(np.array(observation), None if legal_actions is None else np.array(legal_actions))


def learn(agent: Any, rows: Transition) -> Any:
    agent.observe(rows)
    return agent.update()
