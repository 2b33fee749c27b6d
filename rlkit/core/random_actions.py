"""Actions drawn uniformly from an action space."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES, choice_sizes, space_tree
from rlkit.core.types import Array, Tree


def uniform(num_actions: int, n: int, rng: np.random.Generator, legal_actions: Array | None = None) -> Array:
    """Return `n` actions [n] int64 drawn uniformly, among `legal_actions` [n, A] bool where given."""
    if legal_actions is None:
        # One number is drawn alike, in a third of the time.
        return np.array([int(rng.integers(num_actions))]) if n == 1 else rng.integers(num_actions, size=n)
    return np.asarray((rng.random(legal_actions.shape) * legal_actions).argmax(axis=1))


def random_action(space: Any, rng: np.random.Generator, legal_actions: Array | None = None) -> Any:
    """Return one action of `space`, or a tree of them, drawn from `rng` among `legal_actions` [A] where given.

    An action of a `Discrete` space is counted from zero; others are in the space's own form.
    """
    if isinstance(space, spaces.Discrete):
        return uniform(int(space.n), 1, rng, None if legal_actions is None else legal_actions[None])[0]
    if legal_actions is not None:
        return _legal_choices(space, rng, legal_actions)
    parts = space_tree(space)
    if any(map(_overflows, tree.leaves(parts))):
        return tree.map(partial(_drawn, rng), parts)
    return _sample(space, rng)


def _sample(space: Any, rng: np.random.Generator) -> Any:
    # Gymnasium's spaces draw from generators of their own: seed this one from ours.
    space.seed(int(rng.integers(2**31)))
    return space.sample()


def _overflows(space: Any) -> bool:
    """Return whether Gymnasium cannot draw from `space`: it computes with 1 more than the highest, in 64 bits."""
    integers = isinstance(space, spaces.Box) and space.dtype.kind in "iu" and space.is_bounded()
    return integers and bool((space.high >= np.iinfo(np.int64).max).any())


def _drawn(rng: np.random.Generator, space: Any) -> Any:
    if _overflows(space):
        return np.asarray(rng.integers(space.low, space.high, dtype=space.dtype, endpoint=True))
    return _sample(space, rng)


def _legal_choices(space: Any, rng: np.random.Generator, legal_actions: Array) -> Tree:
    """Return an action of several choices, each drawn among its own part of the mask [A]."""
    if isinstance(space, COMPOSED_SPACES):
        parts = space_tree(space)
        sizes = [sum(choice_sizes(part)) for part in tree.leaves(parts)]
        masks = iter(np.split(np.asarray(legal_actions, bool), np.cumsum(sizes)[:-1]))
        return tree.map(lambda part: _legal_part(part, rng, next(masks)), parts)
    parts = np.split(np.asarray(legal_actions, bool), np.cumsum(choice_sizes(space))[:-1])
    drawn = np.array([uniform(len(part), 1, rng, part[None])[0] for part in parts], space.dtype).reshape(space.shape)
    return np.asarray(drawn + space.start if isinstance(space, spaces.MultiDiscrete) else drawn)


def _legal_part(space: Any, rng: np.random.Generator, legal_actions: Array) -> Any:
    """Return a part of a composed action in its space's own form."""
    drawn = random_action(space, rng, legal_actions)
    return drawn + space.start if isinstance(space, spaces.Discrete) else drawn
