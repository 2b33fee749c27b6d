"""Environments that end the process at a given step, so that a whole process can be timed up to it."""

from __future__ import annotations

import os
from typing import Any

import gymnasium
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv


class LastLake(FrozenLakeEnv):
    """A frozen lake whose first step is the process's last act."""

    def step(self, action: Any) -> Any:
        super().step(action)
        os._exit(0)


class LastPole(CartPoleEnv):
    """A cart and pole whose third step is the process's last act: an update was made before it."""

    steps = 0

    def step(self, action: Any) -> Any:
        result = super().step(action)
        self.steps += 1
        if self.steps == 3:
            os._exit(0)
        return result


gymnasium.register("LastLake-v0", LastLake)
gymnasium.register("LastPole-v0", LastPole)
