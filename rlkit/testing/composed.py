"""Observations of any environment as a `Dict` with a `Tuple` inside, for the suite of agents."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.array_spaces import as_arrays
from rlkit.testing.driving import MakeEnv


class ComposedObservation(gymnasium.ObservationWrapper[Any, Any, Any]):
    """Shows ``{"own": the observation, "more": (its mean [1] float32, whether that is positive)}``."""

    # It has no state, and planners read that of what it wraps.
    only_watches = True

    def __init__(self, env: gymnasium.Env[Any, Any]):
        super().__init__(env)
        more = spaces.Tuple([spaces.Box(-np.inf, np.inf, (1,), np.float32), spaces.Discrete(2)])
        self.observation_space = spaces.Dict([("own", env.observation_space), ("more", more)])

    def observation(self, observation: Any) -> Any:
        """Return the observation among others."""
        mean = np.mean([np.mean(leaf) for leaf in tree.leaves(observation)])
        return {"own": observation, "more": (np.array([mean], np.float32), int(mean > 0))}


def composing(make_env: MakeEnv) -> MakeEnv:
    """Return what makes single environments of `make_env` with composed observations."""

    def make() -> Any:
        return ComposedObservation(as_arrays(make_env()))  # type: ignore[arg-type]

    return make
