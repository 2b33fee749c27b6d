"""Whole episodes, and what agents learn from their returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlkit.algorithms.tabular.q_table import Step, Table, from_plain, plain
from rlkit.core.targets import td_target
from rlkit.core.types import Array, State


def first_visits(steps: Sequence[Step]) -> Iterator[int]:
    """Yield the places in an episode at which a state and action come for the first time."""
    seen: set[tuple[int, int]] = set()
    for t, step in enumerate(steps):
        pair = (step.s_tm1, step.a_tm1)
        if pair not in seen:
            seen.add(pair)
            yield t


def returns_of(steps: Sequence[Step], v_t: float) -> list[float]:
    """Return the discounted return from each step of an episode on, whose last successor is worth `v_t`."""
    found = []
    for step in reversed(steps):
        v_t = td_target(step.r_t, step.discount_t, v_t)
        found.append(v_t)
    return found[::-1]


def learn_returns(episode: Sequence[Step], v_t: float, table: Table, first_visit: bool) -> list[float]:
    """Move values towards the returns of an episode whose last successor is worth `v_t`; return the errors.

    Source: Sutton & Barto, 2nd ed., sections 5.1 and 5.3.
    """
    returns = returns_of(episode, v_t)
    errors = []
    for t in first_visits(episode) if first_visit else range(len(episode)):
        s, a = episode[t].s_tm1, episode[t].a_tm1
        errors.append(returns[t] - table.values.item(s, a))
        table.visit(s, a)
        table.move(s, a, errors[-1])
    return errors


class Episodes:
    """The steps of the episodes under way, for agents that learn from whole ones."""

    def __init__(self) -> None:
        """Begin with none."""
        self._steps: dict[int, list[Step]] = {}

    def add(self, i: int, step: Step) -> list[Step]:
        """Add a step of environment `i` and return its episode if that ended it, else nothing."""
        self._steps.setdefault(i, []).append(step)
        return self._steps.pop(i) if step.last else []

    def state_dict(self) -> State:
        """Return the steps."""
        return {"steps": [[i, [plain(step) for step in steps]] for i, steps in self._steps.items()]}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""
        self._steps = {int(i): [from_plain(step) for step in steps] for i, steps in state["steps"]}


def learn_weighted_returns(
    episode: Sequence[Step], likelihoods: Sequence[float], v_t: float, table: Table, weights: Array
) -> list[float]:
    """Move values of the greedy policy towards the returns of an episode by another one; return the errors.

    Weighted importance sampling, from the end on, for as long as what was done is greedy.

    Args:
        episode: its steps.
        likelihoods: of each step's action, under the policy that acted.
        v_t: what the last successor is worth.
        table: of the greedy policy's values [S, A].
        weights: [S, A] float64, the sum of the weights so far; changed in place.

    Source: Sutton & Barto, 2nd ed., section 5.7.
    """
    returns, weight, errors = returns_of(episode, v_t), 1.0, []
    for step, likelihood, goal in zip(reversed(episode), reversed(likelihoods), reversed(returns), strict=True):
        s, a = step.s_tm1, step.a_tm1
        weights[s, a] += weight
        errors.append(goal - table.values.item(s, a))
        table.visit(s, a)
        table.values[s, a] += weight / weights[s, a] * errors[-1]
        if a != table.best(s, step.legal_tm1):
            break
        weight /= likelihood
    return errors
