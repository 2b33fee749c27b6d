"""Wrappers that change where episodes begin and end."""

from __future__ import annotations

import copy
from typing import Any

import gymnasium
import numpy as np

from rlkit.core.ranges import NonNegativeInt
from rlkit.core.types import State, UsageError


class NoopStarts(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins an episode with a random number of steps that do nothing; their rewards are dropped."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], max: NonNegativeInt, action: int = 0):
        """Wrap `env`; 0 to `max` steps, drawn uniformly by the environment's generator, with `action`.

        Raises:
            UsageError: `max` is negative.
        """
        super().__init__(env)
        if max < 0:
            raise UsageError(f"NoopStarts max is {max}; it must be at least 0")
        self._max = max
        self._action = action

    def reset(self, **kwargs: Any) -> Any:
        """Reset, and step without acting; a game that ends meanwhile is reset."""
        observation, info = self.env.reset(**kwargs)
        for _ in range(int(self.env.unwrapped.np_random.integers(self._max + 1))):
            observation, _, terminated, truncated, info = self.env.step(self._action)
            if terminated or truncated:
                observation, info = self.env.reset()
        return observation, info


class FireReset(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Begins an episode with one press of a button, for games that wait for it."""

    state_fields: tuple[str, ...] = ()
    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any], action: int | None = None):
        """Wrap `env`.

        Args:
            env: the environment.
            action: the button; None: ``FIRE`` in the environment's ``get_action_meanings()``, if it is there.

        Raises:
            UsageError: there is no `action`, and the environment has no ``get_action_meanings()``.
        """
        super().__init__(env)
        self._action = _fire(env) if action is None else action

    def reset(self, **kwargs: Any) -> Any:
        """Reset, and press the button; a game that ends by that is reset."""
        observation, info = self.env.reset(**kwargs)
        if self._action is not None:
            observation, _, terminated, truncated, info = self.env.step(self._action)
            if terminated or truncated:
                observation, info = self.env.reset()
        return observation, info


def _fire(env: gymnasium.Env[Any, Any]) -> int | None:
    if not env.has_wrapper_attr("get_action_meanings"):
        raise UsageError(
            "FireReset does not know which action fires: the environment has no get_action_meanings(); give action="
        )
    meanings = list(env.get_wrapper_attr("get_action_meanings")())
    return meanings.index("FIRE") if "FIRE" in meanings else None


KEPT = ("lives", "action_mask")
"""What of an info the reset after a lost life returns again."""


class LifeLoss(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Ends the learner's episode at each lost life, while the game continues.

    Lives are counted in ``info["lives"]``. A step that loses one is terminated with ``info["rlkit/game_over"]`` False,
    and the reset after it changes nothing: the next episode begins with the observation that the last one ended with. A
    reset with a seed, or at any other time, begins a new game.
    """

    keeps_frames = True

    def __init__(self, env: gymnasium.Env[Any, Any]):
        """Wrap `env`."""
        super().__init__(env)
        self._lives = 0
        self._lost: tuple[Any, dict[str, Any]] | None = None

    def reset(self, **kwargs: Any) -> Any:
        """Continue after a lost life, else begin a new game.

        Raises:
            UsageError: the info has no ``lives``.
        """
        if self._lost is not None and not any(value is not None for value in kwargs.values()):
            (observation, info), self._lost = self._lost, None
            return observation, info
        self._lost = None
        observation, info = self.env.reset(**kwargs)
        if "lives" not in info:
            raise UsageError("LifeLoss needs info['lives'] from reset and step; leave it out (env.life_loss=false)")
        self._lives = int(info["lives"])
        return observation, info

    def step(self, action: Any) -> Any:
        """Step; terminated if a life was lost."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        before, self._lives = self._lives, int(info["lives"])
        lost = 0 < self._lives < before
        goes_on = lost and not (terminated or truncated)
        kept = {key: copy.copy(info[key]) for key in KEPT if key in info}
        self._lost = (copy.deepcopy(observation), kept) if goes_on else None
        info = {**info, "rlkit/game_over": False} if goes_on else info
        return observation, reward, terminated or lost, truncated, info

    def get_state(self) -> State:
        """Return the lives and, right after a lost one, the result of the next reset."""
        lost = None if self._lost is None else {"observation": np.array(self._lost[0]), "info": dict(self._lost[1])}
        return {"lives": self._lives, "lost": lost}

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._lives = state["lives"]
        lost = state["lost"]
        self._lost = None if lost is None else (np.array(lost["observation"]), dict(lost["info"]))
