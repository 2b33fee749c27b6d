"""A subclass changes the loss by one method: its metrics are logged, and its gradient is that of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rlkit
from rlkit.agents.a2c import A2C
from rlkit.agents.actor_critic import OnlineActorCritic
from rlkit.agents.dqn import DQN
from rlkit.agents.ppo import PPO
from rlkit.agents.reinforce import Reinforce
from rlkit.agents.sac import SAC
from rlkit.agents.td3 import TD3

STEPS = {
    "dqn": ["agent.learning_starts=16", "agent.batch_size=8"],
    "ppo": ["agent.n_steps=16", "agent.batch_size=8"],
    "a2c": ["agent.n_steps=8"],
    "td3": ["agent.learning_starts=16", "agent.batch_size=8", "agent.actor.hidden=[8]", "agent.critics.hidden=[8]"],
    "sac": ["agent.learning_starts=16", "agent.batch_size=8", "agent.actor.hidden=[8]", "agent.critics.hidden=[8]"],
    "reinforce": [],
    "actor_critic": [],
}


class _Weighted:
    """Adds the mean square of all parameters, times a thousand."""

    def loss(self, *batch: Any) -> Any:
        loss, metrics = super().loss(*batch)  # type: ignore[misc]
        vectors = [parameter.ravel() for parameter in self.network.parameters()]  # type: ignore[attr-defined]
        weight = torch.cat(vectors).square().mean()
        return loss + 1000 * weight, {**metrics, "loss/weight": weight}


class WeightedDQN(_Weighted, DQN):
    """Of `DQN`."""


class WeightedPPO(_Weighted, PPO):
    """Of `PPO`."""


class WeightedA2C(_Weighted, A2C):
    """Of `A2C`."""


class WeightedTD3(_Weighted, TD3):
    """Of `TD3`."""


class WeightedSAC(_Weighted, SAC):
    """Of `SAC`."""


class WeightedReinforce(_Weighted, Reinforce):
    """Of `Reinforce`."""


class WeightedActorCritic(_Weighted, OnlineActorCritic):
    """Of `OnlineActorCritic`."""


OWN = {
    "dqn": WeightedDQN,
    "ppo": WeightedPPO,
    "a2c": WeightedA2C,
    "td3": WeightedTD3,
    "sac": WeightedSAC,
    "reinforce": WeightedReinforce,
    "actor_critic": WeightedActorCritic,
}


@pytest.mark.parametrize("agent", OWN)
def test_a_term_that_a_subclass_adds_is_learned_and_logged(agent: str, tmp_path: Path) -> None:
    words = [
        f"agent={agent}",
        f"env={'pendulum' if agent == 'td3' else 'cartpole'}",
        "tuned=none",
        *STEPS[agent],
        "total_steps=160",
        "log.every=40",
    ]
    words += ["eval.every=0", "video=none", "logger=[csv]"]
    target = f"agent._target_={__name__}.{OWN[agent].__name__}"
    own = rlkit.train(*words, target, run_dir=str(tmp_path / "own"))
    plain = rlkit.train(*words, run_dir=str(tmp_path / "plain"))
    assert set(own.metrics) - set(plain.metrics) == {"loss/weight"}
    weights = own.metrics["loss/weight"]
    known = weights[~np.isnan(weights)]
    assert known[-1] < known[0]  # Nothing else makes parameters smaller.
