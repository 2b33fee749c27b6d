"""What the compiled loop is given, and what it gives back.

Arrays are few: what numba compiles passes each as seven numbers, and compiling takes as long as there are numbers.
"""

from __future__ import annotations

from typing import NamedTuple

from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.core.types import Array

Q_LEARNING, DOUBLE_Q_LEARNING, SARSA, EXPECTED_SARSA, FIRST_VISIT, EVERY_VISIT = map(int, CompiledRule)
CONSTANT, LINEAR, EXPONENTIAL, MULTIPLICATIVE = range(4)
CUMULATIVE, REWARD = range(2)
"""Places in `Chances.outcomes`."""
TAIL, TRACES, WAITING, UPDATES, OF_UPDATE, LENGTH, ENDED = range(7)
"""Places in `Progress.counts`."""
ERRORS, EPSILONS, MAGNITUDE, RAW, LEARNER = range(5)
"""Places in `Progress.sums`."""


class Chances(NamedTuple):
    """A finite MDP as the environment itself draws from it."""

    outcomes: Array  # [S, A, K, 2] float64: cumulative probability, reward
    next_state: Array  # [S, A, K] int64, ~s where the episode terminates
    start: Array  # [S] float64, cumulative
    deviation: Array  # [S, A] float64, of noise on the rewards; [0, 0] for none
    legal: Array  # [S, A] bool; [0, 0] where everything is legal
    always_draws: bool  # also where there is a single outcome
    max_steps: int  # an episode's; 0: no limit


class Epsilon(NamedTuple):
    """A schedule."""

    kind: int
    start: float
    end: float
    rate: float  # or steps, or factor
    by_episode: bool


class Rule(NamedTuple):
    """How an agent learns."""

    kind: int
    values: Array  # [T, S, A] float64
    visits: Array  # [T, S, A] int64
    gamma: float
    rate: float
    rate_decay: float
    n_step: int
    trace_decay: float
    faint: float


class Progress(NamedTuple):
    """Steps that still learn (a tail of returns or an episode, or traces; last, what waits), and statistics."""

    steps: Array  # [M, 3] int64: state, action, state after
    numbers: Array  # [M, 2] float64: reward and discount, or the trace
    slot: Array  # [S, A] int64: place of a trace, -1 for none
    counts: Array  # [7] int64
    sums: Array  # [5] float64
    episodes: Array  # [M, 4] float64: step, raw return, learner's return, length


class Statistics(NamedTuple):
    """Statistics before a stride."""

    errors: float  # sum over the updates since the last row of metrics
    epsilons: float  # likewise
    raw: float  # return of the episode under way
    learner: float  # likewise, of the learner's rewards
    length: int  # its steps
    room: int  # steps that may be taken


class Where(NamedTuple):
    """How far things have come."""

    state: int  # to act in
    elapsed: int  # steps of the episode
    steps: int  # of the run
    agent_steps: int  # observed by the agent
    agent_episodes: int


class Last(NamedTuple):
    """The last step."""

    action: int
    reward: float
    next_state: int
    terminated: bool
    last: bool


class Limits(NamedTuple):
    """When to stop."""

    steps: int
    episodes: int
