"""Linear functions of features, learnt by semi-gradients (Sutton & Barto, 2nd ed., chapters 9, 10 and 12)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rlkit.algorithms.exploration import Schedule, epsilon_greedy, require_shares
from rlkit.algorithms.linear.features import Active, Features
from rlkit.core.spaces import num_actions
from rlkit.core.targets import td_error
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, require_share


class FeatureStep(NamedTuple):
    """One step of one environment, in features: index and value [K] before and after."""

    index_tm1: Array
    value_tm1: Array
    a_tm1: int
    r_t: float
    discount_t: float  # gamma included
    index_t: Array
    value_t: Array
    last: bool
    legal_tm1: Array | None  # [A] bool, before
    legal: Array | None  # [A] bool, after


def feature_steps(transition: Transition, features: Features, gamma: float) -> list[tuple[int, FeatureStep]]:
    """Return (environment, step) of each valid row."""
    before, after = features(transition.observation), features(transition.next_observation)
    rewards, lasts, actions = (column.tolist() for column in (transition.reward, transition.last, transition.action))
    n = len(lasts)
    legal_tm1, legal = (
        [None] * n if masks is None else list(masks)
        for masks in (transition.legal_actions, transition.next_legal_actions)
    )
    return [
        (
            i,
            FeatureStep(
                before.index[i],
                before.value[i],
                actions[i],
                rewards[i],
                gamma * float(transition.discount[i]),
                after.index[i],
                after.value[i],
                lasts[i],
                legal_tm1[i],
                legal[i],
            ),
        )
        for i in np.flatnonzero(transition.valid).tolist()
    ]


class Linear:
    """Weights [A, F] of linear functions, one for each action, and a trace of each environment's recent features."""

    def __init__(self, num_actions: int, features: Features, trace_decay: float):
        """Start with zeros; `trace_decay` is lambda of accumulating traces, 0 for none."""
        self.weights = np.zeros((num_actions, features.size))
        self._decay = require_share("agent.trace_decay", trace_decay)
        self._traces: dict[int, Array] = {}

    def values(self, active: Active) -> Array:
        """Return the values [N, A] of all actions."""
        return np.asarray(np.einsum("ank,nk->na", self.weights[:, active.index], active.value))

    def row(self, index: Array, value: Array) -> Array:
        """Return the values [A] of all actions for one observation's features [K]."""
        return np.asarray(self.weights[:, index] @ value)

    def learn(self, i: int, step: FeatureStep, v_t: float, step_size: float) -> float:
        """Learn from a step of environment `i` whose successor is worth `v_t`; return the error."""
        index, value, a = step.index_tm1, step.value_tm1, step.a_tm1
        error = float(td_error(self.weights[a, index] @ value, step.r_t, step.discount_t, v_t))
        if self._decay == 0:
            self.weights[a, index] += step_size * error * value
            return error
        trace = self._traces.setdefault(i, np.zeros_like(self.weights))
        trace[a, index] += value
        self.weights += step_size * error * trace
        trace *= step.discount_t * self._decay
        if step.last:
            self.cut(i)
        return error

    def cut(self, i: int) -> None:
        """Forget the trace of environment `i`."""
        self._traces.pop(i, None)

    def state_dict(self) -> State:
        """Return weights and traces."""
        return {
            "weights": self.weights.copy(),
            "traces": [[i, trace.copy()] for i, trace in self._traces.items()],
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self.weights = np.array(state["weights"])
        self._traces = {int(i): np.array(trace) for i, trace in state["traces"]}


class LinearControl:
    """Acts epsilon-greedily on linear action values; a subclass says in `_learn` what a successor is worth."""

    name: str

    def __init__(
        self,
        *,
        features: Features,
        action_space: FromRun[Any],
        gamma: float,
        epsilon: Schedule,
        learning_rate: Schedule,
        trace_decay: float,
        rng: FromRun[np.random.Generator],
    ):
        """Make the weights.

        Args:
            features: of observations.
            action_space: `Discrete`.
            gamma: discount factor.
            epsilon: share of uniformly drawn actions, by the number of decisions observed.
            learning_rate: likewise; divided by ``features.norm``.
            trace_decay: lambda of accumulating traces; 0: none.
            rng: what learning itself draws.

        Raises:
            UsageError: actions that are not discrete, or a gamma or lambda beyond 0 to 1.
        """
        self._features = features
        self.linear = Linear(num_actions(action_space, agent=self.name), features, trace_decay)
        self._gamma, self._rate = require_share("agent.gamma", gamma), learning_rate
        self._epsilon = require_shares("agent.epsilon", epsilon)
        self._rng = rng
        self._steps = 0
        self._pending: Transition | None = None

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring; ties are broken at random."""
        q = self.linear.values(self._features(timestep.observation))
        return epsilon_greedy(q, self._share(explore), rng, timestep.legal_actions), memory

    def _share(self, explore: bool) -> float:
        return self._epsilon(self._steps) if explore else 0.0

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._pending = transition
        self._steps += int(np.count_nonzero(transition.valid))

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other."""
        transition, self._pending = self._pending, None
        if transition is None:
            return None
        size = self._rate(self._steps) / self._features.norm
        taken = feature_steps(transition, self._features, self._gamma)
        errors = [error for i, step in taken for error in self._learn(i, step, size)]
        return {"loss/td": sum(map(abs, errors)) / len(errors), "epsilon": self._share(True)} if errors else None

    def _learn(self, i: int, step: FeatureStep, size: float) -> list[float]:
        """Learn from a step of environment `i` and return the errors."""
        raise NotImplementedError

    def state_dict(self) -> State:
        """Return weights, traces, the number of decisions and the generator."""
        return {"linear": self.linear.state_dict(), "steps": self._steps, "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self.linear.load_state_dict(state["linear"])
        self._steps = state["steps"]
        self._rng.bit_generator.state = state["rng"]
