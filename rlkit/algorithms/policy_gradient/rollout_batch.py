"""A rollout as tensors (torch)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from rlkit.core import tree
from rlkit.core.types import Tree


class RolloutBatch(NamedTuple):
    """A rollout as tensors: M sequences of T steps (of one step, where nothing is remembered).

    It may share memory with the rollout: it is to be used before that is filled again.
    """

    observation: Tree  # [T, M, ...]
    sample: Tensor  # [T, M, ...] what was drawn from the policy
    log_prob: Tensor  # [T, M] by the policy that acted
    value: Tensor  # [T, M] by the network that acted
    advantage: Tensor  # [T, M]
    target: Tensor  # [T, M] for the values
    weight: Tensor  # [T, M] 1 for decisions, 0 for rows that were none
    begins: Tensor  # [T, M] bool, nothing is remembered before this step
    legal: Tensor | None  # [T, M, A] bool
    hidden: Tensor  # [M, H] before the first step

    def minibatch(self, sequences: Tensor) -> RolloutBatch:
        """Return the `sequences` [M'] int64 of it."""
        # A tenth of the time of `column[:, sequences]`, where rows are images.
        columns = [column if column is None else _selected(column, sequences) for column in self[:-1]]
        return RolloutBatch._make([*columns, self.hidden[sequences]])


def _selected(column: Tree, sequences: Tensor) -> Tree:
    if isinstance(column, Tensor):
        return column.index_select(1, sequences)
    return tree.map(lambda leaf: leaf.index_select(1, sequences), column)
