"""Evaluators: a state's value and the prior probabilities of its actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from rlkit.core.types import Array, UsageError
from rlkit.planning.search.draws import belows, uniforms
from rlkit.planning.search.model import Model


class Evaluator(Protocol):
    """Evaluates states.

    Attributes:
        random_steps: the most steps of random play, which compiled rules play themselves; None: it is not random play.
    """

    random_steps: int | None

    def __call__(self, model: Model, states: Array, legal: Array, rng: Array, rows: Array) -> tuple[Array, Array]:
        """Return priors [R, A] float64, which sum to 1 over the `legal` [R, A], and values [R] float64 of `states` [R].

        `rng` [B] uint64 is what the trees draw from; the states belong to those of `rows` [R].
        """


def uniform_prior(legal: Array) -> Array:
    """Return the same probability for each legal action of `legal` [R, A] bool, [R, A] float64."""
    return np.asarray(legal / np.maximum(legal.sum(axis=1, keepdims=True), 1))


class RandomPlay:
    """Play at random until the end: the value is the return, and no action looks better than another."""

    def __init__(self, max_steps: int, gamma: float):
        """Play for at most `max_steps`, and discount by `gamma`.

        Raises:
            UsageError: less than one step.
        """
        if max_steps < 1:
            raise UsageError(f"max_steps of random play is {max_steps}; it must be at least 1")
        self.random_steps: int | None = max_steps
        self._max_steps, self._gamma = max_steps, gamma

    def __call__(self, model: Model, states: Array, legal: Array, rng: Array, rows: Array) -> tuple[Array, Array]:
        """Return uniform priors [R, A], and values [R] float64: the returns of one random game each."""
        total, scale, states = np.zeros(len(rows)), np.ones(len(rows)), np.array(states)
        playing = np.arange(len(rows))
        for _ in range(self._max_steps):
            if not playing.size:
                break
            now = states[playing]
            action = random_legal(model.legal_actions(now), rng, rows[playing])
            step = model.step(now, action, random_outcome(model, now, action, rng, rows[playing]))
            total[playing] += scale[playing] * step.reward
            scale[playing] *= self._gamma * step.discount
            states[playing] = step.state
            playing = playing[step.discount != 0]
        return uniform_prior(legal), total


def random_legal(legal: Array, rng: Array, rows: Array) -> Array:
    """Return a uniformly drawn action [R] int64 of each row of `legal` [R, A] bool; a single one is not drawn."""
    n = legal.sum(axis=1)
    place, several = np.zeros(len(n), np.int64), n > 1
    place[several] = belows(rng, rows[several], n[several])
    return np.asarray((legal.cumsum(axis=1) > place[:, None]).argmax(axis=1))


def random_outcome(model: Model, states: Array, action: Array, rng: Array, rows: Array) -> Array:
    """Return the drawn outcome [R] int64 of `action` [R] in `states` [R, ...]; nothing is drawn for a single one."""
    if model.num_outcomes == 1:
        return np.zeros(len(action), np.int64)
    chance = model.chances(states)[np.arange(len(action)), action]
    left = uniforms(rng, rows)
    outcome = np.zeros(len(action), np.int64)
    drawing = np.ones(len(action), bool)
    for k in range(model.num_outcomes):
        possible = drawing & (chance[:, k] > 0)
        outcome[possible] = k
        left[possible] -= chance[possible, k]
        drawing &= ~(possible & (left < 0))
    return outcome


class NetworkEvaluator:
    """Evaluates states by a function of their observations: a network's, or a user's own rule."""

    random_steps: int | None = None

    def __init__(self, function: Callable[[Array, Array], tuple[Array, Array]]):
        """Evaluate by `function`.

        Args:
            function: maps observations [R, ...] and legal actions [R, A] bool to priors [R, A] and values [R].
        """
        self._function = function

    def __call__(self, model: Model, states: Array, legal: Array, rng: Array, rows: Array) -> tuple[Array, Array]:
        """Return the function's priors [R, A] and values [R] of `states` [R, ...]."""
        return self._function(model.observation(states), legal)
