"""Tabular control: tables of action values, and the one base class of the agents that act and learn by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rlkit.algorithms.counters import require_unit
from rlkit.algorithms.exploration import epsilon_greedy
from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.states import DiscreteStates, StateMapping, require_room
from rlkit.algorithms.tabular.traces import Step, make_traces
from rlkit.core.random_actions import uniform
from rlkit.core.ranges import NonNegativeFloat, PositiveInt, Probability
from rlkit.core.schedules import ProbabilitySchedule, require_probabilities
from rlkit.core.spaces import num_actions
from rlkit.core.types import (
    Array,
    FromRun,
    Memory,
    Metrics,
    State,
    TimeStep,
    Transition,
    UsageError,
    require_probability,
)

if TYPE_CHECKING:
    from rlkit.networks.greedy_policies import GreedyPolicy


class QTable:
    """Action values Q(s, a), each moved by a learning rate that decays with its visits.

    Attributes:
        values: [S, A] float64.
        visits: [S, A] int64, how often each was visited.
        learning_rate: of the first visit.
        learning_rate_decay: the n-th visit learns at ``learning_rate / n ** learning_rate_decay``.
    """

    def __init__(self, values: Array, visits: Array, learning_rate: float, learning_rate_decay: float):
        """Change `values` [S, A] float64 and `visits` [S, A] int64 in place.

        With rate and decay 1 values are means of their targets.
        """
        self.values, self.visits = values, visits
        self.learning_rate, self.learning_rate_decay = learning_rate, learning_rate_decay

    def __getitem__(self, pair: tuple[int, int]) -> float:
        """Return Q(s, a)."""
        return self.values.item(*pair)  # type: ignore[no-any-return]

    def update(self, s: int, a: int, target: float) -> float:
        """Count a visit, move Q(s, a) towards `target`, ``Q <- Q + alpha (target - Q)``, and return the TD error."""
        value, n = self.values.item(s, a), self.visits.item(s, a) + 1
        td_error: float = target - value
        self.visits[s, a] = n
        self.values[s, a] = value + self.learning_rate * n**-self.learning_rate_decay * td_error
        return td_error

    def add(self, s: int, a: int, error: float) -> None:
        """Move Q(s, a) by the learning rate times `error`, without a visit."""
        # Of two tables one may follow a trace that only the other one left.
        n = max(self.visits.item(s, a), 1)
        self.values[s, a] += self.learning_rate * n**-self.learning_rate_decay * error

    def max_value(self, s: int, legal: Array | None) -> float:
        """Return max_a Q(s, a) over the `legal` actions, [A] bool; 0 where none is, which is so at an end only."""
        row = self.values[s] if legal is None else self.values[s][legal]
        return float(max(row.tolist(), default=0.0))

    def argmax(self, s: int, legal: Array | None) -> int:
        """Return argmax_a Q(s, a) over the `legal` actions, [A] bool, the first of equals."""
        row = self.values[s] if legal is None else np.where(legal, self.values[s], -np.inf)
        return int(row.argmax())

    def expected_value(self, s: int, legal: Array | None, epsilon: float) -> float:
        """Return the mean of Q(s, a) under the epsilon-greedy policy; 0 where no action is `legal`, [A] bool."""
        row = (self.values[s] if legal is None else self.values[s][legal]).tolist()
        if not row:
            return 0.0
        total = 0.0
        # Newer Pythons' own `sum` rounds differently.
        for value in row:
            total += value
        return float(epsilon * total / len(row) + (1 - epsilon) * max(row))

    def state_dict(self) -> State:
        """Return values and visits."""
        return {"values": self.values.copy(), "visits": self.visits.copy()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.values[...], self.visits[...] = state["values"], state["visits"]


def steps_of(transition: Transition, index: Callable[[Array], Array], gamma: float) -> Iterator[tuple[int, Step]]:
    """Yield (environment, step) of each valid row of a transition of N environments.

    Args:
        transition: whose actions are [N] int.
        index: returns the states [N] int64 of observations [N, ...].
        gamma: multiplies the discounts.
    """
    s_tm1, s_t = index(transition.observation).tolist(), index(transition.next_observation).tolist()
    a_tm1, r_t, last = transition.action.tolist(), transition.reward.tolist(), transition.last.tolist()
    discount = transition.discount.tolist()
    legal_tm1, legal_t = transition.legal_actions, transition.next_legal_actions
    for i, valid in enumerate(transition.valid.tolist()):
        if valid:
            masks = None if legal_tm1 is None else legal_tm1[i], None if legal_t is None else legal_t[i]
            yield i, Step(s_tm1[i], a_tm1[i], r_t[i], gamma * discount[i], s_t[i], last[i], *masks)


class TabularControl:
    """Acts epsilon-greedily on a table of action values; a subclass says in `target` what a step learns.

    Attributes:
        compiled_rule: the rule of the compiled loop that does the same; None: there is none.
        states: what the tables have an entry for. Where they have to be learned, the first actions are drawn uniformly,
            and the tables are empty (S = 0) until then.
        q: the table that learns.
        tables: all of them; actions are taken on their sum.
        values: [T, S, A] float64, of each table.
        counts: [T, S, A] int64, of visits.
        traces: how earlier steps learn from the newest; None: by one-step targets alone.
        gamma: discount factor.
        epsilon: schedule of the probability of a uniformly drawn action.
        by_episode: that schedule counts episodes, not steps.
        rng: what learning itself draws.
        steps: decisions observed.
        episodes: ends of episodes observed.
    """

    name: str
    num_tables = 1
    compiled_rule: CompiledRule | None = None
    off_policy = False
    """Values are those of the greedy policy, so that traces end where an action was not greedy."""

    def __init__(
        self,
        *,
        observation_space: FromRun[Any],
        action_space: FromRun[Any],
        gamma: Probability,
        epsilon: ProbabilitySchedule,
        epsilon_counts: str,
        learning_rate: Probability,
        learning_rate_decay: NonNegativeFloat,
        initial_value: float,
        discretizer: StateMapping | None,
        n_step: PositiveInt,
        trace_decay: Probability,
        rng: FromRun[np.random.Generator],
    ):
        """Make the tables.

        Args:
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`; any with a discretizer for it.
            action_space: `Discrete`.
            gamma: discount factor.
            epsilon: probability of a uniformly drawn action.
            epsilon_counts: what that schedule counts: ``steps`` (decisions observed), or ``episodes`` ended.
            learning_rate: of the first visit of a state and action.
            learning_rate_decay: the n-th visit learns at ``learning_rate / n ** learning_rate_decay``.
            initial_value: of every action.
            discretizer: makes states of observations; None where those of the space are the states.
            n_step: steps whose rewards are added up before the successor's value is used.
            trace_decay: lambda of eligibility traces; 0: none, and only with an `n_step` of 1.
            rng: what learning itself draws.

        Raises:
            UsageError: a space that is not discrete, a gamma or epsilon beyond 0 to 1, an unknown unit, or both
                `n_step` and `trace_decay`.
        """
        self.states = DiscreteStates(observation_space, agent=self.name) if discretizer is None else discretizer
        self._num_actions = num_actions(action_space, agent=self.name)
        self._initial_value = float(initial_value)
        self._learning_rate, self._learning_rate_decay = learning_rate, learning_rate_decay
        self.gamma = require_probability("agent.gamma", gamma)
        self.rng = rng
        self.epsilon = require_probabilities("agent.epsilon", epsilon)
        self.by_episode = require_unit("agent.epsilon_counts", epsilon_counts) == "episodes"
        self.traces = make_traces(n_step, trace_decay)
        self.steps = self.episodes = 0
        self._transition: Transition | None = None
        self._make_tables()

    def _make_tables(self) -> None:
        """Make the tables, and what a subclass keeps beside them: at the start, and when the states are known."""
        shape = (self.num_tables, self.states.size, self._num_actions)
        require_room(*shape)
        self.values, self.counts = np.full(shape, self._initial_value), np.zeros(shape, np.int64)
        self.tables = [
            QTable(values, visits, self._learning_rate, self._learning_rate_decay)
            for values, visits in zip(self.values, self.counts, strict=True)
        ]
        self.q = self.tables[0]

    @property
    def q_values(self) -> Array:
        """[S, A] float64 action values; the mean of the tables where there are several."""
        return np.asarray(self.values[0] if self.num_tables == 1 else self.values.mean(axis=0))

    @property
    def visits(self) -> Array:
        """[S, A] int64 how often each value was moved."""
        return np.asarray(self.counts[0] if self.num_tables == 1 else self.counts.sum(axis=0))

    @property
    def epsilon_t(self) -> float:
        """The probability of a uniformly drawn action, now."""
        return self.epsilon(self.episodes if self.by_episode else self.steps)

    def initial_memory(self, n: int) -> Memory:
        """Return nothing: no episode is remembered."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the epsilon-greedy action [N], or the greedy one where not exploring; ties are broken at random."""
        if not self.states.size:
            drawn = uniform(self._num_actions, len(timestep.observation), rng, timestep.legal_actions)
            return drawn, memory
        states = self.states.index(timestep.observation)
        q = self.tables[0].values.take(states, axis=0)
        for other in self.tables[1:]:
            q = q + other.values.take(states, axis=0)
        return epsilon_greedy(q, self.epsilon_t if explore else 0.0, rng, timestep.legal_actions), memory

    def greedy_policy(self) -> GreedyPolicy:
        """Return what `act` does where not exploring, as a module; the first of equal actions is taken.

        Raises:
            UsageError: a graph cannot hold the discretizer, or the states are not known yet.
        """
        from rlkit.networks.greedy_policies import TableLookup

        if not self.states.size:
            raise UsageError("its states are not known yet, so that it has no table; train it for longer")
        return TableLookup(self.values.sum(axis=0), self.states.index_module())

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`, and count its decisions and ends."""
        self._transition = transition
        self.steps += sum(transition.valid.tolist())
        if any(transition.last.tolist()):
            self.episodes += int(np.count_nonzero(transition.valid & transition.last))

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other; None where nothing was learned."""
        transition, self._transition = self._transition, None
        if transition is None:
            return None
        if not self.states.size:
            self._gather(transition)
            return None
        total, n = 0.0, 0
        # In turn, not at once: environments that meet in one entry would add up to more than a whole step.
        for i, step in steps_of(transition, self.states.index, self.gamma):
            for td_error in self.learn(i, step):
                total, n = total + abs(td_error), n + 1
        epsilon = self.epsilon(self.episodes if self.by_episode else self.steps)
        return {"loss/td": total / n, "epsilon": epsilon} if n else None

    def _gather(self, transition: Transition) -> None:
        """Let the states be learned from a transition of random behavior."""
        self.states.gather(transition, self.gamma)
        if self.states.size:
            self._make_tables()

    def learn(self, i: int, step: Step) -> list[float]:
        """Learn from a step of environment `i`; return the TD errors."""
        if self.traces is None:
            return [self.q.update(step.s_tm1, step.a_tm1, self.target(step))]
        ends = self.off_policy and not self.is_greedy(step)
        errors = self.traces.reset(self.q, i, self.target) if ends else []
        return errors + self.traces.update(self.q, i, step, self.target(step))

    def target(self, step: Step) -> float:
        """Return what Q(s_tm1, a_tm1) is moved towards."""
        raise NotImplementedError

    def is_greedy(self, step: Step) -> bool:
        """Return whether the action of a step has the largest value of the legal ones (Watkins's Q(lambda))."""
        row = sum(table.values[step.s_tm1] for table in self.tables)
        legal = row if step.legal_tm1 is None else row[step.legal_tm1]
        return bool(row[step.a_tm1] >= legal.max())

    def state_dict(self) -> State:
        """Return the states, the tables, the steps that still learn, the counts, and the generator."""
        return {
            "states": self.states.state_dict(),
            "tables": [table.state_dict() for table in self.tables],
            "traces": None if self.traces is None else self.traces.state_dict(),
            "steps": self.steps,
            "episodes": self.episodes,
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self.states.load_state_dict(state["states"])
        if self.states.size != self.values.shape[1]:
            self._make_tables()
        for table, saved in zip(self.tables, state["tables"], strict=True):
            table.load_state_dict(saved)
        if self.traces is not None:
            self.traces.load_state_dict(state["traces"])
        self.steps, self.episodes = state["steps"], state["episodes"]
        self.rng.bit_generator.state = state["rng"]
