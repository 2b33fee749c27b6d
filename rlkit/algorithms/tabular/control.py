"""Tabular control: what its agents share, and all of temporal differences but what a successor is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.algorithms.counters import require_unit
from rlkit.algorithms.exploration import Schedule, epsilon_greedy, require_shares, uniform
from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.q_table import Step, Table, Worth, added, steps_of
from rlkit.algorithms.tabular.states import Counted, States
from rlkit.algorithms.tabular.traces import make_credit
from rlkit.core.spaces import num_actions
from rlkit.core.types import Array, FromRun, Memory, Metrics, State, TimeStep, Transition, require_share


class TabularControl:
    """Acts epsilon-greedily on a table of action values; a subclass says in `_learn` how it learns from a step.

    Attributes:
        compiled_rule: the rule of the compiled loop that does the same; None: there is none.
        states: what the tables have an entry for. Where they have to be learnt, the first actions are drawn uniformly,
            and the tables are empty (S = 0) until then.
        values: [T, S, A] float64, of each table; actions are taken on their sum.
        counts: [T, S, A] int64, of visits.
        tables: the same, one by one.
        gamma: discount factor.
        epsilon: schedule of the share of uniformly drawn actions.
        by_episode: that schedule counts episodes, not steps.
        rng: what learning itself draws.
        steps: decisions observed.
        episodes: ends of episodes observed.
    """

    name: str
    num_tables = 1
    compiled_rule: CompiledRule | None = None

    def __init__(
        self,
        *,
        observation_space: FromRun[Any],
        action_space: FromRun[Any],
        gamma: float,
        epsilon: Schedule,
        epsilon_counts: str,
        learning_rate: float,
        learning_rate_decay: float,
        initial_value: float,
        discretizer: States | None,
        rng: FromRun[np.random.Generator],
    ):
        """Make the tables.

        Args:
            observation_space: `Discrete`, `MultiDiscrete` or `MultiBinary`; any with a discretiser for it.
            action_space: `Discrete`.
            gamma: discount factor.
            epsilon: share of uniformly drawn actions.
            epsilon_counts: what that schedule counts: ``steps`` (decisions observed), or ``episodes`` ended.
            learning_rate: of the first visit of a state and action.
            learning_rate_decay: the n-th visit learns at ``learning_rate / n ** learning_rate_decay``.
            initial_value: of every action.
            discretizer: makes states of observations; None where those of the space are counted.
            rng: what learning itself draws.

        Raises:
            UsageError: a space that is not discrete, a gamma beyond 0 to 1, or nothing that can be counted.
        """
        self.states = Counted(observation_space, agent=self.name) if discretizer is None else discretizer
        self._num_actions = num_actions(action_space, agent=self.name)
        self._initial_value, self._rates = float(initial_value), (learning_rate, learning_rate_decay)
        self._make_tables()
        self.gamma, self.rng = require_share("agent.gamma", gamma), rng
        self.epsilon = require_shares("agent.epsilon", epsilon)
        self.by_episode = require_unit("agent.epsilon_counts", epsilon_counts) == "episodes"
        self.steps = self.episodes = 0
        self._pending: Transition | None = None

    def _make_tables(self) -> None:
        shape = (self.num_tables, self.states.size, self._num_actions)
        self.values, self.counts = np.full(shape, self._initial_value), np.zeros(shape, np.int64)
        rows = zip(self.values, self.counts, strict=True)
        self.tables = [Table(values, counts, *self._rates) for values, counts in rows]

    @property
    def q(self) -> Array:
        """[S, A] float64 action values; the mean of the tables where there are several."""
        return np.asarray(self.values[0] if self.num_tables == 1 else self.values.mean(axis=0))

    @property
    def visits(self) -> Array:
        """[S, A] int64 how often each value was moved."""
        return np.asarray(self.counts[0] if self.num_tables == 1 else self.counts.sum(axis=0))

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
        q = self.tables[0].values[states]
        for other in self.tables[1:]:
            q = q + other.values[states]
        return epsilon_greedy(q, self._share(explore), rng, timestep.legal_actions), memory

    def _share(self, explore: bool) -> float:
        return self.epsilon(self.episodes if self.by_episode else self.steps) if explore else 0.0

    def observe(self, transition: Transition) -> None:
        """Keep the transition for `update`."""
        self._pending = transition
        self.steps += int(np.count_nonzero(transition.valid))
        self.episodes += int(np.count_nonzero(transition.valid & transition.last))

    def update(self) -> Metrics | None:
        """Learn from the last transition, one environment after the other."""
        transition, self._pending = self._pending, None
        if transition is None:
            return None
        if not self.states.size:
            self._gather(transition)
            return None
        # In turn, not at once: environments that meet in one entry would add up to more than a whole step.
        taken = steps_of(transition, self.states.index, self.gamma)
        errors = [error for i, step in taken for error in self._learn(i, step)]
        return {"loss/td": added(map(abs, errors)) / len(errors), "epsilon": self._share(True)} if errors else None

    def _gather(self, transition: Transition) -> None:
        self.states.gather(transition, self.gamma)
        if self.states.size:
            self._make_tables()

    def _learn(self, i: int, step: Step) -> list[float]:
        """Learn from a step of environment `i` and return the errors."""
        raise NotImplementedError

    def state_dict(self) -> State:
        """Return the states, the tables, the numbers of decisions and episodes, and the generator."""
        return {
            "states": self.states.state_dict(),
            "tables": [table.state_dict() for table in self.tables],
            "steps": self.steps,
            "ended": self.episodes,
            "rng": self.rng.bit_generator.state,
        }

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self.states.load_state_dict(state["states"])
        if self.states.size != self.values.shape[1]:
            self._make_tables()
        for table, saved in zip(self.tables, state["tables"], strict=True):
            table.load_state_dict(saved)
        self.steps, self.episodes = state["steps"], state["ended"]
        self.rng.bit_generator.state = state["rng"]


class TDControl(TabularControl):
    """Learns by temporal differences, from a step or several; a subclass says what a step's successor is worth.

    Attributes:
        credit: who learns from a step, beside the step itself.
    """

    def __init__(self, *, n_step: int, trace_decay: float, **options: Any):
        """Make the tables.

        Args:
            n_step: steps whose rewards are added up before the successor's value is used.
            trace_decay: lambda of eligibility traces; 0: none.
            options: those of `TabularControl`.

        Raises:
            UsageError: both `n_step` and `trace_decay`, or what `TabularControl` refuses.
        """
        super().__init__(**options)
        self.credit = make_credit(n_step, trace_decay)

    def state_dict(self) -> State:
        """Return also the steps that still learn."""
        return {**super().state_dict(), "credit": self.credit.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        super().load_state_dict(state)
        self.credit.load_state_dict(state["credit"])


class OffPolicyControl(TDControl):
    """Learns what the greedy policy is worth, whatever is done: credit ends where an action was not greedy.

    Source: Watkins's Q(lambda), Sutton & Barto, 2nd ed., section 12.10.
    """

    def _learn(self, i: int, step: Step) -> list[float]:
        table, worth = self._learner()
        errors: list[float] = []
        if self.credit.reaches_back and not self._greedy(step):
            errors = self.credit.cut(i, worth, table)
        return errors + self.credit.spread(i, step, worth(step), table)

    def _learner(self) -> tuple[Table, Worth]:
        """Return the table that learns now, and what a step's successor is worth to it."""
        raise NotImplementedError

    def _greedy(self, step: Step) -> bool:
        row = sum(table.values[step.s_tm1] for table in self.tables)
        legal = row if step.legal_tm1 is None else row[step.legal_tm1]
        return bool(row[step.a_tm1] >= legal.max())
