"""The rules of environments with goals: what is earned, and whether an episode ends, if another goal had been wanted.

As Gymnasium-Robotics has it, such an environment has ``compute_reward(achieved_goal, desired_goal, info)``, which takes
goals [B, ...] at once and returns [B] rewards, and may have ``compute_terminated`` likewise. `info` is empty.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

from rlkit.core import tree
from rlkit.core.types import Array, Goals, Tree, UsageError

Rule = Callable[[Any, Any, dict[str, Any]], Any]


def goals_of(env: Any) -> Goals:
    """Return the rules of a `gymnasium.Env`, wrapped or not, or of a vector environment that offers them itself.

    Raises:
        UsageError: it has no ``compute_reward``; what is returned raises it where that returns no [B] rewards.
    """
    reward, terminated = (_method(env, name) for name in ("compute_reward", "compute_terminated"))
    if reward is None:
        raise UsageError(
            f"{type(env.unwrapped).__name__} has no compute_reward(achieved_goal, desired_goal, info), by which "
            "rewards for other goals are computed; take replay=uniform"
        )
    return Goals(_rewards(reward), None if terminated is None else _ends(terminated))


def _method(env: Any, name: str) -> Rule | None:
    """Return a method of the outermost layer that has one."""
    while not callable(found := getattr(type(env), name, None)):
        if not isinstance(env, gymnasium.Wrapper):
            return None
        env = env.env
    return None if found is None else getattr(env, name)


def _rewards(rule: Rule) -> Callable[[Tree, Tree], Array]:
    def rewards(achieved: Tree, desired: Tree) -> Array:
        try:
            found = np.asarray(rule(achieved, desired, {}), np.float64)
        except (TypeError, ValueError, KeyError, IndexError) as problem:
            raise UsageError(_not_vectorized(problem)) from problem
        if found.shape != (tree.length(desired),):
            raise UsageError(_not_vectorized(f"it returned an array of shape {found.shape}"))
        return found

    return rewards


def _not_vectorized(why: object) -> str:
    return (
        "compute_reward of the environment must take goals [B, ...] at once, with an empty info, and return [B] "
        f"rewards, and does not: {' '.join(str(why).split())}; let it compute along the last axis (axis=-1)"
    )


def _ends(rule: Rule) -> Callable[[Tree, Tree], Array]:
    """Return a rule that also one for single goals follows, one after the other."""

    def ends(achieved: Tree, desired: Tree) -> Array:
        count = tree.length(desired)
        found = np.asarray(rule(achieved, desired, {}))
        if found.shape == (count,):
            return found.astype(bool)
        each = (rule(tree.take(achieved, i), tree.take(desired, i), {}) for i in range(count))
        return np.fromiter(map(bool, each), bool, count)

    return ends
