"""The inner loop of tabular control in one finite MDP, compiled: the numbers of the Python loop, bit for bit.

Formulas are those of `control`, `traces` and `monte_carlo` in `rlkit.algorithms.tabular`, of
`rlkit.algorithms.exploration` and of `rlkit.envs.tabular`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.random import Generator

from rlkit.algorithms.tabular.compiled.structures import (
    CONSTANT,
    CUMULATIVE,
    DOUBLE_Q_LEARNING,
    ENDED,
    EPSILONS,
    ERRORS,
    EVERY_VISIT,
    EXPECTED_SARSA,
    EXPONENTIAL,
    FIRST_VISIT,
    LEARNER,
    LENGTH,
    LINEAR,
    MAGNITUDE,
    OF_UPDATE,
    RAW,
    REWARD,
    SARSA,
    TAIL,
    TRACES,
    UPDATES,
    WAITING,
    Chances,
    Epsilon,
    Last,
    Limits,
    Progress,
    Rule,
    Where,
)
from rlkit.core.compiling import entry

F = TypeVar("F", bound=Callable[..., Any])

# What only other compiled functions call needs no entry from Python, nor a place in the cache. Counting references to
# the arrays (NRT) would take twice as long as the work itself.
WITHIN: dict[str, Any] = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
QUICK: dict[str, Any] = {**WITHIN, "forceinline": True, "_nrt": False}
ALLOCATING: dict[str, Any] = {**WITHIN, "_nrt": True}
ENTRY: dict[str, Any] = {"error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}

compiled: Callable[[F], F] = numba.njit(**QUICK)
allocating: Callable[[F], F] = numba.njit(**ALLOCATING)
kept: Callable[[F], F] = entry(**ENTRY)


@allocating
def any_action(actions: int, rng: Generator) -> int:
    """Return an action drawn uniformly; numba's `integers` makes an array on its way."""
    return int(rng.integers(0, actions))


@compiled
def share(epsilon: Epsilon, steps: int, episodes: int) -> float:
    """Return the schedule's value."""
    step = episodes if epsilon.by_episode else steps
    if epsilon.kind == CONSTANT:
        return epsilon.end
    if epsilon.kind == LINEAR:
        if step >= epsilon.rate:
            return epsilon.end
        return epsilon.start + (epsilon.end - epsilon.start) * step / epsilon.rate
    if epsilon.kind == EXPONENTIAL:
        return epsilon.end + (epsilon.start - epsilon.end) * math.exp(-epsilon.rate * step)
    return max(epsilon.end, epsilon.start * math.pow(epsilon.rate, float(step)))


@compiled
def is_legal(m: Chances, s: int, a: int) -> bool:
    """Return whether an action may be chosen."""
    return m.legal.shape[0] == 0 or m.legal[s, a]


@compiled
def acted_on(rule: Rule, s: int, a: int) -> float:
    """Return what the agent acts on: the sum of its tables."""
    value = rule.values[0, s, a]
    return value + rule.values[1, s, a] if rule.kind == DOUBLE_Q_LEARNING else value


@compiled
def greedy(rule: Rule, m: Chances, s: int, rng: Generator) -> int:
    """Return the best action, ties broken at random."""
    actions = rule.values.shape[2]
    highest, best, ties = -np.inf, 0, 0
    for a in range(actions):
        if not is_legal(m, s, a):
            continue
        value = acted_on(rule, s, a)
        if value != value:
            return 0
        if value > highest:
            highest, best, ties = value, a, 1
        elif value == highest:
            ties += 1
    if ties <= 1:
        return best
    best, most = 0, -1.0
    for a in range(actions):
        draw = rng.random() * (is_legal(m, s, a) and acted_on(rule, s, a) == highest)
        if draw > most:
            best, most = a, draw
    return best


@compiled
def epsilon_greedy(rule: Rule, m: Chances, s: int, epsilon: float, rng: Generator) -> int:
    """Return the action that `rlkit.algorithms.exploration.epsilon_greedy` would return."""
    action = greedy(rule, m, s, rng)
    if epsilon <= 0 or rng.random() >= epsilon:
        return action
    actions = rule.values.shape[2]
    if m.legal.shape[0] == 0:
        return any_action(actions, rng)
    best, most = 0, -1.0
    for a in range(actions):
        draw = rng.random() * m.legal[s, a]
        if draw > most:
            best, most = a, draw
    return best


