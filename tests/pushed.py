"""Small environments of agents with an actor and critics, and numerical gradients of their losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from toys import Plain


class Pushed(Plain):
    """A `Plain` with continuous actions, of which one number is locked."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Box(np.array([-2, 0, 1], np.float32), np.array([2, 4, 1], np.float32))

    def reset(self, **kwargs: Any) -> Any:
        return super().reset(**kwargs)[0] / np.float32(100), {}

    def step(self, action: Any) -> Any:
        assert action in self.action_space
        observation, reward, *ends, _ = super().step(int(action[1]) % 3)
        return observation / np.float32(100), reward + float(action[0]), *ends, {}


class Chosen(Plain):
    """A `Plain` of small numbers without masks."""

    def reset(self, **kwargs: Any) -> Any:
        return super().reset(**kwargs)[0] / np.float32(100), {}

    def step(self, action: Any) -> Any:
        observation, *rest, _ = super().step(action)
        return observation / np.float32(100), *rest, {}


def numerical(value: Any, parameter: Tensor, index: tuple[int, ...]) -> float:
    """Return the slope of `value` [] as a function of one number of a parameter."""
    with torch.no_grad():
        at, step = parameter[index].item(), 1e-6
        parameter[index] = at + step
        above = value().item()
        parameter[index] = at - step
        below = value().item()
        parameter[index] = at
    return float((above - below) / (2 * step))
