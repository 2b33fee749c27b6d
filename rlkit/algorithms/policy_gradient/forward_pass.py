"""The network of an agent with a policy, which runs when it acts and again when it learns, or only once (torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor

from rlkit.core.types import Array, Tree
from rlkit.networks import ActivationCache, ActorCritic, Outputs

NetworkOutputs = tuple[Tensor, Tensor | None, Tensor]
"""Parameters of the policy, values or None, and what is remembered, as of `ActorCritic.decide`."""


class ForwardPass:
    """Runs the network whenever it is asked."""

    def __init__(self, network: ActorCritic, to_tensor: Callable[[Any], Any]):
        """Run `network` on observations [N, ...] that `to_tensor` brings to its device."""
        self._network = network
        self._to_tensor = to_tensor

    def decide(self, observation: Tree, hidden: Tensor) -> NetworkOutputs:
        """Return as `ActorCritic.decide` does, for observations [N, ...] that are acted on."""
        return self._network.decide(self._to_tensor(observation), hidden)

    def append(self, observation: Tree) -> None:
        """Note that these observations [N, ...] are a step of the rollout."""

    def outputs(self, observation: Tree, hidden: Tensor, begins: Tensor) -> Outputs:
        """Return the outputs [T * M] of a rollout with their gradient; arguments as of `ActorCritic.sequence`."""
        return self._network.sequence(observation, hidden, begins)

    def restore(self, observations: Iterable[Any]) -> None:
        """Replace the steps that were appended by these, [T, N, ...]."""


class CachedForwardPass(ForwardPass):
    """Runs the network once for each step, when it acts, for an agent that takes one gradient step on a rollout."""

    def __init__(self, network: ActorCritic, to_tensor: Callable[[Array], Tensor]):
        """Run and cache `network`, which must be supported, on observations [N, ...] as `ForwardPass` does."""
        super().__init__(network, to_tensor)
        self._cache = ActivationCache(lambda observation: network.read(to_tensor(observation)), network.policy_torso)

    @staticmethod
    def supports(network: ActorCritic) -> bool:
        """Return whether features depend on nothing but the observation, through layers that are known."""
        plain = not network.hidden_size and network.value_torso is None and network.standardize is None
        return plain and ActivationCache.supports(network.policy_torso)

    def decide(self, observation: Array, hidden: Tensor) -> NetworkOutputs:
        """Return as `ActorCritic.decide` does for observations [N, ...], and remember the activations."""
        return self._network.on_features(self._cache.forward(observation))

    def append(self, observation: Array) -> None:
        """Keep the activations of a step's observations [N, ...]."""
        self._cache.append(observation)

    def outputs(self, observation: Tree, hidden: Tensor, begins: Tensor) -> Outputs:
        """Return the outputs [T * N] of the steps that were appended, and begin again; no argument is used."""
        return self._network.on_features(self._cache.features())

    def restore(self, observations: Iterable[Array]) -> None:
        """Compute the activations of the steps [T, N, ...] again."""
        self._cache.restore(observations)