@compiled
def drawn(m: Chances, s: int, a: int, draw: float) -> int:
    """Return the first outcome whose cumulative probability is above `draw`."""
    for k in range(m.next_state.shape[2]):
        if m.outcomes[s, a, k, CUMULATIVE] > draw:
            return k
    return 0


@compiled
def begin(m: Chances, rng: Generator) -> int:
    """Return a state in which an episode begins."""
    draw, low, high = rng.random(), 0, m.start.shape[0]
    while low < high:
        middle = (low + high) // 2
        if m.start[middle] <= draw:
            low = middle + 1
        else:
            high = middle
    return low if low < m.start.shape[0] else 0


@compiled
def step(m: Chances, s: int, a: int, rng: Generator) -> tuple[float, int, bool]:
    """Return the reward, the next state and whether the episode terminated."""
    k = 0
    if m.always_draws or m.next_state.shape[2] > 1:
        k = drawn(m, s, a, rng.random())
    reward = m.outcomes[s, a, k, REWARD]
    if m.deviation.shape[0] > 0:
        reward += m.deviation[s, a] * rng.standard_normal()
    s_t = m.next_state[s, a, k]
    return (reward, ~s_t, True) if s_t < 0 else (reward, s_t, False)


@compiled
def highest_value(rule: Rule, m: Chances, table: int, s: int) -> float:
    """Return the largest value of a legal action, 0 where none is legal."""
    found, highest = False, 0.0
    for a in range(rule.values.shape[2]):
        value = rule.values[table, s, a]
        if is_legal(m, s, a) and (not found or value > highest):
            found, highest = True, value
    return highest


@compiled
def best_action(rule: Rule, m: Chances, table: int, s: int) -> int:
    """Return the first action with the largest value."""
    best, highest = 0, -np.inf
    for a in range(rule.values.shape[2]):
        value = rule.values[table, s, a] if is_legal(m, s, a) else -np.inf
        if value != value:
            return a
        if value > highest:
            best, highest = a, value
    return best


@compiled
def expected_value(rule: Rule, m: Chances, table: int, s: int, epsilon: float) -> float:
    """Return the value of acting epsilon-greedily in a state."""
    total, number = 0.0, 0
    for a in range(rule.values.shape[2]):
        if is_legal(m, s, a):
            total += rule.values[table, s, a]
            number += 1
    if number == 0:
        return 0.0
    return epsilon * total / number + (1 - epsilon) * highest_value(rule, m, table, s)


@compiled
def bootstrap_value(rule: Rule, m: Chances, table: int, s: int, epsilon: float) -> float:
    """Return the bootstrap value of a state for a table, by the rule."""
    if rule.kind == EXPECTED_SARSA:
        return expected_value(rule, m, table, s, epsilon)
    if rule.kind == DOUBLE_Q_LEARNING:
        return rule.values[1 - table, s, best_action(rule, m, table, s)]
    return highest_value(rule, m, table, s)


@compiled
def move(rule: Rule, table: int, s: int, a: int, error: float) -> None:
    """Move a value by its share of an error."""
    rate = rule.rate
    if rule.rate_decay != 0:
        rate *= math.pow(float(max(rule.visits[table, s, a], 1)), -rule.rate_decay)
    rule.values[table, s, a] += rate * error


@compiled
def learn(rule: Rule, p: Progress, table: int, s: int, a: int, error: float) -> None:
    """Count a visit and an error, and move the value by it."""
    rule.visits[table, s, a] += 1
    move(rule, table, s, a, error)
    p.sums[MAGNITUDE] += abs(error)
    p.counts[OF_UPDATE] += 1


@compiled
def towards(rule: Rule, p: Progress, table: int, v_t: float) -> None:
    """Move the value of the first step of the tail, taking it out, towards its return."""
    length = p.counts[TAIL]
    target = v_t
    for i in range(length - 1, -1, -1):
        target = p.numbers[i, 0] + p.numbers[i, 1] * target
    s, a = p.steps[0, 0], p.steps[0, 1]
    learn(rule, p, table, s, a, target - rule.values[table, s, a])
    for i in range(1, length):
        p.numbers[i - 1, 0], p.numbers[i - 1, 1] = p.numbers[i, 0], p.numbers[i, 1]
        for j in range(3):
            p.steps[i - 1, j] = p.steps[i, j]
    p.counts[TAIL] = length - 1


@compiled
def finish(rule: Rule, p: Progress, table: int, v_t: float) -> None:
    """Let all of the tail learn."""
    while p.counts[TAIL] > 0:
        towards(rule, p, table, v_t)


