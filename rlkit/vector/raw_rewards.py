"""The raw reward: the innermost environment's own reward, whatever wraps it.

A wrapper that shapes rewards need not declare it. The environment's own rewards between two decisions are added up
inside of all wrappers, and the sum is put into ``info["rlkit/raw_reward"]`` outside of them.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from rlkit.core.types import UsageError
from rlkit.vector.contract import unusable_reward

KEEP_REWARDS: tuple[Any, ...] = (
    gymnasium.Wrapper.step,
    gymnasium.ActionWrapper.step,
    gymnasium.ObservationWrapper.step,
    OrderEnforcing.step,
    TimeLimit.step,
)
"""Step methods that return reward and infos unchanged: wrappers with no other need no tap inside of them."""


class RewardTap(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The innermost wrapper: adds up the environment's rewards since `clear`.

    Attributes:
        steps: number of steps.
        reward: sum of their rewards.
        declared: sum of what the environment itself declares in ``info["rlkit/raw_reward"]``, otherwise of its rewards.
        vector: a reward was an array, of which a wrapper may make a number: that is the raw reward then.
    """

    only_watches = True

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        self.clear()

    def clear(self) -> None:
        """Start again from zero."""
        self.steps = 0
        self.reward = 0.0
        self.declared = 0.0
        self.vector = False

    def step(self, action: Any) -> Any:
        """Step, and add to the sums."""
        result = self.env.step(action)
        self.steps += 1
        if isinstance(result[1], np.ndarray) and result[1].ndim:
            self.vector = True
            return result
        reward = as_number(result[1])
        self.reward += reward
        self.declared += float(result[4].get("rlkit/raw_reward", reward))
        return result


def as_number(reward: Any) -> float:
    """Return a reward as float.

    Raises:
        UsageError: it is no single number.
    """
    fault = None if isinstance(reward, float) else unusable_reward(reward, "the environment")
    if fault is not None:
        raise UsageError(fault)
    return float(reward)


class RawReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The outermost wrapper: puts the innermost environment's reward of a step into ``info["rlkit/raw_reward"]``.

    If a wrapper makes several steps in one, as `rlkit.preprocess.FrameSkip` does, it is their sum. If the environment
    declares a raw reward in its info and a wrapper hides it, the raw reward is the environment's reward.
    """

    only_watches = True

    def __init__(self, env: gymnasium.Env[Any, Any], tap: RewardTap):
        super().__init__(env)
        self._tap = tap

    def reset(self, **keys: Any) -> Any:
        """Reset, and remove rewards from the info."""
        observation, info = self.env.reset(**keys)
        return observation, without_rewards(info)

    def step(self, action: Any) -> Any:
        """Step, and put the raw reward into the info."""
        self._tap.clear()
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._tap.steps and not self._tap.vector:
            info = {**info, "rlkit/raw_reward": self._tap.declared if "rlkit/raw_reward" in info else self._tap.reward}
        return observation, reward, terminated, truncated, info


def without_rewards(info: dict[str, Any]) -> dict[str, Any]:
    """Return the info of a reset without the keys that belong to steps.

    Gymnasium's vector environments write infos into arrays of the first value's type: a whole number from the reset of
    one environment would round the values from the steps of others.
    """
    return {key: value for key, value in info.items() if not key.startswith("rlkit/")}


def with_raw_rewards(env: gymnasium.Env[Any, Any], *, always: bool = False) -> gymnasium.Env[Any, Any]:
    """Return `env` with the innermost environment's rewards in its infos.

    Args:
        env: it is changed: its innermost wrapper then wraps a `RewardTap`.
        always: even if no wrapper can change rewards, so that the reward itself would do.
    """
    wrappers = _wrappers(env)
    if any(isinstance(layer, RewardTap) for layer in wrappers):
        return env
    if not always and all(type(layer).step in KEEP_REWARDS for layer in wrappers):
        return env
    if not wrappers:
        return RawReward(tap := RewardTap(env), tap)
    tap = RewardTap(wrappers[-1].env)
    wrappers[-1].env = tap
    return RawReward(env, tap)


def _wrappers(env: Any) -> list[gymnasium.Wrapper[Any, Any, Any, Any]]:
    """Return the wrappers from the outside in."""
    wrappers = []
    while isinstance(env, gymnasium.Wrapper):
        wrappers.append(env)
        env = env.env
    return wrappers


READ = ("rlkit/raw_reward", "_rlkit/raw_reward", "final_info")
"""What of the infos says which reward is the environment's own."""


if TYPE_CHECKING:
    AnyVectorWrapper = VectorWrapper[Any, Any, Any, Any, Any]
else:
    AnyVectorWrapper = VectorWrapper  # before Gymnasium 1.3 it takes no parameters


class VectorRewardTap(AnyVectorWrapper):
    """The innermost wrapper of a vector environment: keeps the rewards [N] and the infos of its last step."""

    def __init__(self, env: VectorEnv[Any, Any, Any]):
        super().__init__(env)
        self.reward: Any = None
        self.infos: dict[str, Any] = {}

    def step(self, actions: Any) -> Any:
        """Step, and keep rewards and infos."""
        result = self.env.step(actions)
        self.reward = result[1].copy()
        # Copies, because the wrappers around may write to the infos.
        self.infos = {key: copy.deepcopy(result[4][key]) for key in READ if key in result[4]}
        return result


def tapped_vector(vector: VectorEnv[Any, Any, Any]) -> VectorRewardTap | None:
    """Insert a `VectorRewardTap` inside of the wrappers of a vector environment and return it; None without wrappers.

    The single environments of a `gymnasium.vector.SyncVectorEnv` get `with_raw_rewards`, too; those of an
    `AsyncVectorEnv` cannot be reached in their processes.
    """
    core: Any = vector
    outer: Any = None
    while isinstance(core, VectorWrapper):
        core, outer = core.env, core
    if isinstance(core, SyncVectorEnv):
        core.envs = [with_raw_rewards(env, always=True) for env in core.envs]
    if outer is None:
        return None
    outer.env = tap = VectorRewardTap(core)
    return tap
