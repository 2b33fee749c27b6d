"""What agents do where they do not explore, as modules whose graph a file can hold (torch).

Shapes: B rows, K numbers that the choice is made by, A flags of a mask, H numbers of memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rlkit.core.action_scaling import ActionScaling
from rlkit.core.types import Array, Tree
from rlkit.networks.action_distributions import CategoricalAction
from rlkit.networks.actor_critic import ActorCritic
from rlkit.networks.actors import ActorNetwork
from rlkit.networks.box_tensors import scaled_tensors
from rlkit.networks.q_network import QNetwork

NO_MEMORY = torch.zeros(0)


class GreedyPolicy(nn.Module):
    """The actions of an agent that does not explore, in two steps: numbers by which it chooses, and the choice.

    Attributes:
        hidden_size: H, length of the memory; 0: there is none.
    """

    hidden_size = 0

    def scores(self, observation: Tree, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers [B, K] for observations [B, ...], and the memory [B, H] after them."""
        raise NotImplementedError

    def choose(self, scores: Tensor, legal_actions: Tensor | None) -> Tree:
        """Return the actions [B, ...] for numbers [B, K], among those that are legal, [B, A] bool."""
        raise NotImplementedError

    def forward(self, observation: Tree, legal_actions: Tensor | None, hidden: Tensor) -> tuple[Tree, Tensor]:
        """Return the actions [B, ...] for observations [B, ...], and the memory [B, H] after them."""
        scores, hidden = self.scores(observation, hidden)
        return self.choose(scores, legal_actions), hidden


class GreedyValues(GreedyPolicy):
    """The action of the largest value, the first of equals."""

    def __init__(self, network: QNetwork):
        super().__init__()
        self.network = network
        self._choice = CategoricalAction(network.num_actions)

    def scores(self, observation: Tree, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values [B, A]."""
        return self.network.distribution.mean(self.network(observation)), hidden

    def choose(self, scores: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return actions [B] int64."""
        return self._choice.mode(self._choice.masked(scores, legal_actions))


class LikeliestActions(GreedyPolicy):
    """The likeliest action of a policy, its unsquashing and clipping included."""

    def __init__(self, network: ActorCritic):
        super().__init__()
        self.network = network
        self.hidden_size = network.hidden_size

    def scores(self, observation: Tree, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parameters [B, K] of the distribution."""
        parameters, _, hidden = self.network.decide(observation, hidden)
        return parameters, hidden

    def choose(self, scores: Tensor, legal_actions: Tensor | None) -> Tree:
        """Return actions of the space, [B] or [B, ...]."""
        distribution = self.network.distribution
        return distribution.action_tensors(distribution.mode(distribution.masked(scores, legal_actions)))


class ActorsActions(GreedyPolicy):
    """The best action of an actor, scaled to the bounds of the space."""

    def __init__(
        self, actor: ActorNetwork, encoder: nn.Module, standardize: nn.Module | None, scaling: ActionScaling | None
    ):
        """Read observations by `standardize`, if any, and `encoder`; actions without a `scaling` are discrete."""
        super().__init__()
        self.actor, self.encoder, self.standardize = actor, encoder, standardize
        self._scaling = scaling

    def scores(self, observation: Tree, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the head outputs, [B, K]."""
        read = observation if self.standardize is None else self.standardize(observation)
        return self.actor.outputs(self.encoder(read)), hidden

    def choose(self, scores: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return actions of the space, [B] or [B, ...]."""
        chosen = self.actor.greedy(scores, legal_actions)
        return chosen if self._scaling is None else scaled_tensors(self._scaling, chosen)


class TableLookup(GreedyPolicy):
    """The action of the largest entry in a table's row, the first of equals."""

    table: Tensor

    def __init__(self, table: Array, index: nn.Module):
        """Look up in `table` [S, A] float64 the row that `index` returns for an observation."""
        super().__init__()
        self.register_buffer("table", torch.from_numpy(np.ascontiguousarray(table, np.float64)))
        self.index = index
        self._choice = CategoricalAction(table.shape[1])

    def scores(self, observation: Tree, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row [B, A]."""
        return self.table.index_select(0, self.index(observation)), hidden

    def choose(self, scores: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return actions [B] int64."""
        return self._choice.mode(self._choice.masked(scores, legal_actions))


class StateNumber(nn.Module):
    """The number of a discrete observation (`rlkit.core.spaces.state_index`)."""

    def __init__(self, sizes: list[int]):
        """Count the combinations of choices of these sizes, the last of which changes fastest."""
        super().__init__()
        self._strides = [int(np.prod(sizes[i + 1 :])) for i in range(len(sizes))]

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B] int64 of observations [B] or [B, ...]."""
        columns = observation.long().reshape(observation.shape[0], -1)
        return (columns * torch.tensor(self._strides)).sum(1)


class GridCell(nn.Module):
    """The number of the cell of a grid in which an observation lies."""

    def __init__(self, low: Array, high: Array, bins: Array):
        """Divide each dimension from `low` to `high`, [D] float64, into as many of `bins` [D] int64."""
        super().__init__()
        self._low, self._width, self._bins = (torch.from_numpy(array) for array in (low, high - low, bins))
        self._number = StateNumber(bins.tolist())

    def forward(self, observation: Tensor) -> Tensor:
        """Return [B] int64 of observations [B, ...]."""
        rows: Any = observation.double().flatten(1)
        share = ((rows - self._low) / self._width).clamp(0, 1)
        number: Tensor = self._number((share * self._bins).long().minimum(self._bins - 1))
        return number
