"""A policy and state or action values on torsos, with an optional recurrent core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import sqrt
from typing import Any, NamedTuple

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.parts import parts_of
from rlkit.core.ranges import PositiveInt
from rlkit.core.spaces import num_actions
from rlkit.core.texts import Tokens
from rlkit.core.types import FromRun, Tree, UsageError
from rlkit.networks.attention import TransformerCore
from rlkit.networks.composed_actions import action_distribution
from rlkit.networks.convolutional import Residual
from rlkit.networks.observations import is_image
from rlkit.networks.recurrent import Core, StatefulCore
from rlkit.networks.standardize import standardizer
from rlkit.networks.tensors import flattened_steps
from rlkit.networks.torsos import Chain, Torso, as_torso


class Outputs(NamedTuple):
    """The outputs of an actor-critic for B observations."""

    parameters: Tensor  # [B, K] of the distribution over actions
    values: Tensor  # [B] of states, or [B, A] of actions
    hidden: Tensor  # [B, H] after them; H is 0 without a recurrent core


def _has_images(space: spaces.Space[Any]) -> bool:
    """Return whether observations are images, or have an image or a text among their parts."""
    return any(is_image(part) or isinstance(part, Tokens) for part in parts_of(space).values())


def _together(shared: bool | str, otherwise: bool) -> bool:
    """Return whether there is one torso; `otherwise` is the answer for ``auto``."""
    if shared == "auto":
        return otherwise
    if not isinstance(shared, bool):
        raise UsageError(f"agent.network.shared is {shared!r}; it must be true, false or auto")
    return shared


def _unhalved(network: nn.Module) -> Iterator[int]:
    """Yield the ids of layers that are followed by a max-pooling or, without an activation, by a residual block.

    The gain of sqrt(2) is for activations, which halve the mean square of their inputs.
    """
    for chain in network.modules():
        if isinstance(chain, nn.Sequential):
            layer: nn.Module | None = None
            for module in chain:
                if isinstance(module, (nn.MaxPool2d, Residual)):
                    yield id(layer)
                layer = module if isinstance(module, (nn.Linear, nn.Conv2d)) else layer


class ActorCritic(nn.Module):
    """A policy's parameters and values, on a shared torso or on one each.

    Attributes:
        distribution: the meaning of the policy's parameters.
        standardize: standardizes observations, or None.
        action_values: the values are of actions, not of states.
        hidden_size: H, length of the recurrent state; 0: there is none.
    """

    def __init__(
        self,
        torso: nn.Module,
        value_torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        *,
        shared: bool | str,
        action_values: bool,
        recurrent: str,
        recurrent_size: PositiveInt,
        orthogonal: bool,
        squash: bool,
        log_std: float,
        standardize: bool,
        transformer: Mapping[str, Any] | None = None,
    ):
        """Put the heads on the torsos.

        Args:
            torso: for the policy (any module: `as_torso`).
            value_torso: for the values, if the torso is not `shared`.
            observation_space: of one environment.
            action_space: of any kind.
            shared: True: values are computed on the policy's torso; auto: where there are images or texts, and with a
                recurrent core.
            action_values: a value for each of A `Discrete` actions instead of one for the state: the state's value plus
                advantages minus their mean (Wang et al., 2016), else frequent actions would be overvalued early.
            recurrent: none, gru, lstm or transformer, between torso and heads.
            recurrent_size: its width.
            orthogonal: matrices start orthogonal, scaled by sqrt(2), or by 1 before a pooling or a residual block; the
                heads of the policy and of action values by 0.01 (Andrychowicz et al., 2021), that of state values by 1;
                biases start at 0. Matrices of zeros and pretrained ones are kept. False: torch's initialization.
            squash: continuous actions are squashed by tanh, else clipped.
            log_std: initial value for continuous actions; it is learned, the same for all states.
            standardize: observations are standardized by the running statistics of the agent.
            transformer: layers, heads and memory of a `TransformerCore`; None where there is none.

        Raises:
            UsageError: an unknown `shared` or `recurrent`, a core without a shared torso or of no width, `standardize`
                of observations that are not numbers, or an action space that is not supported.
        """
        super().__init__()
        torso, value_torso = (as_torso(module, observation_space) for module in (torso, value_torso))
        self.distribution = action_distribution(action_space, squash=squash)
        together = _together(shared, _has_images(observation_space) or recurrent != "none")
        if recurrent != "none" and not together:
            raise UsageError(
                f"agent.network.recurrent={recurrent} needs one torso, and this agent has two: use agent=a2c or ppo, "
                "with agent.network.shared=auto"
            )
        self.read = torso.reader
        self.standardize = standardizer(observation_space) if standardize else None
        self.policy_torso = Chain(torso.body, torso.top)
        self.value_torso = None if together else Chain(value_torso.body, value_torso.top)
        self.core = _core(recurrent, torso.features, recurrent_size, transformer)
        self.hidden_size = 0 if self.core is None else self.core.hidden_size
        features = torso.features if self.core is None else recurrent_size
        log_stds = self.distribution.log_stds
        outputs = self.distribution.parameters - log_stds
        self.log_std = nn.Parameter(torch.full((log_stds,), float(log_std))) if log_stds else None
        self.policy = nn.Linear(features, outputs)
        self.action_values = action_values
        width = 1 + (num_actions(action_space, agent="agent.network.action_values=true") if action_values else 0)
        self.value = nn.Linear(features if together else value_torso.features, width)
        if orthogonal:
            inside = (part for torso in (torso, value_torso) for part in torso.modules())
            pretrained = [part for part in inside if isinstance(part, Torso) and part.pretrained]
            self._make_orthogonal(pretrained if self.core is None else [*pretrained, self.core])

    def policy_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that are not those of the values."""
        values = {id(parameter) for parameter in self.value_parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in values]

    def value_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the values alone."""
        return [*(() if self.value_torso is None else self.value_torso.parameters()), *self.value.parameters()]

    def _make_orthogonal(self, kept: Iterable[nn.Module]) -> None:
        """Draw matrices again, except those in `kept` modules, those of zeros, and those of other layer types.

        Zeros are intended, as a residual block begins as the identity, and a subclass of a layer initializes itself.
        """
        gains = {
            **dict.fromkeys(_unhalved(self), 1.0),
            id(self.policy): 0.01,
            id(self.value): 0.01 if self.action_values else 1.0,
        }
        own = {id(module) for part in kept for module in part.modules()}
        for module in self.modules():
            if type(module) not in (nn.Linear, nn.Conv2d) or id(module) in own:
                continue
            assert isinstance(module, (nn.Linear, nn.Conv2d))
            if module.weight.any():
                nn.init.orthogonal_(module.weight, gains.get(id(module), sqrt(2)))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if self.core is not None:
            self.core.make_orthogonal()

    def forward(self, observation: Tree, hidden: Tensor) -> Outputs:
        """Return the outputs for observations [B, ...] with the recurrent state `hidden` [B, H] before them."""
        policy_features, value_features = self._features(observation)
        if self.core is not None:
            policy_features, hidden = self.core(policy_features, hidden)
        return self._heads(policy_features, value_features if self.core is None else policy_features, hidden)

    def decide(self, observation: Tree, hidden: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return the outputs [B, ...] as `forward`, but None for the values if they have a torso of their own."""
        if self.value_torso is None:
            return self(observation, hidden)  # type: ignore[no-any-return]
        return self.parameters_of(self.policy_torso(self._read(observation))), None, hidden

    def state_values(self, observation: Tree, hidden: Tensor) -> Tensor:
        """Return the values [B] of observations [B, ...] with `hidden` [B, H]; [B, A] if `action_values`."""
        if self.value_torso is None:
            values: Tensor = self(observation, hidden).values
            return values
        return self._values_of(self.value_torso(self._read(observation)))

    def sequence(self, observation: Tree, hidden: Tensor, begins: Tensor) -> Outputs:
        """Return the outputs of whole sequences, one row after the other: [T * N, ...].

        Args:
            observation: [T, N, ...].
            hidden: [N, H] before the first step.
            begins: [T, N] bool: a new episode begins with this step; its recurrent state is reset.
        """
        policy_features, value_features = self._features(flattened_steps(observation))
        if self.core is None:
            return self._heads(policy_features, value_features, hidden)
        features, hidden = self.core.sequence(policy_features.view(*begins.shape, -1), hidden, begins)
        return self._heads(features.flatten(0, 1), features.flatten(0, 1), hidden)

    def on_features(self, features: Tensor) -> Outputs:
        """Return the outputs for features [B, F] of a shared torso, without a recurrent core."""
        return self._heads(features, features, features.new_zeros(0))

    def _features(self, observation: Tree) -> tuple[Tensor, Tensor]:
        x = self._read(observation)
        features = self.policy_torso(x)
        return features, features if self.value_torso is None else self.value_torso(x)

    def _read(self, observation: Tree) -> Tensor:
        x: Tensor = self.read(observation if self.standardize is None else self.standardize(observation))
        return x

    def _heads(self, policy_features: Tensor, value_features: Tensor, hidden: Tensor) -> Outputs:
        return Outputs(self.parameters_of(policy_features), self._values_of(value_features), hidden)

    def parameters_of(self, features: Tensor) -> Tensor:
        """Return the parameters [B, K] of the distribution over actions, from the policy's features [B, F]."""
        parameters: Tensor = self.policy(features)
        if self.log_std is None:
            return parameters
        return torch.cat((parameters, self.log_std.expand(parameters.shape[0], -1)), 1)

    def _values_of(self, features: Tensor) -> Tensor:
        values: Tensor = self.value(features)
        if not self.action_values:
            return values.squeeze(1)
        advantages = values[:, 1:]
        return values[:, :1] + advantages - advantages.mean(1, keepdim=True)


def _core(kind: str, width_in: int, width: int, transformer: Mapping[str, Any] | None) -> StatefulCore | None:
    if kind == "none":
        return None
    if kind == "transformer":
        if transformer is None:
            raise UsageError("recurrent is transformer; pass layers, heads and memory as transformer, too")
        return TransformerCore(width_in, width, **transformer)
    return Core(kind, width_in, width, kinds=("none", "gru", "lstm", "transformer"))
