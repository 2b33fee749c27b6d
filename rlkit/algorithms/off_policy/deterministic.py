"""The base of agents whose actor says one action for each observation (torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.algorithms.off_policy.agent import OffPolicyAgent
from rlkit.algorithms.off_policy.settings import OffPolicySettings
from rlkit.core.ranges import NonNegativeFloat
from rlkit.core.types import Array, FromRun, Replay, Tree
from rlkit.networks import Critics, DeterministicActor


@dataclass(frozen=True, kw_only=True)
class DeterministicSettings(OffPolicySettings):
    """Settings of a `DeterministicAgent`, beside those of every `OffPolicyAgent`.

    Attributes:
        exploration_noise: standard deviation of normal noise on actions in [-1, 1], where exploring.
    """

    exploration_noise: NonNegativeFloat


class DeterministicAgent(OffPolicyAgent):
    """Explores by noise on its actions, and has target networks of actor and critics."""

    actor: DeterministicActor
    settings: DeterministicSettings

    def __init__(
        self,
        *,
        actor: DeterministicActor,
        critics: Critics,
        replay: Replay,
        settings: DeterministicSettings,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        generator: FromRun[torch.Generator],
        notify: FromRun[Callable[[str], None]],
    ):
        """Put the parts together; arguments and errors are those of `OffPolicyAgent`."""
        of_run = {"total_steps": total_steps, "device": device, "generator": generator, "notify": notify}
        parts: Any = {"observation_space": observation_space, "action_space": action_space, **of_run}
        super().__init__(actor, critics, replay, settings, **parts, slow=["actor", "critics"])

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw normal numbers [n, D] float32 with the deviation `exploration_noise`."""
        return self.settings.exploration_noise * rng.standard_normal((n, self.actor.width), np.float32)

    def _choose(self, features: Tensor, legal_actions: Array | None, noise: Array | None) -> Array:
        action: Array = self.actor(features).cpu().numpy()
        return action if noise is None else np.asarray(np.clip(action + noise, -1, 1))

    def target_action(self, observation: Tree) -> Tensor:
        """Return the target actor's actions [B, D] in [-1, 1] for observations [B, ...]."""
        actor: DeterministicActor = self._targets["actor"].module
        features = self.actor_features(observation) if self._shares else actor.encode(observation)
        action: Tensor = actor(features)
        return action
