"""Sequences of observations as recurrent networks read them, and gradient steps on samples of such (torch).

Shapes: M sequences of T steps, of which the first only bring states up to date and the next L are learned from; a state
has H numbers. Rows are step by step: row ``t * M + m`` is step t of sequence m.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from rlkit.core import tree
from rlkit.core.types import Array, SequenceBatch, Tree
from rlkit.networks.recurrent import Core
from rlkit.networks.tensors import Minibatch


class Sequences(Protocol):
    """A replay of sequences (`rlkit.replay.SequenceReplay`)."""

    def sample(self, batch_size: int, gamma: float | None = None) -> SequenceBatch:
        """Draw sequences in which `batch_size` transitions are learned from."""

    def update_priorities(self, index: Array, td_error: Array) -> None:
        """Set the priorities of the sequences `index` [M] by their temporal-difference errors [L, M]."""


class SequenceSteps(NamedTuple):
    """The observations of sequences, of whose steps after the first `burn_in` the states are asked for.

    It is what a `Minibatch` of sequences has in place of observations: a recurrent network encodes it as features of
    its own [L * M, F], and agents need not know.
    """

    rows: Tree  # [T * M, ...]
    begins: Tensor  # [T, M] bool, a new episode begins with this step
    hidden: Mapping[str, Tensor]  # [M, H] before the first step, of each network by its name
    burn_in: int

    def mapped(self, function: Callable[[Tree], Tree]) -> SequenceSteps:
        """Return this with ``function(rows)`` in place of the rows."""
        return self._replace(rows=function(self.rows))

    def states(self, layers: nn.Module, core: Core, part: str) -> Tensor:
        """Return the states [(T - burn_in) * M, H] after each step, of the network called `part`.

        Where an episode begins they start from zeros. No gradient flows into the first `burn_in` steps, nor into what
        was stored (Kapturowski et al., 2019).
        """
        hidden, first, (_, count) = self.hidden[part], self.burn_in, self.begins.shape
        if first:
            with torch.no_grad():
                warm = layers(_rows(self.rows, slice(first * count))).view(first, count, -1)
                hidden = core.states(warm, hidden, self.begins[:first])[-1]
        features = layers(_rows(self.rows, slice(first * count, None)))
        return core.states(features.view(-1, count, features.shape[1]), hidden, self.begins[first:]).flatten(0, 1)


class Successors(NamedTuple):
    """The observations after steps of a history: one step more from the states there.

    They need not be the next ones of the sequence, as where an episode was truncated.
    """

    history: SequenceSteps
    rows: Tree  # [L * M, ...]
    end: Tensor  # [L * M] int64, which of the states of `history` they come after

    def mapped(self, function: Callable[[Tree], Tree]) -> Successors:
        """Return this with ``function(rows)`` in place of all rows."""
        return self._replace(history=self.history.mapped(function), rows=function(self.rows))

    def states(self, layers: nn.Module, core: Core, part: str) -> Tensor:
        """Return the states [L * M, H] after each row, of the network called `part`."""
        before = self.history.states(layers, core, part)[self.end]
        after: Tensor = core(layers(self.rows), before)[1]
        return after


def minibatch_of(batch: SequenceBatch, tensor: Callable[[Tree], Any]) -> Minibatch:
    """Return sequences as a minibatch of L * M rows, converted by `tensor`."""
    (steps, count), rows = batch.begins.shape, tensor(batch.observation)
    history = SequenceSteps(rows, tensor(batch.begins), tensor(batch.memory), batch.burn_in)
    shown = batch.burn_in + len(batch.reward) // count
    acted = history if shown == steps else _first_steps(history, shown)
    legal = batch.next_legal_actions
    return Minibatch(
        s_tm1=acted,
        a_tm1=tensor(batch.action),
        r_t=tensor(batch.reward),
        discount_t=tensor(batch.discount),
        s_t=Successors(history, tensor(batch.next_observation), tensor(batch.end)),
        legal_t=None if legal is None else tensor(legal),
        weight=tensor(batch.weight),
    )


def _first_steps(history: SequenceSteps, steps: int) -> SequenceSteps:
    """Return a history without what comes after its first `steps`."""
    begins = history.begins[:steps]
    return history._replace(rows=_rows(history.rows, slice(begins.numel())), begins=begins)


def _rows(rows: Tree, index: slice) -> Tree:
    """Return some rows of a tensor, or of each of a tree."""
    return rows[index] if isinstance(rows, Tensor) else tree.take(rows, index)


def sequence_steps(
    replay: Sequences,
    count: int,
    *,
    batch_size: int,
    gamma: float,
    tensor: Callable[[Tree], Any],
    step: Callable[[Minibatch], dict[str, Tensor]],
) -> list[dict[str, Tensor]]:
    """Take gradient steps on sequences, whose errors [L, M] the replay is told.

    Arguments and result are those of `rlkit.networks.gradient_steps`.
    """
    found = []
    for _ in range(count):
        sample = replay.sample(batch_size, gamma)
        metrics = step(minibatch_of(sample, tensor))
        errors = metrics.pop("priorities").cpu().numpy()
        replay.update_priorities(sample.index, errors.reshape(-1, len(sample.index)))
        found.append(metrics)
    return found
