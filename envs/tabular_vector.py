"""Many copies of a finite MDP, stepped at once by table look-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rlkit.core.types import Array, State
from rlkit.planning.mdp import FiniteMDP

Result = tuple[Array, Array, Array, Array, dict[str, Any]]


class FiniteMDPVector(VectorEnv[Array, Array, Array]):
    """N copies of a finite MDP; an episode that ends is followed by the next in the same step.

    All draw from one generator, so that no step loops over them; each has the distribution of the single environment.

    Attributes:
        fresh_arrays: every array is a new one, so nobody needs to copy it.
        fresh_when_seeded: a reset with seeds leaves nothing of what was before.
    """

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": AutoresetMode.SAME_STEP}  # type: ignore[misc]
    fresh_arrays = True
    fresh_when_seeded = True

    def __init__(self, mdp: FiniteMDP, num_envs: int, *, max_steps: int | None, deviation: Array | None = None):
        """Make N copies; the options are those of `rlkit.envs.tabular.TabularEnv`, `deviation` [S, A] float64."""
        self.mdp = mdp
        self.num_envs = num_envs
        self.single_observation_space = spaces.Discrete(mdp.num_states)
        self.single_action_space = spaces.Discrete(mdp.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._max_steps = max_steps
        self._deviation = deviation
        self._rng = np.random.default_rng(0)
        self._state = np.zeros(num_envs, np.int64)
        self._steps = np.zeros(num_envs, np.int64)

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, dict[str, Any]]:
        """Begin an episode in every copy and return the states [N] int64; the seeds together seed the one generator.

        No options are known.
        """
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self._state = self.mdp.sample_start(self.num_envs, self._rng)
        self._steps = np.zeros(self.num_envs, np.int64)
        return self._state, self._info(self._state)

    def step(self, actions: Array) -> Result:
        """Draw the results of actions [N]; ``final_obs`` and ``final_info`` are those before new episodes begin."""
        reached, reward, terminated = self.mdp.sample(self._state, actions, self._rng)
        reward = self._noisy(reward, actions)
        self._steps = self._steps + 1
        truncated = ~terminated & (self._steps == self._max_steps)
        last = terminated | truncated
        self._state = reached
        if not last.any():
            return reached, reward, terminated, truncated, self._info(reached)
        self._begin(last)
        infos = {**self._info(self._state), "final_obs": reached, "final_info": self._info(reached)}
        return self._state, reward, terminated, truncated, infos

    def _noisy(self, reward: Array, actions: Array) -> Array:
        if self._deviation is None:
            return reward
        return np.asarray(reward + self._deviation[self._state, actions] * self._rng.standard_normal(self.num_envs))

    def _begin(self, last: Array) -> None:
        """Begin an episode in the copies where `last` [N] is True."""
        self._state = self._state.copy()
        self._state[last] = self.mdp.sample_start(int(np.count_nonzero(last)), self._rng)
        self._steps[last] = 0

    def _info(self, state: Array) -> dict[str, Any]:
        return {} if self.mdp.legal is None else {"action_mask": self.mdp.legal[state]}

    def get_state(self) -> State:
        """Return states, steps and generator."""
        return {
            "state": self._state.copy(),
            "steps": self._steps.copy(),
            "generator": self._rng.bit_generator.state,
        }

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._state, self._steps = np.array(state["state"]), np.array(state["steps"])
        self._rng = np.random.default_rng(0)
        self._rng.bit_generator.state = state["generator"]
