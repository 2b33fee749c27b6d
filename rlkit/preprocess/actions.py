"""Wrappers that change actions."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import choice_sizes, space_tree
from rlkit.core.types import Array, Tree, UsageError
from rlkit.core.zero_based import start_of


class DiscreteActions(gymnasium.ActionWrapper[Any, Any, Any]):
    """Replaces continuous actions by discrete ones: action k is row k of a table."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], actions: Sequence[Sequence[float]]):
        """Wrap `env`, whose actions are rows of numbers; `actions` [K, D] is the table.

        Raises:
            UsageError: the actions of `env` are not rows of numbers, or a row of `actions` is not in its space.
        """
        super().__init__(env)
        space = env.action_space
        if not isinstance(space, spaces.Box) or len(space.shape) != 1:
            raise UsageError(f"DiscreteActions needs actions that are rows of numbers, not {space}; leave it out")
        self._table = np.array(actions, space.dtype)
        for number, row in enumerate(self._table):
            if row not in space:
                raise UsageError(f"DiscreteActions actions[{number}] is {row.tolist()}, which is not in {space}")
        self.action_space = spaces.Discrete(len(self._table))

    def action(self, action: Any) -> Array:
        """Return the row [D] of a discrete action."""
        return np.array(self._table[int(action)])

    def choice(self, action: Any) -> int:
        """Return the discrete action whose row is nearest to a row [D], such as one from the keyboard."""
        return int(np.square(self._table - np.asarray(action)).sum(axis=1).argmin())


MOST_JOINT_ACTIONS = 100_000
"""More combinations than these no agent learns apart."""


class JointActions(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Numbers all combinations of several choices, for agents of one choice such as DQN: action k is combination k.

    The last choice changes fastest. A combination is legal where each of its choices is.
    """

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any]):
        """Wrap `env`.

        Raises:
            UsageError: its actions are not several discrete choices, or there are too many combinations.
        """
        super().__init__(env)
        self._leaves = tree.leaves(space_tree(env.action_space))
        kinds = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
        if not all(isinstance(leaf, kinds) for leaf in self._leaves):
            raise UsageError(f"JointActions needs discrete choices, not {env.action_space}; leave it out")
        self._sizes = choice_sizes(env.action_space)
        number = math.prod(self._sizes)
        if number > MOST_JOINT_ACTIONS:
            raise UsageError(
                f"JointActions would make {number:,} actions of {env.action_space}; it makes at most "
                f"{MOST_JOINT_ACTIONS:,}: use agent=ppo or a2c without it"
            )
        self.action_space = spaces.Discrete(number)

    def reset(self, **keys: Any) -> Any:
        """Reset; a mask in the info becomes one of combinations."""
        observation, info = self.env.reset(**keys)
        return observation, self._joint(info)

    def step(self, action: Any) -> Any:
        """Step by the choices of a combination."""
        observation, reward, terminated, truncated, info = self.env.step(self.choices(int(action)))
        return observation, reward, terminated, truncated, self._joint(info)

    def choices(self, action: int) -> Tree:
        """Return combination `action` as the environment's own action."""
        numbers = iter(np.array(np.unravel_index(action, self._sizes)).tolist())
        return _of_space(self.env.action_space, numbers)

    def _joint(self, info: dict[str, Any]) -> dict[str, Any]:
        if "action_mask" not in info:
            return info
        flags = np.split(np.asarray(info["action_mask"], bool), np.cumsum(self._sizes)[:-1])
        joint = functools.reduce(lambda rows, own: (rows[:, None] & own).ravel(), flags)
        return {**info, "action_mask": joint}


def _of_space(space: Any, numbers: Iterator[int]) -> Tree:
    """Return the next `numbers`, counted from zero, as an action of a space."""
    if isinstance(space, spaces.Dict):
        return {key: _of_space(part, numbers) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_of_space(part, numbers) for part in space)
    if isinstance(space, spaces.Discrete):
        return int(space.start) + next(numbers)
    own = np.array(list(islice(numbers, math.prod(space.shape))), np.int64).reshape(space.shape)
    return (own + start_of(space)).astype(space.dtype)
