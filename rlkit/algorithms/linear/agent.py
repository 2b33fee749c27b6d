"""Linear functions of features, learned by semi-gradients (Sutton & Barto, 2nd ed., chapters 9, 10 and 12)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from rlkit.algorithms.exploration import epsilon_greedy
from rlkit.algorithms.linear.features import Active, Features
from rlkit.core.ranges import Probability
from rlkit.core.resources import require_memory
from rlkit.core.schedules import ProbabilitySchedule, RateSchedule, require_probabilities
from rlkit.core.spaces import num_actions
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, require_probability


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
    legal_t: Array | None  # [A] bool, after
    a_t: int | None = None  # SARSA's next action; None where none was taken or none is needed


def feature_steps(transition: Transition, features: Features, gamma: float) -> Iterator[tuple[int, FeatureStep]]:
    """Yield (environment, step) of each valid row of a transition of N environments; its actions are [N] int."""
    before, after = features(transition.observation), features(transition.next_observation)
    a_tm1, r_t, last = transition.action.tolist(), transition.reward.tolist(), transition.last.tolist()
    discount = transition.discount.tolist()
    legal_tm1, legal_t = transition.legal_actions, transition.next_legal_actions
    for i in np.flatnonzero(transition.valid).tolist():
        yield (
            i,
            FeatureStep(
                index_tm1=before.index[i],
                value_tm1=before.value[i],
                a_tm1=a_tm1[i],
                r_t=r_t[i],
                discount_t=gamma * discount[i],
                index_t=after.index[i],
                value_t=after.value[i],
                last=last[i],
                legal_tm1=None if legal_tm1 is None else legal_tm1[i],
                legal_t=None if legal_t is None else legal_t[i],
            ),
        )


def max_value(q: Array, legal: Array | None) -> float:
    """Return the largest of the values [A] of legal actions; 0 where none is legal, which is so at an end only."""
    return float(max((q if legal is None else q[legal]).tolist(), default=0.0))


class LinearValues:
    """Weights [A, F] of linear functions, one for each action, and a trace of each environment's recent features."""

    def __init__(self, num_actions: int, features: Features, trace_decay: float):
        """Start with zeros; `trace_decay` is lambda of accumulating traces, 0 for none."""
        what = f"weights of {num_actions:,} actions and {features.size:,} features"
        require_memory(8 * num_actions * features.size, what, "set fewer features")
        self.weights = np.zeros((num_actions, features.size))
        self._trace_decay = require_probability("agent.trace_decay", trace_decay)
        self._traces: dict[int, Array] = {}

    def values(self, active: Active) -> Array:
        """Return the values [N, A] of all actions."""
        return np.asarray(np.einsum("ank,nk->na", self.weights[:, active.index], active.value))

    def row(self, index: Array, value: Array) -> Array:
        """Return the values [A] of all actions for one observation's features [K]."""
        return np.asarray(self.weights[:, index] @ value)

    def update(self, i: int, step: FeatureStep, target: float, step_size: float) -> float:
        """Move the value of a step of environment `i` towards `target`, and those of its trace; return the TD error."""
        index, value, a = step.index_tm1, step.value_tm1, step.a_tm1
        td_error = float(target - self.weights[a, index] @ value)
        if self._trace_decay == 0:
            self.weights[a, index] += step_size * td_error * value
            return td_error
        trace = self._traces.setdefault(i, np.zeros_like(self.weights))
        trace[a, index] += value
        self.weights += step_size * td_error * trace
        trace *= step.discount_t * self._trace_decay
        if step.last:
            self.reset(i)
        return td_error

    def reset(self, i: int) -> None:
        """Drop the trace of environment `i`."""
        self._traces.pop(i, None)

    def state_dict(self) -> State:
        """Return weights and traces."""
        return {
            "weights": self.weights.copy(),
            "traces": [[i, trace.copy()] for i, trace in self._traces.items()],
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.weights = np.array(state["weights"])
        self._traces = {int(i): np.array(trace) for i, trace in state["traces"]}


class LinearControl:
    """Acts epsilon-greedily on linear action values; a subclass says in `target` what a step learns.

    Attributes:
        linear: the action values.
        off_policy: they are those of the greedy policy, so that traces end where an action was not greedy.
    """

    name: str
    off_policy = False

    def __init__(
        self,
        *,
        features: Features,
        action_space: FromRun[Any],
        gamma: Probability,
        epsilon: ProbabilitySchedule,
        learning_rate: RateSchedule,
        trace_decay: Probability,
        rng: FromRun[np.random.Generator],
    ):
        """Make the weights.

        Args:
            features: of observations.
            action_space: `Discrete`.
            gamma: discount factor.
            epsilon: probability of a uniformly drawn action, by the number of decisions observed.
            learning_rate: likewise; divided by ``features.norm``.
            trace_decay: lambda of accumulating traces; 0: none.
            rng: what learning itself draws.

        Raises:
            UsageError: actions that are not discrete, or a gamma, epsilon or lambda beyond 0 to 1.
        """
        self._features = features
        self.linear = LinearValues(num_actions(action_space, agent=self.name), features, trace_decay)
        self._gamma, self._learning_rate = require_probability("agent.gamma", gamma), learning_rate
        self._epsilon = require_probabilities("agent.epsilon", epsilon)
        self._rng = rng
        self._steps = 0
        self._transition: Transition | None = None

    @property
    def epsilon_t(self) -> float:
        """The probability of a uniformly drawn action, now."""
        return self._epsilon(self._steps)

    def initial_memory(self, n: int) -> Memory:
        """Return an empty memory."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring; ties are broken at random."""
        q = self.linear.values(self._features(timestep.observation))
        return epsilon_greedy(q, self.epsilon_t if explore else 0.0, rng, timestep.legal_actions), memory

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`, and count its decisions."""
        self._transition = transition
        self._steps += int(np.count_nonzero(transition.valid))

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other; None where nothing was learned."""
        transition, self._transition = self._transition, None
        if transition is None:
            return None
        step_size = self._learning_rate(self._steps) / self._features.norm
        total, n = 0.0, 0
        for i, step in feature_steps(transition, self._features, self._gamma):
            for td_error in self.learn(i, step, step_size):
                total, n = total + abs(td_error), n + 1
        return {"loss/td": total / n, "epsilon": self.epsilon_t} if n else None

    def learn(self, i: int, step: FeatureStep, step_size: float) -> list[float]:
        """Learn from a step of environment `i`; return the TD errors."""
        if self.off_policy and not self.is_greedy(step):
            self.linear.reset(i)
        return [self.linear.update(i, step, self.target(step), step_size)]

    def target(self, step: FeatureStep) -> float:
        """Return what the value of a step's action is moved towards."""
        raise NotImplementedError

    def is_greedy(self, step: FeatureStep) -> bool:
        """Return whether the action of a step has the largest value of the legal ones."""
        q_tm1 = self.linear.row(step.index_tm1, step.value_tm1)
        return not q_tm1[step.a_tm1] < max_value(q_tm1, step.legal_tm1)

    def state_dict(self) -> State:
        """Return weights, traces, the number of decisions and the generator."""
        return {"linear": self.linear.state_dict(), "steps": self._steps, "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.linear.load_state_dict(state["linear"])
        self._steps = state["steps"]
        self._rng.bit_generator.state = state["rng"]