@compiled
def keep(p: Progress, i: int, s: int, a: int, s_t: int, reward: float, discount: float) -> None:
    """Keep a step that learns later."""
    p.steps[i, 0], p.steps[i, 1], p.steps[i, 2] = s, a, s_t
    p.numbers[i, 0], p.numbers[i, 1] = reward, discount


@compiled
def learn_episode(rule: Rule, p: Progress, v_t: float) -> None:
    """Learn from the returns of the whole tail, an episode whose last successor has the value `v_t`."""
    length = p.counts[TAIL]
    for i in range(length - 1, -1, -1):
        v_t = p.numbers[i, 0] + p.numbers[i, 1] * v_t
        p.numbers[i, 0] = v_t
    for i in range(length):
        s, a = p.steps[i, 0], p.steps[i, 1]
        if rule.kind == EVERY_VISIT or p.slot[s, a] < 0:
            learn(rule, p, 0, s, a, p.numbers[i, 0] - rule.values[0, s, a])
            p.slot[s, a] = i
    for i in range(length):
        p.slot[p.steps[i, 0], p.steps[i, 1]] = -1
    p.counts[TAIL] = 0


@compiled
def forget(p: Progress) -> None:
    """Drop all traces."""
    for i in range(p.counts[TRACES]):
        p.slot[p.steps[i, 0], p.steps[i, 1]] = -1
    p.counts[TRACES] = 0


@compiled
def fade(rule: Rule, p: Progress, fading: float) -> None:
    """Let traces fade, and drop the faint ones."""
    kept = 0
    for i in range(p.counts[TRACES]):
        s, a, trace = p.steps[i, 0], p.steps[i, 1], fading * p.numbers[i, 0]
        p.slot[s, a] = -1
        if abs(trace) > rule.faint:
            p.steps[kept, 0], p.steps[kept, 1], p.numbers[kept, 0] = s, a, trace
            p.slot[s, a] = kept
            kept += 1
    p.counts[TRACES] = kept


@compiled
def trace(p: Progress, s: int, a: int) -> None:
    """Leave a trace, in place of an older one."""
    i = p.slot[s, a]
    if i < 0:
        i = p.counts[TRACES]
        p.counts[TRACES] = i + 1
        p.steps[i, 0], p.steps[i, 1], p.slot[s, a] = s, a, i
    p.numbers[i, 0] = 1.0


@compiled
def spread(
    rule: Rule,
    p: Progress,
    table: int,
    s: int,
    a: int,
    s_t: int,
    reward: float,
    discount: float,
    last: bool,
    v_t: float,
) -> None:
    """Learn from a step whose successor has the value `v_t`."""
    if rule.n_step > 1:
        keep(p, p.counts[TAIL], s, a, s_t, reward, discount)
        p.counts[TAIL] += 1
        if last:
            finish(rule, p, table, v_t)
        elif p.counts[TAIL] == rule.n_step:
            towards(rule, p, table, v_t)
        return
    error = reward + discount * v_t - rule.values[table, s, a]
    learn(rule, p, table, s, a, error)
    if rule.trace_decay == 0:
        return
    trace(p, s, a)
    for i in range(p.counts[TRACES]):
        if p.steps[i, 0] != s or p.steps[i, 1] != a:
            move(rule, table, p.steps[i, 0], p.steps[i, 1], p.numbers[i, 0] * error)
    if last:
        forget(p)
    else:
        fade(rule, p, discount * rule.trace_decay)


@compiled
def cut(rule: Rule, m: Chances, p: Progress, table: int, epsilon: float) -> None:
    """Let no earlier step learn from what comes now."""
    if rule.trace_decay > 0:
        forget(p)
    elif p.counts[TAIL] > 0:
        finish(rule, p, table, bootstrap_value(rule, m, table, p.steps[p.counts[TAIL] - 1, 2], epsilon))


@compiled
def was_greedy(rule: Rule, m: Chances, s: int, a: int) -> bool:
    """Return whether an action is among the best."""
    value = acted_on(rule, s, a)
    for other in range(rule.values.shape[2]):
        if is_legal(m, s, other) and not value >= acted_on(rule, s, other):
            return False
    return True


