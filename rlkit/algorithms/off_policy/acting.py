"""How agents with an actor act (torch)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from rlkit.algorithms.off_policy.held_noise import HeldNoise
from rlkit.algorithms.off_policy.preparation import Preparation
from rlkit.algorithms.off_policy.settings import OffPolicySettings
from rlkit.algorithms.recall import NOT_EXPORTED, Recall
from rlkit.core.action_scaling import ActionScaling
from rlkit.core.random_actions import uniform
from rlkit.core.types import Array, Memory, TimeStep, Tree, UsageError
from rlkit.networks import Critics
from rlkit.networks.actors import ActorNetwork

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy


class ActsByActor:
    """Acts by an actor, with noise where exploring; a subclass says which, and makes the parts.

    Attributes:
        actor: the policy.
        critics: the values of actions, whose encoder the actor may share.
        settings: the subclass's.
    """

    actor: ActorNetwork
    critics: Critics
    settings: OffPolicySettings
    _shares: bool
    _prepare: Preparation
    _recall: Recall | None
    _held: HeldNoise
    _scaling: ActionScaling | None
    _num_actions: int
    _steps: int
    _tensor: Callable[[Any], Any]

    def initial_memory(self, n: int) -> Memory:
        """Return the memory of `n` environments at the start of episodes: states of cores, and noise that is held."""
        recalled = {} if self._recall is None else self._recall.initial(n)
        return {**recalled, **self._held.initial(n)} or ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return actions [N] or [N, ...]: the policy's, or uniform ones before learning begins where exploring."""
        legal, n = timestep.legal_actions, len(timestep.valid)
        learns = self._steps >= self.settings.learning_starts
        with torch.inference_mode():
            features, memory = self._recalled(timestep, memory, acts=learns or not explore)
            if features is None:
                chosen = self._uniform(n, rng, legal)
            else:
                noise, memory = self._held.next(memory, n, rng) if explore else (None, memory)
                chosen = self._choose(features, legal, noise)
        return (chosen if self._scaling is None else self._scaling.to_environment(chosen)), memory

    def _recalled(self, timestep: TimeStep, memory: Memory, *, acts: bool) -> tuple[Tensor | None, Memory]:
        """Return the actor's features [N, F] of what is seen, None if it does not act, and the memory after it."""
        if not acts and self._recall is None:
            return None, memory
        observation = self._prepare(self._tensor(timestep.observation), learning=False)
        if self._recall is None:
            return self.actor_features(observation), memory
        features, recalled = self._recall(observation, memory)
        return (features["critics" if self._shares else "actor"] if acts else None), {**memory, **recalled}

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does where not exploring, as a module.

        Raises:
            UsageError: it is recurrent.
        """
        from rlkit.networks.greedy_policies import ActorsActions

        if self._recall is not None:
            raise UsageError(NOT_EXPORTED)
        encoder = self.critics.encoder if self._shares else self.actor.encoder
        return ActorsActions(self.actor, encoder, self._prepare.standardize, self._scaling)

    def _uniform(self, n: int, rng: np.random.Generator, legal_actions: Array | None) -> Array:
        """Return `n` actions drawn uniformly, [n] int64 or [n, D] in [-1, 1]."""
        if self._scaling is None:
            return uniform(self._num_actions, n, rng, legal_actions)
        return rng.uniform(-1, 1, (n, self._scaling.width))

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw the noise of exploration [n, ...] float32."""
        raise NotImplementedError

    def _choose(self, features: Tensor, legal_actions: Array | None, noise: Array | None) -> Array:
        """Return actions for the actor's features [N, F], [N] int64 or [N, D] in [-1, 1], with `noise` if any."""
        raise NotImplementedError

    def actor_features(self, observation: Tree, of_critics: Tensor | None = None) -> Tensor:
        """Return the actor's features [B, F] of observations [B, ...]: with one encoder the critics', as constants.

        `of_critics` are those, where they are known.
        """
        if not self._shares:
            return self.actor.encode(observation)
        return (self.critics.encode(observation) if of_critics is None else of_critics).detach()
