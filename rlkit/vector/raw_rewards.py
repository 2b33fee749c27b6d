"""What the innermost environment gave, whatever wraps it: the raw reward.

A wrapper that shapes rewards need not say so. Between two decisions the rewards of the environment itself are added up
right where they come from, and the sum is put into ``info["raw_reward"]`` outside of all wrappers.
"""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.wrappers import OrderEnforcing, TimeLimit

KEEP_REWARDS: tuple[Any, ...] = (
    gymnasium.Wrapper.step,
    gymnasium.ActionWrapper.step,
    gymnasium.ObservationWrapper.step,
    OrderEnforcing.step,
    TimeLimit.step,
)
"""Steps that hand on reward and infos as they are: wrappers that have no other need no look below them."""


class RewardTap(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Right around the environment itself: adds up its rewards since `clear`, which nobody else can see.

    Attributes:
        steps: how many there were.
        reward: their rewards' sum.
        told: the sum of what the environment calls raw itself, in ``info["raw_reward"]``; else of its rewards.
    """

    only_watches = True

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        self.clear()

    def clear(self) -> None:
        """Begin again."""
        self.steps, self.reward, self.told = 0, 0.0, 0.0

    def step(self, action: Any) -> Any:
        """Step, and add up."""
        result = self.env.step(action)
        self.steps += 1
        self.reward += float(result[1])
        self.told += float(result[4].get("raw_reward", result[1]))
        return result


class RawReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Outside of all wrappers: says in ``info["raw_reward"]`` what the innermost environment gave in a step.

    A wrapper that takes several steps for one, as `rlkit.preprocess.FrameSkip` does, brings in their sum. Where the
    environment calls something else than its reward raw and a wrapper hides that, raw is the reward.
    """

    only_watches = True

    def __init__(self, env: gymnasium.Env[Any, Any], tap: RewardTap):
        super().__init__(env)
        self._tap = tap

    def reset(self, **keys: Any) -> Any:
        """Reset, which gives no reward."""
        observation, info = self.env.reset(**keys)
        return observation, without_rewards(info)

    def step(self, action: Any) -> Any:
        """Step."""
        self._tap.clear()
        observation, reward, terminated, truncated, info = self.env.step(action)
        if self._tap.steps:
            info = {**info, "raw_reward": self._tap.told if "raw_reward" in info else self._tap.reward}
        return observation, reward, terminated, truncated, info


def without_rewards(info: dict[str, Any]) -> dict[str, Any]:
    """Return the info of a reset without what only a step can say.

    Gymnasium's vector environments write infos into arrays of the first value's type: a whole number that one
    environment says at its reset would round what others say of their steps.
    """
    return {key: value for key, value in info.items() if key not in ("raw_reward", "game_over", "discount")}


def with_raw_rewards(env: gymnasium.Env[Any, Any], *, always: bool = False) -> gymnasium.Env[Any, Any]:
    """Return `env` with the innermost environment's rewards in its infos.

    Args:
        env: it is changed: its innermost wrapper wraps a `RewardTap` afterwards.
        always: also where no wrapper can change rewards, and the reward itself would do.
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
    found = []
    while isinstance(env, gymnasium.Wrapper):
        found.append(env)
        env = env.env
    return found


class VectorRewardTap(VectorWrapper[Any, Any, Any, Any, Any]):
    """Right around a vector environment: keeps the rewards [N] and the infos of its last step."""

    def __init__(self, env: VectorEnv[Any, Any, Any]):
        super().__init__(env)
        self.reward: Any = None
        self.infos: dict[str, Any] = {}

    def step(self, actions: Any) -> Any:
        """Step, and keep."""
        result = self.env.step(actions)
        self.reward, self.infos = result[1].copy(), result[4]
        return result


def tapped_vector(vector: VectorEnv[Any, Any, Any]) -> VectorRewardTap | None:
    """Let rewards be seen below the wrappers of a vector environment; return what sees them, None where none is needed.

    The single environments of a `gymnasium.vector.SyncVectorEnv` get `with_raw_rewards`, too; those of an
    `AsyncVectorEnv` are out of reach in their processes.
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
