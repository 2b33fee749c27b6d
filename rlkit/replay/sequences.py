"""Experience replay of sequences, for agents with a recurrent memory (Kapturowski et al., 2019)."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from rlkit.core import tree
from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.types import Array, FromRun, SequenceBatch, State, Transition, Tree, UsageError
from rlkit.replay.tracked import TrackedReplay

MEMORY = "memory"
"""The column of a row with what was remembered before its step."""


class SequenceReplay(TrackedReplay):
    """The newest transitions, sampled as sequences of successive ones of one environment, uniformly.

    A sequence goes on where an episode ends, with the next one; agents reset their memory there. It may begin with any
    transition after which the environment has enough stored ones. With each transition what the agent remembered before
    it is stored, ``memory["before"]``; all else lies in memory as in `UniformReplay`.

    Attributes:
        learned: L, steps of a sequence that are learned from.
    """

    def __init__(
        self,
        capacity: PositiveInt,
        rng: FromRun[np.random.Generator],
        *,
        length: PositiveInt,
        burn_in: NonNegativeInt,
        **options: Any,
    ):
        """Store up to `capacity` transitions.

        Args:
            capacity: number of transitions.
            rng: draws the samples.
            length: steps of a sequence; with `n_step` > 1 up to ``n_step - 1`` that come after it are rewarded, too.
            burn_in: the first of them, which bring the memory up to date and are not learned from.
            options: of `UniformReplay`.

        Raises:
            UsageError: a `burn_in` of the whole sequence.
        """
        if burn_in >= length:
            raise UsageError(f"replay.burn_in is {burn_in}; it must be less than replay.length={length}")
        super().__init__(capacity, rng, **options)
        self._length, self._burn_in = length, burn_in
        self.learned = length - burn_in
        self._remembered: list[Array] = []  # memories [K, ...] of the rows that were added but not entered yet

    def __len__(self) -> int:
        """Return the number of sequences that can be sampled."""
        self._enter()
        return 0 if self._episodes is None else int(self._starts()[1].sum())

    def add(self, transition: Transition) -> None:
        """Store the valid rows of a transition [N, ...], and what was remembered before them.

        Raises:
            UsageError: nothing is remembered; or as in `UniformReplay.add`.
        """
        if not transition.memory:
            raise UsageError(
                "replay=sequences is for agents with a recurrent memory, which this one does not have: set "
                "agent.network.recurrent=gru (dqn) or agent.recurrent=gru (sac, td3, ddpg), or take replay=uniform"
            )
        self._remembered.append(tree.pack(transition.memory["before"])[transition.valid])
        super().add(transition)

    def sample(self, batch_size: int, gamma: float | None = None) -> SequenceBatch:  # type: ignore[override]
        """Draw sequences with replacement, in which `batch_size` transitions are learned from; all weights are one.

        `gamma` and errors as in `UniformReplay.sample`.
        """
        self._enter()
        assert self._episodes is not None
        first, counts = self._starts()
        bounds = counts.cumsum()
        drawn = self._rng.integers(bounds[-1], size=batch_size // self.learned)
        env = bounds.searchsorted(drawn, side="right")
        return self._sequences(env, first[env] + drawn - (bounds - counts)[env], gamma)

    def _starts(self) -> tuple[Array, Array]:
        """Return the rank [N] of each environment's first stored row, and with how many a sequence can begin [N]."""
        assert self._episodes is not None
        first, stored = self._episodes.stored(self._first)
        return first, np.maximum(0, stored - self._length + 1)

    def _sequences(self, env: Array, rank: Array, gamma: float | None) -> SequenceBatch:
        """Return the sequences [M] of environments that begin with the rows of a rank."""
        if gamma is None and self._n_step > 1:
            raise UsageError(f"replay.n_step is {self._n_step}; more than 1 needs a gamma: pass the agent's to sample")
        assert self._episodes is not None
        numbers = self._episodes.following(env, rank, self._length + self._n_step - 1)
        slots = numbers % self._rows.capacity
        learned = slots[self._burn_in : self._length].ravel()
        reward, discount, end = self._rows.walk(learned, self._n_step, 1.0 if gamma is None else gamma)
        action = self._rows.take("action", learned)
        step = self._episodes.ranks(end).reshape(-1, len(env)) - rank - self._burn_in
        return SequenceBatch(
            observation=self._put_together(self._rows.take("window", slots.ravel())[:, :-1], 0),
            begins=~self._rows.take("follows", slots),
            memory=tree.unpack(self._rows.take(MEMORY, slots[0])),
            burn_in=self._burn_in,
            action=tree.unpack(action) if self._composed else action,
            reward=reward,
            discount=discount,
            next_observation=self._put_together(self._rows.take("window", end)[:, 1:], 1),
            end=(step * len(env) + np.arange(len(env))).ravel(),
            next_legal_actions=self._rows.take("next_legal_actions", end),
            weight=np.ones(len(learned), np.float32),
            index=numbers[0],
        )

    def _put_together(self, window: Array, which: int) -> Tree:
        """Return observations [B, ...] put together from frames [B, S]: first ones of rows (0), or successors (1)."""
        assert self._frames is not None
        frames = self._frames.take(window)
        if self._stacks is not None:
            return self._stacks.split(frames)[which]
        return self._frames.part(frames, self._parts[which])

    def _begin(self, transition: Transition) -> None:
        least = self._length * len(transition.valid)
        if self._rows.capacity < least:
            raise UsageError(
                f"replay.capacity is {self._rows.capacity}; it must be at least replay.length * num_envs={least}"
            )
        super()._begin(transition)

    def _row_bytes(self, transition: Transition) -> int:
        return super()._row_bytes(transition) + tree.nbytes(tree.take(transition.memory["before"], slice(1)))

    def _add_rows(self, added: dict[str, Array], window: Array, env: Array, follows: Array) -> None:
        memory = np.concatenate(self._remembered)
        self._remembered = [memory[len(env) :]]
        super()._add_rows({**added, MEMORY: memory[: len(env)]}, window, env, follows)

    def _copied(self) -> Self:
        other = super()._copied()
        other._remembered = list(self._remembered)
        return other

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`.

        Raises:
            ValueError: it is none of a replay of this capacity, or one without memories.
        """
        super().load_state_dict(state)
        self._remembered = []
        if self._rows.arrays and MEMORY not in self._rows.arrays:
            raise ValueError("agent.replay does not hold what was remembered")
