"""The first results of an environment are looked at before they become arrays, in which mistakes would be silent."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from rlkit.core import tree
from rlkit.core.spaces import is_tree_of_arrays
from rlkit.core.types import EnvironmentFaultError
from rlkit.vector import contract
from rlkit.vector.manners import unchanged
from rlkit.vector.results import require

FIRST_STEPS = 10
"""Steps that are looked at, and the resets before and among them."""

EXAMINED = "`rlkit check` with the same env= and wrappers= examines all of it"

SIGNATURE = "reset must take (*, seed=None, options=None), as gymnasium.Env.reset does"


class BeyondBoundsWarning(UserWarning):
    """An observation lies outside of the bounds of its space."""


class FirstSteps(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Looks at the first resets and steps, and then leaves the environment, so that it costs nothing any more.

    It stays where the environment changes the working directory, or something else of the process that is not its own,
    and changes that back each time.
    """

    only_watches = True
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], *, values: bool):
        """Wrap `env`; with `values`, observations, rewards and ends are looked at, else only how many there are."""
        super().__init__(env)
        self._values = values
        self._observations = _Observations()
        self._steps = 0
        self._owner: Any = None
        self._wanders = False  # changes what is not its own, so that it is looked after for good

    def leave(self, owner: gymnasium.Wrapper[Any, Any, Any, Any]) -> None:
        """Be no layer of `owner`, an outer wrapper, any more after `FIRST_STEPS`.

        It stays where observations are no arrays: the wrapper that makes arrays of them would fail without words.
        """
        if not self._values or is_tree_of_arrays(self.env.observation_space):
            self._owner = owner

    def reset(self, **keys: Any) -> Any:
        """Reset, and look at the result.

        Raises:
            EnvironmentFaultError: it is not as Gymnasium and the spaces say.
        """
        try:
            result = self._staying(self.env.reset, **keys)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
            raise EnvironmentFaultError(f"{error}; {SIGNATURE}") from error
        require(contract.reset_fault(result))
        if self._values:
            self._observations.look_at(result[0], self.env.observation_space, "reset")
        return result

    def step(self, action: Any) -> Any:
        """Step, and look at the result.

        Raises:
            EnvironmentFaultError: it is not as Gymnasium and the spaces say.
        """
        self._steps += 1
        result = self._staying(self.env.step, action)
        require(contract.step_fault(result))
        if self._values:
            where = f"step {self._steps}"
            self._observations.look_at(result[0], self.env.observation_space, where)
            require(contract.unusable_reward(result[1], where))
            require(contract.unusable_end("terminated", result[2], where))
            require(contract.unusable_end("truncated", result[3], where))
        if self._steps >= FIRST_STEPS and self._owner is not None and not self._wanders:
            self._remove()
        return result

    def _staying(self, method: Callable[..., Any], *arguments: Any, **keys: Any) -> Any:
        """Call a method, and change back what is not its own to change."""
        with unchanged() as changed:
            result = method(*arguments, **keys)
        self._wanders = self._wanders or bool(changed)
        return result

    def _remove(self) -> None:
        layer = self._owner
        while isinstance(layer, gymnasium.Wrapper):
            if layer.env is self:
                layer.env = self.env
                return
            layer = layer.env


class _Observations:
    """Refuses observations that arrays would not hold, and warns once of those beyond their bounds."""

    def __init__(self) -> None:
        self._warned = False

    def look_at(self, observation: Any, space: Any, where: str) -> None:
        require(contract.lossy_observation(observation, space, where))
        fault = None if self._warned else contract.beyond_bounds(observation, space, where)
        if fault is not None:
            self._warned = True
            warnings.warn(f"{fault}; {EXAMINED}", BeyondBoundsWarning, stacklevel=2)


def watch_form(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Return `env` with a watcher of how many values it returns inside of all its wrappers."""
    if not isinstance(env, gymnasium.Wrapper):
        return FirstSteps(env, values=False)
    layer = env
    while isinstance(layer.env, gymnasium.Wrapper):
        layer = layer.env
    layer.env = FirstSteps(layer.env, values=False)
    return env


def leave_after_first_steps(owner: gymnasium.Wrapper[Any, Any, Any, Any]) -> None:
    """Let all watchers inside of `owner` leave it when they have seen enough."""
    layer: Any = owner
    while isinstance(layer, gymnasium.Wrapper):
        if isinstance(layer, FirstSteps):
            layer.leave(owner)
        layer = layer.env


class FirstVectorSteps:
    """Looks at the first resets and steps of a vector environment."""

    def __init__(self, space: Any, num_envs: int):
        """Look at the results of `num_envs` environments with the single observation space `space`."""
        self._space, self._n = space, num_envs
        self._steps = 0
        self._observations = _Observations()

    def reset(self, result: Any) -> None:
        """Look at the result of a reset.

        Raises:
            EnvironmentFaultError: it is not as Gymnasium and the spaces say.
        """
        if self._steps < FIRST_STEPS:
            require(contract.reset_fault(result))
            self._look_at(result[0], "reset")

    def step(self, result: Any) -> None:
        """Look at the result of a step; errors as in `reset`."""
        if self._steps >= FIRST_STEPS:
            return
        self._steps += 1
        where = f"step {self._steps}"
        require(contract.step_fault(result))
        self._look_at(result[0], where)
        for name, value in zip(("reward", "terminated", "truncated"), result[1:4], strict=True):
            # What is not finite is found in every step.
            known = np.nan_to_num(value) if name == "reward" and np.asarray(value).dtype.kind == "f" else value
            require(contract.column_fault(name, known, self._n, where))

    def _look_at(self, observation: Any, where: str) -> None:
        require(contract.rows_fault(observation, self._space, self._n, where))
        for i in range(self._n):
            self._observations.look_at(tree.take(observation, i), self._space, f"{where}, environment {i}")
