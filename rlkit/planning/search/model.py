"""Models of environments for planning: `Model`, written with NumPy, or `Rules`, compiled by numba.

Shapes: B states at once, A actions, K outcomes of a state and action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import gymnasium
from numba import float64, int64, types, uint64, void

from rlkit.core.types import Array

STEP = void(int64[::1], int64, int64, float64[::1], int64[::1], float64[::1])
"""``step(state, action, outcome, data, reached, result)``: writes the state reached and (reward, discount)."""

LEGAL = void(int64[::1], float64[::1], types.boolean[::1])
"""``legal(state, data, mask)``: writes which actions are legal, at least one where the game goes on."""

CHANCES = void(int64[::1], int64, float64[::1], float64[::1])
"""``chances(state, action, data, probability)``: writes how likely each of the K outcomes is."""

ROLLOUT = float64(int64[::1], uint64[::1], float64[::1], float64, int64)
"""``rollout(state, rng, data, gamma, max_steps)``: the discounted return of random play, for whoever is to move."""


class ModelStep(NamedTuple):
    """The results of actions."""

    state: Array  # [B, ...]
    reward: Array  # [B] float64, for whoever acted
    discount: Array  # [B] float64: 0 = the end; 1 = goes on; -1 = goes on and the turn has passed


class Rules(NamedTuple):
    """The rules of a world as compiled functions (`numba.cfunc`) of one state, an int64 row."""

    step: Any  # STEP
    legal: Any  # LEGAL
    chances: Any  # CHANCES
    rollout: Any  # ROLLOUT
    data: Array  # [...] float64, handed to each: tables, sizes


class Symmetry(NamedTuple):
    """A world turned or mirrored: what it looks like, and what the actions are called."""

    cells: Array  # [R * C] int64: the turned observation's cell i shows what cell `cells[i]` did
    actions: Array  # [A] int64: the turned world's action i is what `actions[i]` was


class Model(Protocol):
    """The rules of a world, for B states at once.

    A state is a row of an array: numbers, or objects where nothing else will do. Where two players take turns, a state
    is shown to whoever is to move, and the discount of a step is -1 when that becomes the other.

    Attributes:
        num_actions: A.
        num_outcomes: K; 1 where nothing is left to chance.
        bound: no return is beyond ±bound, so that a forced win is known as such; None: nothing is known.
        symmetries: turned worlds that play the same, this one among them; observations are then [..., R, C].
        rules: the same compiled; None: there are none.
    """

    num_actions: int
    num_outcomes: int
    bound: float | None
    symmetries: Sequence[Symmetry]
    rules: Rules | None

    def step(self, states: Array, action: Array, outcome: Array) -> ModelStep:
        """Return the results of `action` [B] int64 with chance's `outcome` [B] int64, from 0 to K - 1."""

    def legal_actions(self, states: Array) -> Array:
        """Return which actions are legal, [B, A] bool; at least one wherever the episode goes on."""

    def chances(self, states: Array) -> Array:
        """Return how likely each outcome is, [B, A, K] float64; not called where K is 1."""

    def observation(self, states: Array) -> Array:
        """Return what the environment shows of the states, [B, ...]."""

    def blank_state(self) -> Array:
        """Return a row [...] of a state's shape and dtype, with any content."""

    def read(self, env: gymnasium.Env[Any, Any]) -> Array:
        """Return the state that an environment is in, a row [...]."""

    def complete(self, states: Array, observation: Array, legal_actions: Array | None) -> Array:
        """Return states [B] that were read, with what the environment showed of them where that is needed."""
