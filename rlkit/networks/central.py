"""A policy for each of several agents by what it observes, and a critic that sees what all of them do (torch)."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.joint import joint, joint_space
from rlkit.core.types import FromRun, Tree
from rlkit.networks.actor_critic import ActorCritic
from rlkit.networks.torsos import as_torso


class CentralActorCritic(ActorCritic):
    """An actor-critic whose values are of all agents' observations together.

    It acts on what one agent observes alone. Where it learns, an observation is a dict of ``own`` [B, ...] and
    ``joint`` (`rlkit.core.joint.joint`), which `with_joint` makes.
    """

    def __init__(
        self,
        torso: nn.Module,
        joint_torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        players: FromRun[int],
        *,
        orthogonal: bool,
        squash: bool,
        log_std: float,
    ):
        """Put the heads on the torsos.

        Args:
            torso: for the policy.
            joint_torso: for the values, of joint observations.
            observation_space: of one agent.
            action_space: of one agent.
            players: agents of a game, P.
            orthogonal: as in `ActorCritic`.
            squash: likewise.
            log_std: likewise.

        Raises:
            UsageError: as in `ActorCritic`.
        """
        reading = as_torso(joint_torso, joint_space(observation_space, players))
        super().__init__(
            torso,
            reading,
            observation_space,
            action_space,
            shared=False,
            action_values=False,
            recurrent="none",
            recurrent_size=1,
            orthogonal=orthogonal,
            squash=squash,
            log_std=log_std,
            standardize=False,
        )
        self._players = players
        self._read_joint = reading.reader

    def with_joint(self, observation: Tree) -> dict[str, Tree]:
        """Return observations [N, ...] of rows, game by game, with those of all agents of their games."""
        return {"own": observation, "joint": joint(observation, self._players)}

    def state_values(self, observation: Tree, hidden: Tensor) -> Tensor:
        """Return the values [B] of observations with their joint ones; `hidden` is not used."""
        assert self.value_torso is not None
        return self._values_of(self.value_torso(self._read_joint(observation["joint"])))

    def _features(self, observation: Tree) -> tuple[Tensor, Tensor]:
        assert self.value_torso is not None
        own = self.policy_torso(self.read(observation["own"]))
        return own, self.value_torso(self._read_joint(observation["joint"]))
