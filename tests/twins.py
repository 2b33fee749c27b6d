"""Small finite MDPs and tabular agents made directly, to run the Python loop and the compiled one side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from loops import Pieces

from rlkit.agents.double_q_learning import DoubleQLearning
from rlkit.agents.expected_sarsa import ExpectedSarsa
from rlkit.agents.mc_control import MCControl
from rlkit.agents.q_learning import QLearning
from rlkit.agents.sarsa import Sarsa
from rlkit.core.loop import interact
from rlkit.core.schedules import Schedule
from rlkit.envs.tabular import TabularEnv
from rlkit.planning.mdp import FiniteMDP
from rlkit.vector.serial import SerialEnvironment

KINDS: Mapping[str, Callable[..., Any]] = {
    "q_learning": QLearning,
    "double_q_learning": DoubleQLearning,
    "sarsa": Sarsa,
    "expected_sarsa": ExpectedSarsa,
    "mc_control": MCControl,
}


def random_mdp(
    seed: int, *, states: int, actions: int, outcomes: int, masked: bool, ends: float, rewards: tuple[float, ...]
) -> FiniteMDP:
    """Return an MDP with rewards of few values, so that action values tie; outcomes end with probability `ends`.

    Where `masked`, about half of the actions are illegal, and what they earn is a temptation.
    """
    rng = np.random.default_rng(seed)
    shape = (states, actions, outcomes)
    legal = rng.random(shape[:2]) < 0.5
    legal[np.arange(states), rng.integers(actions, size=states)] = True
    reward = rng.choice(rewards, shape)
    return FiniteMDP(
        rng.dirichlet(np.ones(outcomes), shape[:2]),
        rng.integers(states, size=shape),
        np.where(legal[..., None], reward, reward + 100.0) if masked else reward,
        rng.random(shape) < ends,
        rng.dirichlet(np.ones(states)),
        legal if masked else None,
    )


class Twin(Pieces):
    """The pieces of a tabular agent in a finite MDP."""

    def __init__(
        self,
        mdp: FiniteMDP,
        kind: str,
        *,
        max_steps: int | None,
        masked: bool,
        epsilon: Schedule,
        seed: int = 0,
        deviation: float = 0.0,
        sign: int = 1,
        gamma: float = 0.9,
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ):
        """Make everything; with a `sign` of -1 the turn passes at every step, and `metadata` are the environment's."""
        noise = np.full(mdp.probability.shape[:2], deviation) if deviation else None
        kind_of_env = type("World", (TabularEnv,), {"metadata": {**TabularEnv.metadata, **(metadata or {})}})
        env = SerialEnvironment(
            [lambda: kind_of_env(mdp, max_steps=max_steps, render_mode=None, deviation=noise)], action_mask=masked
        )
        spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
        rng = np.random.default_rng(seed + 1)
        agent = KINDS[kind](**spaces, gamma=gamma, epsilon=epsilon, discretizer=None, rng=rng, **options)
        # No environment of one table passes the turn; a gamma below 0 is the same arithmetic.
        agent.gamma *= sign
        actions = np.random.default_rng(seed)
        stream = interact(agent, env, explore=True, rng=actions, reset_seeds=lambda step: [seed + step])
        super().__init__(agent, env, stream, masked=masked)
