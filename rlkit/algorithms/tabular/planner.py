"""Planners: agents that know the model of a finite MDP, and plan one round further at each update."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rlkit.core.spaces import num_states, state_index
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, require_probability
from rlkit.planning.mdp import FiniteMDP
from rlkit.planning.mdp.evaluation import action_values, uniform_policy

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy


class Planner:
    """Acts by a policy, and learns nothing from what happens; a subclass says in `improve` how it is improved.

    Attributes:
        mdp: the model.
        v: [S] float64 values, as far as they are known.
        policy: [S, A] float64, with which probability each action is taken; ties are shared.
        done: planning further would change nothing.
    """

    name: str

    def __init__(
        self,
        *,
        model: FromRun[Callable[[int | None], FiniteMDP]],
        samples: int | None,
        observation_space: FromRun[Any],
        gamma: float,
    ):
        """Get the model, and begin with values of zero and a uniform policy.

        Args:
            model: returns the model of the environment, estimated from so many samples where it does not bring one.
            samples: draws of each action in each state; None: the environment must bring its model.
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`.
            gamma: discount factor.

        Raises:
            UsageError: there is no model, the space is not discrete, or gamma is beyond 0 to 1.
        """
        num_states(observation_space, agent=self.name)
        self._space = observation_space
        self._gamma = require_probability("agent.gamma", gamma)
        self.mdp = model(samples)
        self.v = np.zeros(self.mdp.num_states)
        self.policy = uniform_policy(self.mdp)
        self.done = False
        self._decided = False

    @property
    def q(self) -> Array:
        """[S, A] float64 action values that follow from `v`."""
        return action_values(self.mdp, self.v, gamma=self._gamma)

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return actions [N] drawn from the policy, exploring or not; any legal one where none of its own is legal."""
        probabilities = self.policy[state_index(timestep.observation, self._space)]
        if (legal := timestep.legal_actions) is not None:
            own = probabilities * legal
            probabilities = np.where(own.any(axis=1, keepdims=True), own, legal)
        cumulative = probabilities.cumsum(axis=1)
        # Scaled by the sum, which may miss 1 by rounding.
        draws = rng.random((len(cumulative), 1)) * cumulative[:, -1:]
        return (cumulative > draws).argmax(axis=1), memory

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does, as a module; the first of equal actions is taken."""
        from rlkit.algorithms.tabular.states import index_module_of
        from rlkit.networks.greedy_policies import TableLookup

        return TableLookup(self.policy, index_module_of(self._space))

    def observe(self, transition: Transition) -> None:
        """Note whether an environment acted at all."""
        self._decided = bool(transition.valid.any())

    def update(self) -> Metrics | None:
        """Plan one round further after a decision; None when that would change nothing."""
        decided, self._decided = self._decided, False
        return self.plan() if decided else None

    def plan(self) -> Metrics | None:
        """Plan one round further; None when that would change nothing."""
        return None if self.done else self.improve()

    def improve(self) -> Metrics:
        """Improve `v` and `policy`; return by how much."""
        raise NotImplementedError

    def state_dict(self) -> State:
        """Return values and policy."""
        return {"v": self.v.copy(), "policy": self.policy.copy(), "done": self.done}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.v, self.policy, self.done = np.array(state["v"]), np.array(state["policy"]), state["done"]


def largest_change(before: Array, after: Array) -> float:
    """Return the largest absolute change of the values `before` to those `after`, [S] float64 each."""
    return float(np.abs(after - before).max())
