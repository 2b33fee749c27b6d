"""A population: many policies of one shape, each for a row of its own."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.func import functional_call, vmap

from rlkit.core import tree
from rlkit.networks.actor_critic import ActorCritic
from rlkit.networks.optimizer import trainable, views


class Population:
    """The policy of an `ActorCritic` with other parameters for each row; frozen parameters are shared by all.

    Attributes:
        parameters: those of the policy that are not frozen, in the order in which a member's vector holds them.
    """

    def __init__(self, network: ActorCritic):
        """Use the policy of a network without a recurrent core; its values are not used."""
        self._policy = _Policy(network)
        policy = {id(p) for p in trainable(network.policy_parameters())}
        named = {name: parameter for name, parameter in self._policy.named_parameters() if id(parameter) in policy}
        self._shapes = {name: parameter.shape for name, parameter in named.items()}
        self.parameters = list(named.values())

    def mean(self, x: Any) -> Tensor:
        """Return the parameters [B, K] of the network's own distribution over actions for read observations `x`."""
        parameters: Tensor = self._policy(x)
        return parameters

    def __call__(self, vectors: Tensor, x: Any) -> Tensor:
        """Return the parameters [N, K] of the distributions over actions of N members, each for a row of its own.

        Args:
            vectors: [N, P] float32, laid out as in `FlatParameters`.
            x: [N, ...], or a tree of such tensors: the output of the network's reader.
        """
        values = dict(zip(self._shapes, views(vectors, list(self._shapes.values())), strict=True))
        parameters: Tensor = vmap(self._member)(values, x)
        return parameters

    def _member(self, values: dict[str, Tensor], row: Any) -> Tensor:
        alone = tree.map(lambda part: part.unsqueeze(0), row)
        parameters: Tensor = functional_call(self._policy, values, (alone,))
        return parameters.squeeze(0)


class _Policy(nn.Module):
    """The policy alone, for read observations: readers have no parameters, and not all work with vmap."""

    def __init__(self, network: ActorCritic):
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Tensor:
        return self.network.parameters_of(self.network.policy_torso(x))
