"""What an environment leaves to chance, noticed by the generators that its state holds."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import gymnasium
import numpy as np
from numpy.random import Generator, RandomState

from rlkit.core.random_actions import random_action
from rlkit.core.types import State, UsageError
from rlkit.vector import snapshot

STEPS = 100
"""Steps of random play in which `leaves_to_chance` looks for moves of generators."""


def leaves_to_chance(env: gymnasium.Env[Any, Any]) -> bool:
    """Return whether steps of `env`, which has discrete actions and is reset, draw from its generator, by random play.

    Raises:
        UsageError: a generator in the state besides `np_random` moves: copies of the environment would hold what it
            draws next.
    """
    rng, moved = np.random.default_rng(0), False
    _, info = env.reset(seed=0)
    for _ in range(STEPS):
        before = snapshot.capture(env)
        action = int(random_action(env.action_space, rng, _mask(info)))
        _, _, terminated, truncated, info = env.step(action)
        after = snapshot.capture(env)
        assert before is not None, "opaque"
        assert after is not None, "opaque"
        moved = moved or generator_moved(before, after)
        _require_no_other(env, before, after)
        if terminated or truncated:
            _, info = env.reset()
    return moved


def _mask(info: State) -> Any:
    """Return the legal actions [A] bool; None where no mask says which."""
    mask = np.asarray(info.get("action_mask", False), bool)
    return mask if mask.any() else None


def generator_moved(before: State, after: State) -> bool:
    """Return whether the environment's generator differs between two states from `snapshot.capture`."""
    return _differ(before["generator"], after["generator"])


def _require_no_other(env: gymnasium.Env[Any, Any], before: State, after: State) -> None:
    for layer, *states in zip(snapshot.layers(env), before["layers"], after["layers"], strict=True):
        generators = [list(_generators(state)) for state in states]
        if _differ(*generators):
            raise UsageError(
                f"{snapshot.class_name(type(layer))} keeps a generator of its own in its state, so that copies of it "
                "would know what it draws next; draw from self.np_random"
            )


def _generators(value: Any) -> Iterator[Any]:
    """Yield the states of all generators in plain data."""
    if isinstance(value, Generator):
        yield value.bit_generator.state
    elif isinstance(value, RandomState):
        yield value.get_state(legacy=False)
    elif isinstance(value, Random):
        yield value.getstate()
    elif isinstance(value, dict):
        if "bit_generator" in value:
            yield value
        else:
            yield from (state for part in value.values() for state in _generators(part))
    elif isinstance(value, (tuple, list)):
        if _of_standard_library(value):
            yield value
        else:
            yield from (state for part in value for state in _generators(part))


def _of_standard_library(value: Any) -> bool:
    """Return whether a tuple or list is what `random.Random.getstate` returns."""
    return len(value) == 3 and isinstance(value[1], (tuple, list)) and len(value[1]) == 625


def _differ(left: Any, right: Any) -> bool:
    """Return whether two states of generators differ; some hold arrays."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() != right.keys() or any(_differ(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) != len(right) or any(map(_differ, left, right))
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return not np.array_equal(left, right)
    return bool(left != right)
