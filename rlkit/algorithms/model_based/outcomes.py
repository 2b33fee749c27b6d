"""A sample model of a discrete environment: what lately followed each action in each state."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rlkit.algorithms.tabular.traces import Step
from rlkit.core.resources import require_memory
from rlkit.core.types import Array, State

NONE = -1


class Outcomes(NamedTuple):
    """The last K outcomes of each action in each state (Sutton & Barto, 2nd ed., section 8.1), changed in place.

    With K = 1 it is the book's model of deterministic environments; a larger K tells of chance, and a change of the
    environment is forgotten after K visits. Where an action was never tried, its one outcome is that nothing happens.
    """

    next_state: Array  # [S, A, K] int64
    reward: Array  # [S, A, K] float64
    discount: Array  # [S, A, K] float64, the agent's gamma included; 0 where the episode terminated
    tries: Array  # [S, A] int64, how often each was tried
    tried_at: Array  # [S, A] int64, the step at which it was tried last; 0: never
    legal: Array  # [S, A] bool, as was seen last
    seen: Array  # [S] int64, the states that something was tried in, in their order, then -1
    clock: Array  # [2] int64: how many states were seen, and steps


def make_outcomes(states: int, actions: int, kept: int, gamma: float) -> Outcomes:
    """Return a model that knows of nothing.

    Raises:
        MemoryShortageError: there is no room for it.
    """
    what = f"a model of {kept} outcomes of {states:,} states and {actions:,} actions"
    require_memory(24 * states * actions * kept, what, "use fewer bins, or agent.outcomes=1")
    shape = (states, actions, kept)
    stays = np.broadcast_to(np.arange(states)[:, None, None], shape)
    pairs = (states, actions)
    return Outcomes(
        next_state=stays.copy(),
        reward=np.zeros(shape),
        discount=np.full(shape, gamma),
        tries=np.zeros(pairs, np.int64),
        tried_at=np.zeros(pairs, np.int64),
        legal=np.ones(pairs, bool),
        seen=np.full(states, NONE, np.int64),
        clock=np.zeros(2, np.int64),
    )


def record(model: Outcomes, step: Step) -> int:
    """Take a step into the model, in the place of the oldest outcome that is kept; return that place, below K."""
    s, a = step.s_tm1, step.a_tm1
    if not model.tries[s].any():
        model.seen[model.clock[0]] = s
        model.clock[0] += 1
    model.clock[1] += 1
    for state, legal in ((s, step.legal_tm1), (step.s_t, step.legal_t)):
        if legal is not None:
            model.legal[state] = legal
    k = int(model.tries[s, a] % model.reward.shape[2])
    model.next_state[s, a, k], model.reward[s, a, k] = step.s_t, step.r_t
    model.discount[s, a, k] = step.discount_t
    model.tries[s, a] += 1
    model.tried_at[s, a] = model.clock[1]
    return k


def state_of(arrays: NamedTuple) -> State:
    """Return arrays as plain data."""
    return {name: array.copy() for name, array in arrays._asdict().items()}


def restore(arrays: NamedTuple, state: State) -> None:
    """Restore arrays from `state_of`."""
    for name, array in arrays._asdict().items():
        array[...] = state[name]