@compiled
def learn_on_policy(rule: Rule, p: Progress, table: int, a_t: int, last: bool) -> None:
    """Learn from the step that waits, now that the next action is known."""
    i = p.steps.shape[0] - 1
    s, a, s_t = p.steps[i, 0], p.steps[i, 1], p.steps[i, 2]
    spread(rule, p, table, s, a, s_t, p.numbers[i, 0], p.numbers[i, 1], last, rule.values[table, s_t, a_t])


@compiled
def update(
    rule: Rule,
    m: Chances,
    p: Progress,
    s: int,
    a: int,
    s_t: int,
    reward: float,
    discount: float,
    last: bool,
    epsilon: float,
    rng: Generator,
) -> None:
    """Learn from a step, and take its errors into the averages."""
    p.sums[MAGNITUDE], p.counts[OF_UPDATE], table, a_t = 0.0, 0, 0, 0
    if rule.kind == DOUBLE_Q_LEARNING and rng.random() >= 0.5:
        table = 1
    if rule.kind == SARSA:
        if p.counts[WAITING] > 0:
            learn_on_policy(rule, p, table, a, p.counts[WAITING] == 0)
        keep(p, p.steps.shape[0] - 1, s, a, s_t, reward, discount)
        p.counts[WAITING] = 0 if last else 1
        if last:
            a_t = 0 if discount == 0 else epsilon_greedy(rule, m, s_t, epsilon, rng)
            learn_on_policy(rule, p, table, a_t, last)
    elif rule.kind == FIRST_VISIT or rule.kind == EVERY_VISIT:
        keep(p, p.counts[TAIL], s, a, s_t, reward, discount)
        p.counts[TAIL] += 1
        if last:
            learn_episode(rule, p, highest_value(rule, m, table, s_t))
    else:
        off_policy = rule.kind != EXPECTED_SARSA and (rule.n_step > 1 or rule.trace_decay > 0)
        if off_policy and not was_greedy(rule, m, s, a):
            cut(rule, m, p, table, epsilon)
        spread(rule, p, table, s, a, s_t, reward, discount, last, bootstrap_value(rule, m, table, s_t, epsilon))
    if p.counts[OF_UPDATE] > 0:
        p.sums[ERRORS] += p.sums[MAGNITUDE] / p.counts[OF_UPDATE]
        p.sums[EPSILONS] += epsilon
        p.counts[UPDATES] += 1


@compiled
def track(p: Progress, reward: float, learned: float, last: bool, steps: int) -> None:
    """Add up the episode, and write it down where it ended."""
    p.sums[RAW] += reward
    p.sums[LEARNER] += learned
    p.counts[LENGTH] += 1
    if not last:
        return
    i = p.counts[ENDED]
    p.episodes[i, 0], p.episodes[i, 1] = steps, p.sums[RAW]
    p.episodes[i, 2], p.episodes[i, 3] = p.sums[LEARNER], p.counts[LENGTH]
    p.sums[RAW], p.sums[LEARNER], p.counts[LENGTH] = 0.0, 0.0, 0
    p.counts[ENDED] = i + 1


@kept
def run(
    m: Chances,
    rule: Rule,
    epsilon: Epsilon,
    p: Progress,
    where: Where,
    limits: Limits,
    env: Generator,
    acts: Generator,
    learns: Generator,
) -> tuple[Where, Last]:
    """Act and learn until a limit is reached; `env`, `acts` and `learns` are generators.

    What is an array is changed in place.
    """
    s, elapsed, steps = where.state, where.elapsed, where.steps
    agent_steps, agent_episodes = where.agent_steps, where.agent_episodes
    a, r, s_t, terminated, last = 0, 0.0, 0, False, False
    chance = share(epsilon, agent_steps, agent_episodes)
    while steps < limits.steps and p.counts[ENDED] < limits.episodes:
        a = epsilon_greedy(rule, m, s, chance, acts)
        r, s_t, terminated = step(m, s, a, env)
        elapsed += 1
        last = terminated or elapsed == m.max_steps
        discount = 0.0 if terminated else rule.gamma
        steps, agent_steps, agent_episodes = steps + 1, agent_steps + 1, agent_episodes + last
        learned = np.float64(np.float32(r))
        if last or not epsilon.by_episode:
            chance = share(epsilon, agent_steps, agent_episodes)
        update(rule, m, p, s, a, s_t, learned, discount, last, chance, learns)
        track(p, r, learned, last, steps)
        s = s_t
        if last:
            s, elapsed = begin(m, env), 0
    return Where(s, elapsed, steps, agent_steps, agent_episodes), Last(a, r, s_t, terminated, last)
