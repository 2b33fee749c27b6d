"""Whole episodes, and how tables learn from their returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rlkit.algorithms.tabular.control import QTable
from rlkit.algorithms.tabular.traces import Step, plain, restored
from rlkit.core.types import Array, State


def first_visits(episode: Sequence[Step]) -> Iterator[int]:
    """Yield the times t at which a state and action come for the first time in an episode."""
    visited: set[tuple[int, int]] = set()
    for t, step in enumerate(episode):
        pair = (step.s_tm1, step.a_tm1)
        if pair not in visited:
            visited.add(pair)
            yield t


def returns_of(episode: Sequence[Step], v_t: float) -> list[float]:
    """Return the discounted return from each step of an episode on, whose last successor has the value `v_t`."""
    returns = []
    for step in reversed(episode):
        v_t = step.r_t + step.discount_t * v_t
        returns.append(v_t)
    return returns[::-1]


def learn_returns(q: QTable, episode: Sequence[Step], v_t: float, *, first_visit: bool) -> list[float]:
    """Move values towards the returns of an episode whose last successor has the value `v_t`; return the errors.

    Source: Sutton & Barto, 2nd ed., sections 5.1 and 5.3.
    """
    returns = returns_of(episode, v_t)
    visits = first_visits(episode) if first_visit else range(len(episode))
    return [q.update(episode[t].s_tm1, episode[t].a_tm1, returns[t]) for t in visits]


def learn_weighted_returns(
    q: QTable, episode: Sequence[Step], likelihoods: Sequence[float], v_t: float, weights: Array
) -> list[float]:
    """Move values of the greedy policy towards the returns of an episode by another one; return the errors.

    Weighted importance sampling, from the end on, for as long as what was done is greedy.

    Args:
        q: the greedy policy's values [S, A].
        episode: its steps.
        likelihoods: of each step's action, under the policy that acted.
        v_t: the value of the last successor.
        weights: [S, A] float64, the sum of the weights so far; changed in place.

    Source: Sutton & Barto, 2nd ed., section 5.7.
    """
    weight, errors = 1.0, []
    for step, likelihood, g_t in zip(
        reversed(episode), reversed(likelihoods), reversed(returns_of(episode, v_t)), strict=True
    ):
        s, a = step.s_tm1, step.a_tm1
        weights[s, a] += weight
        errors.append(g_t - q[s, a])
        q.visits[s, a] += 1
        q.values[s, a] += weight / weights[s, a] * errors[-1]
        if a != q.argmax(s, step.legal_tm1):
            break
        weight /= likelihood
    return errors


class EpisodeBuffer:
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
        """Restore a state from `state_dict`."""
        self._steps = {int(i): [restored(step) for step in steps] for i, steps in state["steps"]}
