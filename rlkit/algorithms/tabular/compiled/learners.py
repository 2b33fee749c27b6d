"""Agents that the compiled loop can run: what they learn by, and what their last steps were."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.algorithms.tabular.compiled.structures import (
    CONSTANT,
    EVERY_VISIT,
    EXPONENTIAL,
    FIRST_VISIT,
    LINEAR,
    MULTIPLICATIVE,
    SARSA,
    TAIL,
    TRACES,
    WAITING,
    Epsilon,
    Progress,
    Rule,
    Statistics,
)
from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.control import QTable, TabularControl
from rlkit.algorithms.tabular.states import DiscreteStates
from rlkit.algorithms.tabular.traces import EligibilityTraces, NStepReturns, Step, plain
from rlkit.core.declarations import declarer, own_names
from rlkit.core.resources import require_memory
from rlkit.core.schedules import Constant, Exponential, Linear, Multiplicative, Schedule
from rlkit.core.types import Agent, Array, UsageError


def epsilon_of(schedule: Schedule, by_episode: bool) -> Epsilon | None:
    """Return a schedule as numbers; None where it is somebody's own."""
    match schedule:
        case Constant(value):
            numbers = (CONSTANT, 0.0, float(value), 0.0)
        case Linear(start, end, steps):
            numbers = (LINEAR, float(start), float(end), float(steps))
        case Exponential(start, end, rate):
            numbers = (EXPONENTIAL, float(start), float(end), float(rate))
        case Multiplicative(start, end, factor):
            numbers = (MULTIPLICATIVE, float(start), float(end), float(factor))
        case _:
            return None
    known = type(schedule) in (Constant, Linear, Exponential, Multiplicative)
    return Epsilon(*numbers, by_episode) if known else None


def kind_of(agent: Agent) -> int | None:
    """Return the rule that an agent declares and does not change; None where there is none.

    Raises:
        UsageError: what it declares is no `CompiledRule`.
    """
    found = declarer(type(agent), _declares_rule, lambda part: bool(own_names(part) - {"name"}))
    rule = None if found is None else vars(found)["compiled_rule"]
    if rule is None:
        return None
    if not isinstance(rule, CompiledRule):
        raise UsageError(
            f"compiled_rule of {type(agent).__name__} is {rule!r}; it must be one of "
            "rlkit.algorithms.tabular.compiled_rules.CompiledRule, or None"
        )
    return _visits(agent) if rule in (FIRST_VISIT, EVERY_VISIT) else int(rule)


def _declares_rule(kind: type) -> bool:
    return "compiled_rule" in vars(kind)


def _visits(agent: Any) -> int | None:
    """Return which visits Monte Carlo control learns from; None where its starts or its policy are others."""
    if agent.exploring_starts or agent.off_policy:
        return None
    return FIRST_VISIT if agent.first_visit else EVERY_VISIT


def learns_whole_episodes(agent: Agent) -> bool:
    """Return whether an agent learns when an episode has ended, so that all of its steps are kept until then."""
    return kind_of(agent) in (FIRST_VISIT, EVERY_VISIT)


def rule_of(agent: Agent) -> Rule | None:
    """Return how an agent learns; None where that is not compiled. Its tables are the agent's own arrays."""
    kind = kind_of(agent)
    if kind is None or not isinstance(agent, TabularControl) or not _known_parts(agent):
        return None
    first, traces = agent.tables[0], agent.traces
    return Rule(
        kind=kind,
        values=agent.values,
        visits=agent.counts,
        gamma=float(agent.gamma),
        rate=float(first.learning_rate),
        rate_decay=float(first.learning_rate_decay),
        n_step=traces.n_step if isinstance(traces, NStepReturns) else 1,
        trace_decay=float(traces.trace_decay) if isinstance(traces, EligibilityTraces) else 0.0,
        faint=EligibilityTraces.FAINT,
    )


def _known_parts(agent: TabularControl) -> bool:
    """Return whether what an agent learns with are classes that the kernel stands for, and not somebody's own."""
    known = type(agent.states) is DiscreteStates and all(type(table) is QTable for table in agent.tables)
    return known and type(agent.traces) in (type(None), NStepReturns, EligibilityTraces)


def steps_left(agent: Any) -> tuple[list[list[Any]], list[list[Any]], list[list[Any]]]:
    """Return from what an agent still learns: the tail or the episode, the traces, and the step that is pending."""
    kept = {} if agent.traces is None else agent.traces.state_dict()
    tails = agent.buffer.state_dict()["steps"] if learns_whole_episodes(agent) else kept.get("tails", [])
    pending = agent.pending.state_dict()["steps"] if kind_of(agent) == SARSA else []
    # Rows are (environment, value), and there is one environment.
    tail, traces = ([value for _, values in rows for value in values] for rows in (tails, kept.get("traces", [])))
    return tail, traces, [step for _, step in pending]


def progress_of(agent: TabularControl, rule: Rule, statistics: Statistics) -> Progress:
    """Return from what an agent still learns, and the statistics, as arrays for up to `statistics.room` steps."""
    traced, (tail, traces, pending) = rule.trace_decay > 0, steps_left(agent)
    whole = learns_whole_episodes(agent)
    size = 1 + (rule.values[0].size if traced else len(tail) + statistics.room if whole else rule.n_step)
    require_memory(40 * size, f"returns of {size - 1:,} steps", "set agent.n_step lower")
    steps, numbers = np.zeros((size, 3), np.int64), np.zeros((size, 2))
    slot = np.full(rule.values[0].shape if traced or whole else (0, 0), -1, np.int64)
    for i, (s, a, reward, discount, s_t, *_) in [*enumerate(tail), *((size - 1, step) for step in pending)]:
        steps[i], numbers[i] = (s, a, s_t), (reward, discount)
    for i, (s, a, trace) in enumerate(traces):
        steps[i, :2], numbers[i, 0], slot[s, a] = (s, a), trace, i
    counts = np.array([len(tail), len(traces), len(pending), 0, 0, statistics.length, 0])
    sums = np.array([statistics.errors, statistics.epsilons, 0.0, statistics.raw, statistics.learner])
    return Progress(steps, numbers, slot, counts, sums, np.empty((statistics.room, 4)))


def write_back(agent: Any, progress: Progress, legal: Array | None) -> None:
    """Let an agent go on from these steps; `legal` [S, A] says which actions may be chosen."""
    counts, size = progress.counts, len(progress.steps)
    tail = [_plain(progress, i, legal) for i in range(counts[TAIL])]
    traces = [[*progress.steps[i, :2].tolist(), progress.numbers.item(i, 0)] for i in range(counts[TRACES])]
    tails = [[0, tail]] if tail else []
    if learns_whole_episodes(agent):
        agent.buffer.load_state_dict({"steps": tails})
    elif agent.traces is not None:
        agent.traces.load_state_dict({"tails": tails, "traces": [[0, traces]] if traces else []})
    if kind_of(agent) == SARSA:
        agent.pending.load_state_dict({"steps": [[0, _plain(progress, size - 1, legal)]] * int(counts[WAITING])})


def _plain(progress: Progress, i: int, legal: Array | None) -> list[Any]:
    (s, a, s_t), (reward, discount) = progress.steps[i].tolist(), progress.numbers[i].tolist()
    masks = (None, None) if legal is None else (legal[s], legal[s_t])
    # Steps that still learn belong to episodes that have not ended.
    return plain(Step(s, a, reward, discount, s_t, False, *masks))
