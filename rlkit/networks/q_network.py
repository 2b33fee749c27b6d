"""Action values on a torso, with dueling streams and noisy layers where asked for."""

from __future__ import annotations

from functools import partial
from math import sqrt
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.spaces import num_actions
from rlkit.core.types import FromRun
from rlkit.networks.return_distributions import Distribution
from rlkit.networks.torsos import Chain, Torso


class NoisyLinear(nn.Linear):
    """A linear layer with factorized Gaussian noise on weights and biases (Fortunato et al., 2018).

    Attributes:
        noise: [B or 1, in + out] what its factors are, or None: the layer computes with the means.
    """

    def __init__(self, width_in: int, width_out: int, scale: float):
        """Start with means as in `nn.Linear`, and standard deviations of ``scale / sqrt(width_in)``."""
        super().__init__(width_in, width_out)
        self.weight_scale = nn.Parameter(torch.full((width_out, width_in), scale / sqrt(width_in)))
        self.bias_scale = nn.Parameter(torch.full((width_out,), scale / sqrt(width_in)))
        self.noise: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, out] of [B, in]."""
        mean = super().forward(x)
        if self.noise is None:
            return mean
        # The noise of a weight is a product of two factors, so it can be drawn for each row without a matrix for each.
        noise_in, noise_out = self.noise[:, : self.in_features], self.noise[:, self.in_features :]
        return mean + noise_out * nn.functional.linear(x * noise_in, self.weight_scale, self.bias_scale)


class QNetwork(nn.Module):
    """Action values, or distributions over them: a torso, with a stream for all actions or dueling ones.

    Attributes:
        num_actions: A.
        distribution: what the outputs mean.
        noise_size: Z, how many standard normal numbers a draw of all noisy layers takes; 0: there are none.
    """

    def __init__(
        self,
        torso: Torso,
        action_space: FromRun[spaces.Space[Any]],
        *,
        distribution: Distribution,
        dueling: bool,
        noisy: bool,
        noise_scale: float,
    ):
        """Put the streams on the torso.

        Args:
            torso: its body is shared by all streams; its top is made once for each.
            action_space: `Discrete`.
            distribution: how many outputs an action has, and what they mean.
            dueling: two streams, for the state's value and for the advantages (Wang et al., 2016), as
                ``value + advantage - mean advantage``, output by output.
            noisy: tops and heads are `NoisyLinear`.
            noise_scale: their initial noise; sigma_0 in the paper.

        Raises:
            UsageError: the actions are not `Discrete`.
        """
        super().__init__()
        self.num_actions = num_actions(action_space, agent="a Q-network")
        self.distribution = distribution
        linear = partial(NoisyLinear, scale=noise_scale) if noisy else nn.Linear
        self.read, self.body = torso.reader, torso.body
        top, self._outputs = torso.make_top(linear) if noisy else torso.top, distribution.outputs
        self.actions = Chain(top, linear(torso.features, self.num_actions * self._outputs))
        self.state = Chain(torso.make_top(linear), linear(torso.features, self._outputs)) if dueling else None
        self._noisy = [module for module in self.modules() if isinstance(module, NoisyLinear)]
        self.noise_size = sum(layer.in_features + layer.out_features for layer in self._noisy)

    def forward(self, observation: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return the outputs [B, A, K] of observations [B, ...]; see `outputs` for the noise."""
        return self.outputs(self.read(observation), noise)

    def outputs(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """Return the outputs [B, A, K] of observations that were read.

        Args:
            x: what `read` made of observations [B, ...]; any network on a torso of the same kind takes it.
            noise: [1, Z] standard normal numbers for the whole batch, or [B, Z], some for each row;
                None computes with the means.
        """
        return self.heads(*self.features(x, noise))

    def features(self, x: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features [B, F] for the values of actions, and for the state's where they are apart; as above."""
        if self._noisy:
            self.set_noise(noise)
        body = self.body(x)
        return self.actions[0](body), None if self.state is None else self.state[0](body)

    def heads(self, of_actions: Tensor, of_state: Tensor | None) -> Tensor:
        """Return the outputs [B, A, K] of `features`."""
        outputs: Tensor = self.actions[1](of_actions).view(-1, self.num_actions, self._outputs)
        if self.state is not None:
            outputs = outputs - outputs.mean(1, keepdim=True) + self.state[1](of_state)[:, None]
        return outputs

    def set_noise(self, noise: Tensor | None) -> None:
        """Give the noisy layers their parts of `noise` [1 or B, Z], or none."""
        if noise is not None:
            noise = noise.sign() * noise.abs().sqrt()
        start = 0
        for layer in self._noisy:
            stop = start + layer.in_features + layer.out_features
            layer.noise, start = None if noise is None else noise[:, start:stop], stop
