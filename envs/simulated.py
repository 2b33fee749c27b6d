"""Environments of other packages that MuJoCo simulates, with a state that can be read and written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np

from rlkit.core.types import Array, State
from rlkit.vector import mujoco_state

PLACED = (
    *("body_pos", "body_quat", "geom_pos", "geom_quat", "geom_size", "geom_rgba"),
    *("site_pos", "site_quat", "site_size", "site_rgba", "light_pos"),
)
"""Arrays of a model by which environments show goals."""

PLAIN = (bool, int, float, np.ndarray, np.generic, type(None))
"""Kinds of attributes that belong to a state. Texts do not: they are names, and places of own files."""


class Simulated(gymnasium.Env[Any, Any]):
    """An environment and its simulations, whose states and plain attributes are the whole state."""

    def __init__(
        self, inner: Any, simulations: Iterable[tuple[Any, Any]], owners: Iterable[Any], changing: Iterable[str]
    ):
        """Use an environment.

        Args:
            inner: the environment.
            simulations: model and data of each of its simulations.
            owners: objects with attributes that belong to the state: those that are plain data.
            changing: arrays of the models that change.
        """
        self.inner = inner
        self.observation_space, self.action_space = inner.observation_space, inner.action_space
        self.metadata, self.render_mode = inner.metadata, inner.render_mode
        self._simulations, self._owners, self._changing = list(simulations), list(owners), tuple(changing)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        super().reset(seed=seed)
        observation, info = self.inner.reset(seed=seed, options=options)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step."""
        observation, reward, terminated, truncated, info = self.inner.step(action)
        return observation, reward, terminated, truncated, info

    def render(self) -> Any:
        """Return a frame [H, W, 3] uint8."""
        return self.inner.render()

    def close(self) -> None:
        """Release the simulators."""
        self.inner.close()

    def get_state(self) -> State:
        """Return simulations, attributes and generators."""
        return {
            "simulations": [mujoco_state.read(model, data, self._changing) for model, data in self._simulations],
            "attributes": [_attributes(owner) for owner in self._owners],
            "generators": [_generator_state(owner) for owner in self._owners],
        }

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`.

        Raises:
            ValueError: it is none of these simulations.
        """
        for (model, data), saved in zip(self._simulations, state["simulations"], strict=True):
            mujoco_state.write(model, data, saved)
        for owner, saved, generator in zip(self._owners, state["attributes"], state["generators"], strict=True):
            vars(owner).update({name: saved[name] for name in _attributes(owner) if name in saved})
            _set_generator(owner, generator)


class GoalRobot(Simulated):
    """One with goals, as Gymnasium-Robotics has them."""

    def compute_reward(self, achieved_goal: Array, desired_goal: Array, info: dict[str, Any]) -> Any:
        """Return what steps to achieved goals [..., n] earn."""
        return self.inner.compute_reward(achieved_goal, desired_goal, info)

    def compute_terminated(self, achieved_goal: Array, desired_goal: Array, info: dict[str, Any]) -> Any:
        """Return whether reaching one goal, [n], ends an episode."""
        return self.inner.compute_terminated(achieved_goal, desired_goal, info)


def _attributes(owner: Any) -> dict[str, Any]:
    """Return the attributes of an object that are plain data, copied."""
    own = {name: value for name, value in vars(owner).items() if isinstance(value, PLAIN)}
    return {name: np.array(value) if isinstance(value, np.ndarray) else value for name, value in own.items()}


def _generator_state(owner: Any) -> Any:
    """Return the state of an object's generator, Gymnasium's or dm_control's; None: it has none yet."""
    if "_random" in vars(owner):
        return owner._random.get_state(legacy=False)
    generator = vars(owner).get("_np_random")
    return None if generator is None else generator.bit_generator.state


def _set_generator(owner: Any, state: Any) -> None:
    if state is None:
        vars(owner).update(dict.fromkeys({"_np_random"} & set(vars(owner))))
    elif "_random" in vars(owner):
        owner._random.set_state(state)
    else:
        owner.np_random.bit_generator.state = state
