"""Tabular agents with every setting given, and a walk for them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.agents.double_q_learning import DoubleQLearning
from rlkit.agents.expected_sarsa import ExpectedSarsa
from rlkit.agents.mc_control import MCControl
from rlkit.agents.q_learning import QLearning
from rlkit.agents.sarsa import Sarsa
from rlkit.algorithms.tabular.control import TabularControl
from rlkit.core.loop import interact
from rlkit.core.schedules import Constant

AGENTS = (QLearning, DoubleQLearning, Sarsa, ExpectedSarsa)


COMMON: dict[str, Any] = {
    "observation_space": spaces.Discrete(20),
    "action_space": spaces.Discrete(2),
    "gamma": 0.5,
    "epsilon": Constant(0.2),
    "epsilon_counts": "steps",
    "learning_rate": 0.5,
    "learning_rate_decay": 0.0,
    "initial_value": 0.0,
    "discretizer": None,
}


def make(kind: type[TabularControl], **keys: Any) -> Any:
    """Return an agent of temporal differences with a generator of its own."""
    own = {"n_step": 1, "trace_decay": 0.0, "rng": np.random.default_rng(0)}
    return kind(**{**COMMON, **own, **keys})


def monte_carlo(**keys: Any) -> Any:
    own = {"learning_rate": 1.0, "learning_rate_decay": 1.0, "first_visit": True, "exploring_starts": False}
    own |= {"off_policy": False, "rng": np.random.default_rng(0)}
    return MCControl(**{**COMMON, **own, **keys})


def stream_of(agent: Any, env: Any, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    return interact(agent, env, explore=True, rng=rng, reset_seeds=lambda step: list(range(env.num_envs)))


class Walk(gymnasium.Env[int, int]):
    """Sutton & Barto, 2nd ed., example 6.2; the action is which way, so the uniform policy walks at random."""

    observation_space = spaces.Discrete(7)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.at = 3
        return 3, {}

    def step(self, action: int) -> Any:
        self.at += 1 if action else -1
        return self.at, float(self.at == 6), self.at in (0, 6), False, {}
