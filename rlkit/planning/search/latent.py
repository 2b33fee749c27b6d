"""A learned model for a search: its states are a network's latent vectors (Schrittwieser et al., 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from rlkit.core.types import Array, TimeStep
from rlkit.planning.search.engine import DirichletNoise, Search, SearchTrees
from rlkit.planning.search.gumbel import SequentialHalving
from rlkit.planning.search.model import ModelStep, Rules, Symmetry
from rlkit.planning.search.planner import SearchPlayer


class Latents(NamedTuple):
    """What a network makes of B observations, or of B latents and actions."""

    latent: Array  # [B, W] float32
    logits: Array  # [B, A] float32, of the policy
    value: Array  # [B] float32, for whoever is to move


class Imagined(NamedTuple):
    """What a network expects of actions."""

    reached: Latents
    reward: Array  # [B] float32, for whoever acted
    discount: Array  # [B] float32, from -1 to 1: 0 is the end, negative that the turn passes


class LatentModel:
    """A `Model` whose states are latents, with what the network says of them: [W + A + 1] float32.

    A network is asked once for each step; what is then evaluated is in the state. Nothing is known of which actions are
    legal within a tree, nor for sure of its ends.
    """

    num_outcomes = 1
    bound: float | None = None
    symmetries: Sequence[Symmetry] = ()
    rules: Rules | None = None

    def __init__(
        self,
        num_actions: int,
        width: int,
        initial: Callable[[Array], Latents],
        recurrent: Callable[[Array, Array], Imagined],
    ):
        """Take the functions of a network.

        Args:
            num_actions: A.
            width: W, of a latent.
            initial: of observations [B, ...].
            recurrent: of latents [B, W] and actions [B] int64.
        """
        self.num_actions, self._width = num_actions, width
        self._initial, self._recurrent = initial, recurrent

    def encoded(self, observation: Array) -> Array:
        """Return the states [B, S] of observations [B, ...]."""
        return _rows(self._initial(observation))

    def step(self, states: Array, action: Array, outcome: Array) -> ModelStep:
        """Return what the network expects of `action` [B] int64 in `states` [B, S]."""
        imagined = self._recurrent(states[:, : self._width], action)
        return ModelStep(_rows(imagined.reached), imagined.reward, imagined.discount)

    def evaluated(self, states: Array, legal: Array) -> tuple[Array, Array]:
        """Return the priors [R, A] of the `legal` [R, A] actions, and the values [R], float64; an `Evaluator`'s."""
        logits = np.where(legal, states[:, self._width : -1].astype(np.float64), -np.inf)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True), states[:, -1].astype(np.float64)

    def legal_actions(self, states: Array) -> Array:
        """Return that every action is legal, [B, A] bool."""
        return np.ones((len(states), self.num_actions), bool)

    def chances(self, states: Array) -> Array:
        """Return ones [B, A, 1] float64: nothing is left to chance."""
        return np.ones((len(states), self.num_actions, 1))

    def observation(self, states: Array) -> Array:
        """Return the states themselves, [B, S]: nothing else can be seen of them."""
        return states

    def blank_state(self) -> Array:
        """Return zeros, [S] float32."""
        return np.zeros(self._width + self.num_actions + 1, np.float32)

    def read(self, env: gymnasium.Env[Any, Any]) -> Array:
        """Return zeros, [S] float32: an environment is known by its observations alone."""
        return self.blank_state()

    def complete(self, states: Array, observation: Array, legal_actions: Array | None) -> Array:
        """Return the states [B, S] of observations [B, ...]."""
        return self.encoded(observation)


def _rows(latents: Latents) -> Array:
    return np.concatenate([latents.latent, latents.logits, latents.value[:, None]], axis=1)


class LatentPlayer(SearchPlayer):
    """Searches from what was observed, in a learned model."""

    def __init__(
        self,
        model: LatentModel,
        search: Search,
        *,
        noise: DirichletNoise,
        temperature: float,
        temperature_moves: int,
        halving: SequentialHalving | None,
    ):
        """Take the search, and what its roots' actions are chosen by; the rest is as of `SearchPlayer`."""
        super().__init__(
            model, search, keep=False, noise=noise, temperature=temperature, temperature_moves=temperature_moves
        )
        self._encoded, self._halving = model.encoded, halving

    def roots(self, timestep: TimeStep) -> Array:
        """Return the latent states [N, S] of what was observed."""
        return self._encoded(timestep.observation)

    def _root_actions(self, timestep: TimeStep) -> Array | None:
        return timestep.legal_actions

    def _decided(self, forest: SearchTrees, drawn: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        if self._halving is None or forest.noise is None:
            return super()._decided(forest, drawn, rng)
        return self._halving.chosen(forest.tree, forest.noise), self._halving.policy(forest.tree)

    def searched(self, observation: Array, legal: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return policies [B, A] and values [B] by new searches without noise, from observations [B, ...].

        `legal` [B, A] says what is legal there.
        """
        forest = self._search(self._encoded(observation), rng, legal=legal)
        never = np.zeros(len(legal), bool)
        return self._decided(forest, never, rng)[1], self.values(forest)
