"""The first results of an environment are looked at before they become arrays, in which mistakes would be silent."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from rlkit.core import tree
from rlkit.core.types import UsageError
from rlkit.vector import contract
from rlkit.vector.manners import same_directory

FIRST_STEPS = 10
"""Steps that are looked at, and the resets before and among them."""

SIGNATURE = "reset must take (*, seed=None, options=None), as gymnasium.Env.reset does"


class FirstSteps(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Looks at the first resets and steps, and then leaves the environment, so that it costs nothing any more.

    It stays where the environment changes the working directory of the process, and goes back to it each time.
    """

    only_watches = True
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], *, values: bool):
        """Wrap `env`; with `values`, observations, rewards and ends are looked at, else only how many there are."""
        super().__init__(env)
        self._values = values
        self._steps = 0
        self._owner: Any = None
        self._wanders = False  # changes the working directory, so that it is looked after for good

    def leave(self, owner: gymnasium.Wrapper[Any, Any, Any, Any]) -> None:
        """Be no layer of `owner`, an outer wrapper, any more after `FIRST_STEPS`."""
        self._owner = owner

    def reset(self, **keys: Any) -> Any:
        """Reset, and look at the result.

        Raises:
            UsageError: it is not as Gymnasium and the spaces say.
        """
        try:
            result = self._staying(self.env.reset, **keys)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
            raise UsageError(f"{error}; {SIGNATURE}") from error
        _require(contract.reset_fault(result))
        if self._values:
            _look_at(result[0], self.env.observation_space, "reset")
        return result

    def step(self, action: Any) -> Any:
        """Step, and look at the result.

        Raises:
            UsageError: it is not as Gymnasium and the spaces say.
        """
        self._steps += 1
        result = self._staying(self.env.step, action)
        _require(contract.step_fault(result))
        if self._values:
            where = f"step {self._steps}"
            _look_at(result[0], self.env.observation_space, where)
            _require(contract.unusable_reward(result[1], where))
            _require(contract.unusable_end("terminated", result[2], where))
            _require(contract.unusable_end("truncated", result[3], where))
        if self._steps >= FIRST_STEPS and self._owner is not None and not self._wanders:
            self._remove()
        return result

    def _staying(self, method: Callable[..., Any], *arguments: Any, **keys: Any) -> Any:
        """Call a method, and go back to the working directory that it left."""
        with same_directory() as moved:
            result = method(*arguments, **keys)
        self._wanders = self._wanders or bool(moved)
        return result

    def _remove(self) -> None:
        layer = self._owner
        while isinstance(layer, gymnasium.Wrapper):
            if layer.env is self:
                layer.env = self.env
                return
            layer = layer.env


def _look_at(observation: Any, space: Any, where: str) -> None:
    _require(contract.lossy_observation(observation, space, where))
    _warn(contract.beyond_bounds(observation, space, where))


def _require(fault: str | None) -> None:
    if fault is not None:
        raise UsageError(fault)


def _warn(fault: str | None) -> None:
    if fault is not None:
        # The same line for all, so that Python shows it once.
        warnings.warn(fault, stacklevel=2)


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

    def reset(self, result: Any) -> None:
        """Look at the result of a reset.

        Raises:
            UsageError: it is not as Gymnasium and the spaces say.
        """
        if self._steps < FIRST_STEPS:
            _require(contract.reset_fault(result))
            self._look_at(result[0], "reset")

    def step(self, result: Any) -> None:
        """Look at the result of a step; errors as in `reset`."""
        if self._steps >= FIRST_STEPS:
            return
        self._steps += 1
        where = f"step {self._steps}"
        _require(contract.step_fault(result))
        self._look_at(result[0], where)
        for name, value in zip(("reward", "terminated", "truncated"), result[1:4], strict=True):
            # What is not finite is found in every step.
            known = np.nan_to_num(value) if name == "reward" and np.asarray(value).dtype.kind == "f" else value
            _require(contract.column_fault(name, known, self._n, where))

    def _look_at(self, observation: Any, where: str) -> None:
        _require(contract.rows_fault(observation, self._space, self._n, where))
        for i in range(self._n):
            _look_at(tree.take(observation, i), self._space, f"{where}, environment {i}")
