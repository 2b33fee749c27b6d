"""Environments that the compiled loop can step: what they are, where they stand, and how they are put elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from rlkit.algorithms.tabular.compiled.structures import Chances
from rlkit.core.declarations import declarer, own_names
from rlkit.core.types import Array
from rlkit.planning.mdp import FiniteMDP, from_gymnasium
from rlkit.vector import snapshot

NOTHING = np.zeros((0, 0))


class Place(NamedTuple):
    """Where an environment stands."""

    state: int
    elapsed: int  # steps of the episode


class View(Protocol):
    """One environment, as arrays for the compiled loop.

    Attributes:
        chances: what it draws from.
        rng: its generator.
    """

    chances: Chances

    @property
    def rng(self) -> np.random.Generator:
        """The generator that it draws from now."""

    def place(self) -> Place:
        """Return where it stands."""

    def put(self, place: Place, action: int, begun: bool) -> None:
        """Put it elsewhere: `action` was its last, and where `begun` a new episode has begun since."""


def view_of(env: gymnasium.Env[Any, Any], *, action_mask: bool) -> View | None:
    """Return what the compiled loop needs of an environment; None where it is none that it knows."""
    layers = list(snapshot.layers(env))
    core: Any = layers[-1]
    if len(layers) == 1 and getattr(core, "steps_by_table", False):
        return TabularView(core, action_mask=action_mask)
    around = [type(layer) for layer in layers[:-1]]
    if not _steps_by_p(core) or action_mask or around not in ([TimeLimit, OrderEnforcing], [OrderEnforcing]):
        return None
    return ToyView(core, layers)


def _steps_by_p(core: Any) -> bool:
    """Return whether an environment is one of Gymnasium's that step by their table ``P``, or a mere other table."""
    from gymnasium.envs.toy_text import CliffWalkingEnv, FrozenLakeEnv, TaxiEnv

    known = (CliffWalkingEnv, FrozenLakeEnv, TaxiEnv)
    found = declarer(type(core), lambda part: part in known, lambda part: bool(own_names(part)))
    return found is not None and not getattr(core, "fickle_passenger", False)


class TabularView:
    """An environment like `rlkit.envs.tabular.TabularEnv`, whose ``steps_by_table`` is True."""

    def __init__(self, env: Any, *, action_mask: bool):
        self._env = env
        mdp: FiniteMDP = env.mdp
        self.chances = _chances(
            mdp,
            cumulative=mdp.cumulative.reshape(mdp.probability.shape),
            start=mdp.cumulative_start,
            deviation=env.deviation,
            legal=mdp.legal if action_mask else None,
            always_draws=False,
            max_steps=env.max_steps,
        )

    @property
    def rng(self) -> np.random.Generator:
        """The generator that it draws from now."""
        rng: np.random.Generator = self._env.np_random
        return rng

    def place(self) -> Place:
        """Return where it stands."""
        state = self._env.get_state()
        return Place(state["state"], state["steps"])

    def put(self, place: Place, action: int, begun: bool) -> None:
        """Put it elsewhere."""
        last = None if begun else action
        self._env.set_state({"state": place.state, "action": last, "steps": place.elapsed})


class ToyView:
    """One of Gymnasium's, with a table ``P``."""

    def __init__(self, core: Any, layers: Sequence[Any]):
        self._core = core
        self._limit: Any = next((layer for layer in layers if isinstance(layer, TimeLimit)), None)
        mdp = from_gymnasium(core)
        self.chances = _chances(
            mdp,
            # As `categorical_sample` adds them up.
            cumulative=np.cumsum(mdp.probability, axis=2),
            start=np.cumsum(core.initial_state_distrib),
            deviation=None,
            legal=None,
            always_draws=True,
            max_steps=None if self._limit is None else self._limit._max_episode_steps,
        )

    @property
    def rng(self) -> np.random.Generator:
        """The generator that it draws from now."""
        rng: np.random.Generator = self._core.np_random
        return rng

    def place(self) -> Place:
        """Return where it stands."""
        return Place(int(self._core.s), 0 if self._limit is None else self._limit._elapsed_steps)

    def put(self, place: Place, action: int, begun: bool) -> None:
        """Put it elsewhere, with the types that it has by itself."""
        kind = np.int64 if begun else type(self._core.P[0][0][0][1])
        self._core.s = kind(place.state)
        self._core.lastaction = None if begun else action
        if self._limit is not None:
            self._limit._elapsed_steps = place.elapsed


def _chances(
    mdp: FiniteMDP,
    *,
    cumulative: Array,
    start: Array,
    deviation: Array | None,
    legal: Array | None,
    always_draws: bool,
    max_steps: int | None,
) -> Chances:
    return Chances(
        outcomes=np.stack([cumulative, mdp.reward], axis=-1),
        next_state=np.where(mdp.terminated, ~mdp.next_state, mdp.next_state),
        start=np.ascontiguousarray(start),
        deviation=NOTHING if deviation is None else np.ascontiguousarray(deviation, np.float64),
        legal=NOTHING.astype(bool) if legal is None else np.ascontiguousarray(legal, bool),
        always_draws=always_draws,
        max_steps=max_steps or 0,
    )
