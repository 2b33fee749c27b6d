"""What keeps Q-learning of discrete actions near the data where those are given, offline (torch).

Shapes: B rows, A actions.
"""

from __future__ import annotations

import copy
from math import log
from typing import Any, Literal, Protocol

from torch import Tensor
from torch.nn.functional import cross_entropy

from rlkit.core.schedules import Schedule
from rlkit.core.types import State, Tree
from rlkit.networks import GradientSettings, Minibatch, Optimizer, QNetwork, load_module_state, module_state

Rule = Literal["none", "cql", "bcq"]

LOGITS = 0.01
"""Weight of the squared logits of `BatchConstrained`, as in its authors' code."""


class BatchRule(Protocol):
    """A term in the loss of a Q-network, and which actions it may choose among."""

    def penalty(self, q_tm1: Tensor, taken: Tensor) -> Tensor:
        """Return what is added to the loss, [], for values [B, A] and the actions taken, [B] int64."""

    def among(self, observation: Tree, legal_actions: Tensor | None) -> Tensor | None:
        """Return which actions may be chosen, [B, A] bool, for observations [B, ...] and legal ones; None: all."""

    def learn(self, batch: Minibatch, decisions: int) -> dict[str, Tensor]:
        """Take a gradient step of its own, after so many decisions; return metrics [] by name."""

    def state_dict(self) -> State:
        """Return what it has learned."""

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""


class ConservativeValues:
    """CQL(H) of discrete actions (Kumar et al., 2020): ``log sum_a exp Q(s, a) - Q(s, a taken)``, with a weight."""

    def __init__(self, weight: float):
        """Weigh it by `weight`."""
        self._weight = weight

    def penalty(self, q_tm1: Tensor, taken: Tensor) -> Tensor:
        """Return it, [], as in `BatchRule`."""
        return self._weight * cross_entropy(q_tm1, taken)

    def among(self, observation: Tree, legal_actions: Tensor | None) -> Tensor | None:
        """Return `legal_actions` [B, A]: all of them may be chosen."""
        return legal_actions

    def learn(self, batch: Minibatch, decisions: int) -> dict[str, Tensor]:
        """Do nothing with a batch [B, ...]: there is nothing of its own to learn."""
        return {}

    def state_dict(self) -> State:
        """Return nothing."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Do nothing with `state`."""


class BatchConstrained:
    """Batch-constrained Q-learning of discrete actions (Fujimoto et al., 2019): only what the data's players would do.

    A network imitates them. Actions that are much less likely than the likeliest may not be chosen, neither in targets
    nor while acting.

    Attributes:
        behavior: observations [B, ...] -> logits, as the means of its outputs.
    """

    def __init__(self, network: QNetwork, settings: GradientSettings, rate: Schedule, threshold: float):
        """Begin with a copy of `network`, which learns at `rate`.

        Args:
            network: of values.
            settings: of the optimizer.
            rate: by decisions.
            threshold: an action may be chosen from this share of the likeliest one's probability on.
        """
        self.behavior: Any = copy.deepcopy(network)
        self._optimizer = Optimizer(self.behavior.parameters(), settings.optimizer, rate, settings.max_grad_norm)
        self._threshold = log(max(threshold, 1e-30))

    def penalty(self, q_tm1: Tensor, taken: Tensor) -> Tensor:
        """Return 0: the values of `q_tm1` [B, A] stay what they are, whatever was `taken` [B]."""
        return q_tm1.new_zeros(())

    def logits(self, observation: Tree) -> Tensor:
        """Return logits [B, A] of what the data's players do in observations [B, ...]."""
        outputs: Tensor = self.behavior.outputs(self.behavior.read(observation), None)
        mean: Tensor = self.behavior.distribution.mean(outputs)
        return mean

    def among(self, observation: Tree, legal_actions: Tensor | None) -> Tensor:
        """Return which actions [B, A] are likely enough, of legal ones."""
        logits = self.logits(observation)
        if legal_actions is not None:
            logits = logits.masked_fill(~legal_actions, -1e30)
        likely = logits >= logits.amax(1, keepdim=True) + self._threshold
        return likely if legal_actions is None else likely & legal_actions

    def learn(self, batch: Minibatch, decisions: int) -> dict[str, Tensor]:
        """Take a gradient step of the imitation on a batch [B, ...], as in `BatchRule`."""
        logits = self.logits(batch.s_tm1)
        loss = cross_entropy(logits, batch.a_tm1)
        self._optimizer.step(loss + LOGITS * logits.square().mean(), decisions)
        return {"loss/behavior": loss.detach()}

    def state_dict(self) -> State:
        """Return the network and its optimizer."""
        return {"behavior": module_state(self.behavior), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; one without its optimizer is enough to act."""
        load_module_state(self.behavior, state["behavior"])
        if "optimizer" in state:
            self._optimizer.load_state_dict(state["optimizer"])


def batch_rule(
    name: Rule, network: QNetwork, settings: GradientSettings, rate: Schedule, *, weight: float, threshold: float
) -> BatchRule | None:
    """Return the rule with a `name`, for a network that learns by `settings`; None: there is none."""
    if name == "cql":
        return ConservativeValues(weight)
    return BatchConstrained(network, settings, rate, threshold) if name == "bcq" else None
