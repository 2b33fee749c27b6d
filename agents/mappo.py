"""Multi-agent PPO: agents that share a policy, and a critic that sees what all of them observe (Yu et al., 2022)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlkit.agents.ppo import PPO, PPOSettings
from rlkit.core.types import FromRun, Transition
from rlkit.networks import CentralActorCritic


class MAPPO(PPO):
    """PPO on rows that are the agents of games; they act by what they observe themselves."""

    network: CentralActorCritic

    def __init__(
        self,
        *,
        network: CentralActorCritic,
        settings: PPOSettings,
        num_envs: FromRun[int],
        total_steps: FromRun[int | None],
        device: FromRun[str],
        notify: FromRun[Callable[[str], None]],
        rng: FromRun[np.random.Generator],
    ):
        """Put the parts together.

        Args:
            network: policy, and values of joint observations.
            settings: all numbers.
            num_envs: N, all agents of all games.
            total_steps: decisions of the run; None: not known, so that nothing can be annealed.
            device: where the network lives.
            notify: takes a line for the user.
            rng: shuffles.

        Raises:
            UsageError: a rate to be annealed without `total_steps`.
        """
        super().__init__(
            network=network,
            settings=settings,
            num_envs=num_envs,
            total_steps=total_steps,
            device=device,
            notify=notify,
            rng=rng,
        )

    def observe(self, transition: Transition) -> None:
        """Add a step to the rollout, each row with what the other agents of its game observe."""
        seen = self.network.with_joint(transition.observation)
        super().observe(
            transition._replace(observation=seen, next_observation=self.network.with_joint(transition.next_observation))
        )
