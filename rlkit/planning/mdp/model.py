"""A finite Markov decision process as arrays (Sutton & Barto, 2nd ed., section 3.1).

Shapes: S states, A actions, K outcomes of the state and action that has most; the others are padded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rlkit.core.resources import require_memory
from rlkit.core.types import Array, UsageError

Outcome = tuple[float, int, float, bool]
"""Probability, next state, reward, and whether the episode terminates: an entry of Gymnasium's ``P[state][action]``."""

Table = Mapping[int, Mapping[int, Sequence[Outcome]]] | Sequence[Sequence[Sequence[Outcome]]]

ROUNDING = 1e-9
"""By how much a sum of probabilities may miss 1."""


@dataclass(frozen=True, eq=False)
class FiniteMDP:
    """Transitions, their probabilities and rewards.

    A termination ends the episode with value 0, whatever the state it ends in: the discount of an outcome is gamma
    times ``1 - terminated``. Actions that are not legal have outcomes all the same, for whoever takes them.

    Attributes:
        probability: [S, A, K] float64, of each outcome; 0 in the padding.
        next_state: [S, A, K] int64.
        reward: [S, A, K] float64; of rewards that vary, the mean.
        terminated: [S, A, K] bool.
        start: [S] float64, how likely an episode begins there.
        legal: [S, A] bool, what a policy may choose, at least one action in each state; None: everything.
    """

    probability: Array
    next_state: Array
    reward: Array
    terminated: Array
    start: Array
    legal: Array | None = None

    def __post_init__(self) -> None:
        """Check shapes and values.

        Raises:
            UsageError: naming the state and action where they do not fit.
        """
        _check_shapes(self)
        _check_distribution(self.start[None, None], "the start probabilities")
        _check_distribution(self.probability, "the probabilities")
        outside = (self.next_state < 0) | (self.next_state >= self.num_states)
        if outside.any():
            state, action, k = np.argwhere(outside)[0]
            found = self.next_state[state, action, k]
            raise UsageError(
                f"state {state}, action {action} leads to state {found}; states are 0 to {self.num_states - 1}"
            )
        if not self.mask.any(axis=1).all():
            raise UsageError(f"state {self.mask.any(axis=1).argmin()} has no legal action; every state needs one")

    @property
    def num_states(self) -> int:
        """S."""
        return int(self.probability.shape[0])

    @property
    def num_actions(self) -> int:
        """A."""
        return int(self.probability.shape[1])

    @cached_property
    def mask(self) -> Array:
        """[S, A] bool: `legal`, all True where that is None."""
        return np.ones(self.probability.shape[:2], bool) if self.legal is None else self.legal

    @cached_property
    def expected_reward(self) -> Array:
        """[S, A] float64: r(s, a) (Sutton & Barto, eq. 3.5)."""
        return np.asarray(np.einsum("sak,sak->sa", self.probability, self.reward))

    @cached_property
    def continuation(self) -> Any:
        """[S * A, S] `scipy.sparse.csr_array`: the probability of going on in each state, terminations left out."""
        from scipy.sparse import csr_array

        probability = np.where(self.terminated, 0.0, self.probability)
        rows, columns = np.nonzero(probability.reshape(-1, probability.shape[2]))
        entries = (probability.reshape(-1, probability.shape[2])[rows, columns], _flat(self.next_state)[rows, columns])
        # Outcomes that differ in their reward alone are summed here.
        shape = (self.num_states * self.num_actions, self.num_states)
        return csr_array((entries[0], (rows, entries[1])), shape=shape)

    @cached_property
    def cumulative(self) -> Array:
        """[S * A, K] float64: of the probabilities, 1 from the last outcome that is possible."""
        flat = _flat(self.probability)
        sums = np.cumsum(flat, axis=1)
        # Rounding must not leave a gap below 1, into which a draw could fall.
        possible_after = np.cumsum(flat[:, ::-1] > 0, axis=1)[:, ::-1]
        sums[possible_after - (flat > 0) == 0] = 1.0
        return sums

    @cached_property
    def cumulative_start(self) -> Array:
        """[S] float64: of the start probabilities, 1 from the last state that is possible."""
        sums = np.cumsum(self.start)
        sums[np.flatnonzero(self.start)[-1] :] = 1.0
        return sums

    def sample_start(self, size: int, rng: np.random.Generator) -> Array:
        """Draw the states [size] int64 in which episodes begin."""
        return self.cumulative_start.searchsorted(rng.random(size), side="right")

    def sample(self, state: Array, action: Array, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        """Draw the results of actions [N] int64 in states [N] int64.

        Returns:
            next_state: [N] int64.
            reward: [N] float64.
            terminated: [N] bool.
        """
        row = state * self.num_actions + action
        outcomes = self.probability.shape[2]
        if outcomes == 1:
            index = row
        else:
            draws = rng.random((len(row), 1))
            index = row * outcomes + np.count_nonzero(self.cumulative[row] <= draws, axis=1)
        return self.next_state.reshape(-1)[index], self.reward.reshape(-1)[index], self.terminated.reshape(-1)[index]


def from_table(table: Table, start: Array, legal: Array | None = None) -> FiniteMDP:
    """Return the MDP of ``table[state][action]``, a list of outcomes ``(probability, next state, reward, terminated)``.

    Args:
        table: nested lists or dicts, as Gymnasium's ``P``.
        start: [S] how likely an episode begins in each state.
        legal: [S, A] bool, or None where every action is legal.

    Raises:
        UsageError: see `FiniteMDP`.
    """
    cells = [[table[state][action] for action in range(len(table[0]))] for state in range(len(table))]
    shape = (len(cells), len(cells[0]), max(len(outcomes) for row in cells for outcomes in row))
    probability, reward = np.zeros(shape), np.zeros(shape)
    next_state, terminated = np.zeros(shape, np.int64), np.zeros(shape, bool)
    for state, row in enumerate(cells):
        for action, outcomes in enumerate(row):
            for k, outcome in enumerate(outcomes):
                at = state, action, k
                probability[at], next_state[at], reward[at], terminated[at] = outcome
    return FiniteMDP(probability, next_state, reward, terminated, np.asarray(start, np.float64), legal)


def _flat(array: Array) -> Array:
    return array.reshape(-1, array.shape[2])


def _check_shapes(mdp: FiniteMDP) -> None:
    shape = mdp.probability.shape
    wanted = {"next_state": shape, "reward": shape, "terminated": shape, "start": shape[:1], "legal": shape[:2]}
    for name, expected in wanted.items():
        found = getattr(mdp, name)
        if found is not None and found.shape != expected:
            raise UsageError(
                f"{name} has the shape {list(found.shape)}; with these probabilities it is {list(expected)}"
            )


def _check_distribution(probability: Array, what: str) -> None:
    wrong = (np.abs(probability.sum(axis=2) - 1) > ROUNDING) | (probability < 0).any(axis=2)
    if wrong.any():
        state, action = np.argwhere(wrong)[0]
        where = "" if what.startswith("the start") else f" of state {state}, action {action}"
        raise UsageError(
            f"{what}{where} sum to {probability[state, action].sum():g}, the least is "
            f"{probability[state, action].min():g}; they must be at least 0 and sum to 1"
        )


def require_room(states: int, actions: int, outcomes: int, remedy: str) -> None:
    """Check, before they are made, that the tables of an MDP [S, A, K] fit into memory.

    Raises:
        UsageError: they do not; `remedy` is part of the message.
    """
    entry = 2 * 25  # bytes of a probability, a reward, a successor and an end, and as much while they are made
    what = f"an environment of {states:,} states, {actions:,} actions and {outcomes:,} outcomes of each"
    require_memory(states * actions * outcomes * entry, what, remedy)
