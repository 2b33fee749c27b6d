"""Action values on a torso, optionally with dueling streams and noisy layers."""

from __future__ import annotations

from functools import partial
from math import pi, sqrt
from typing import Any, cast

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.ranges import NonNegativeFloat, PositiveInt
from rlkit.core.spaces import num_actions
from rlkit.core.types import FromRun, Tree
from rlkit.networks.recurrent import with_core
from rlkit.networks.return_distributions import Distribution, ImplicitQuantile, middles
from rlkit.networks.torsos import Chain, Torso, as_torso


class NoisyLinear(nn.Linear):
    """A linear layer with factorized Gaussian noise on weights and biases (Fortunato et al., 2018).

    Attributes:
        noise: [B or 1, in + out] the factors of the noise, or None: the layer computes with the means.
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
        # The noise of a weight is a product of two factors, so each row can have its own without a matrix of its own.
        noise_in, noise_out = self.noise[:, : self.in_features], self.noise[:, self.in_features :]
        return mean + noise_out * nn.functional.linear(x * noise_in, self.weight_scale, self.bias_scale)


class LevelEmbedding(nn.Module):
    """What a level of probability says, by cosines: ``relu(sum_i w_i cos(pi i level) + b)`` (Dabney et al., 2018).

    Attributes:
        levels: [B, N] that are asked for, or None: the middles of `acting` equal parts.
    """

    cosines: Tensor

    def __init__(self, distribution: ImplicitQuantile, width: int):
        """Speak to features of `width`."""
        super().__init__()
        self.acting, self.levels = distribution.acting, cast("Tensor | None", None)
        self.register_buffer("cosines", pi * torch.arange(distribution.cosines), persistent=False)
        self.linear = nn.Linear(distribution.cosines, width)

    def asked(self, rows: int) -> Tensor:
        """Return the levels [B, N] for as many rows."""
        levels = middles(self.acting, self.linear.weight.device) if self.levels is None else self.levels
        return levels.expand(rows, -1)

    def forward(self, features: Tensor) -> Tensor:
        """Return features [B * N, F] at each level for features [B, F]."""
        said = self.linear((self.asked(len(features))[..., None] * self.cosines).cos()).relu()
        return torch.flatten(features[:, None] * said, 0, 1)


class QNetwork(nn.Module):
    """Action values, or distributions over them: a torso, with a stream for all actions or dueling ones.

    Attributes:
        num_actions: A.
        distribution: the meaning of the outputs.
        noise_size: Z, the number of standard normal numbers for all noisy layers; 0: there are no such layers.
        levels: how many more an update asks for, from which levels of probability are made; 0: none.
        hidden_size: H, length of the recurrent state; 0: there is none.
    """

    def __init__(
        self,
        torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        *,
        distribution: Distribution,
        dueling: bool,
        noisy: bool,
        noise_scale: NonNegativeFloat,
        recurrent: str = "none",
        recurrent_size: PositiveInt = 128,
    ):
        """Put the streams on the torso.

        Args:
            torso: its body is shared by all streams; its top is made once for each (any module: `as_torso`).
            observation_space: of one environment.
            action_space: `Discrete`.
            distribution: the number of outputs of an action, and their meaning.
            dueling: two streams, for the state's value and for the advantages (Wang et al., 2016), as
                ``value + advantage - mean advantage``, output by output.
            noisy: tops and heads are `NoisyLinear`.
            noise_scale: their initial noise; sigma_0 in the paper.
            recurrent: none, gru or lstm, between torso and heads, which then have no tops of their own.
            recurrent_size: its width.

        Raises:
            UsageError: the actions are not `Discrete`, or an unknown `recurrent`.
        """
        super().__init__()
        torso = as_torso(torso, observation_space)
        if recurrent != "none":
            torso = with_core(torso, recurrent, recurrent_size, "network")
        self.hidden_size = torso.hidden_size
        self.num_actions = num_actions(action_space, agent="a Q-network")
        self.distribution = distribution
        linear = partial(NoisyLinear, scale=noise_scale) if noisy else nn.Linear
        self.read = torso.reader
        self.body = torso.body
        self.levels = distribution.levels
        self.embedding = None
        if isinstance(distribution, ImplicitQuantile):
            self.embedding = LevelEmbedding(distribution, _width_under(torso))
        self._outputs = 1 if self.levels else distribution.outputs
        top = torso.make_top(linear) if noisy else torso.top
        self.actions = Chain(top, linear(torso.features, self.num_actions * self._outputs))
        self.state = Chain(torso.make_top(linear), linear(torso.features, self._outputs)) if dueling else None
        self._noisy = [module for module in self.modules() if isinstance(module, NoisyLinear)]
        self.noise_size = sum(layer.in_features + layer.out_features for layer in self._noisy)

    def forward(self, observation: Tree, noise: Tensor | None = None) -> Tensor:
        """Return the outputs [B, A, K] of observations [B, ...]; see `outputs` for the noise."""
        return self.outputs(self.read(observation), noise)

    def outputs(self, x: Any, noise: Tensor | None) -> Tensor:
        """Return the outputs [B, A, K] for read observations.

        Args:
            x: `read` of observations [B, ...]; any network on a torso of the same kind accepts it.
            noise: [1, Z] standard normal numbers for the whole batch, or [B, Z] for each row; None: compute with the
                means. Of a network with levels, [B, Z + levels], whose last ones are the levels as normal quantiles; or
                [B, Z], where the levels are as `LevelEmbedding` says.
        """
        return self.heads(*self.features(x, noise))

    def features(self, x: Any, noise: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the features [B, F] for action values and, if dueling, for the state's value; see `outputs`."""
        if self._noisy or self.embedding is not None:
            self.set_noise(noise)
        body = self.body(x)
        if self.embedding is not None:
            body = self.embedding(body)
        return self.actions[0](body), None if self.state is None else self.state[0](body)

    def heads(self, of_actions: Tensor, of_state: Tensor | None) -> Tensor:
        """Return the outputs [B, A, K] for the two features [B, F] of `features`; at N levels, [B * N, F]."""
        outputs: Tensor = self.actions[1](of_actions).view(-1, self.num_actions, self._outputs)
        if self.state is not None:
            outputs = outputs - outputs.mean(1, keepdim=True) + self.state[1](of_state)[:, None]
        return outputs if self.embedding is None else self._with_levels(outputs, self.embedding)

    def _with_levels(self, outputs: Tensor, embedding: LevelEmbedding) -> Tensor:
        """Return outputs [B * N, A, 1] as [B, A, 2 N], the levels after the returns."""
        count = embedding.acting if embedding.levels is None else embedding.levels.shape[1]
        returns = outputs.view(-1, count, self.num_actions).mT
        levels = embedding.asked(len(returns))[:, None].expand_as(returns)
        return torch.cat((returns, levels), -1)

    def on_features(self, features: Tensor, noise: Tensor | None) -> Tensor:
        """Return the outputs [B, A, K] for features [B, F] of a recurrent core; see `outputs` for the noise."""
        self.set_noise(noise)
        if self.embedding is not None:
            features = self.embedding(features)
        return self.heads(features, features)

    def set_noise(self, noise: Tensor | None) -> None:
        """Set the noise of the noisy layers to their parts of `noise` [1 or B, Z], or to None; and the levels."""
        if self.embedding is not None:
            noise = self._set_levels(noise, self.embedding)
        if noise is not None:
            noise = noise.sign() * noise.abs().sqrt()
        start = 0
        for layer in self._noisy:
            stop = start + layer.in_features + layer.out_features
            layer.noise, start = None if noise is None else noise[:, start:stop], stop

    def _set_levels(self, noise: Tensor | None, embedding: LevelEmbedding) -> Tensor | None:
        """Set the levels to those in `noise`, if there are any, and return what is left of it, for each of them."""
        asked = noise is not None and noise.shape[1] > self.noise_size
        embedding.levels = torch.special.ndtr(noise[:, self.noise_size :]) if asked else None  # type: ignore[index]
        if noise is None or not self.noise_size:
            return None
        count = self.levels if asked else embedding.acting
        own = noise[:, : self.noise_size]
        return own if len(own) == 1 else own.repeat_interleave(count, 0)


def _width_under(torso: Torso) -> int:
    """Return the width of what a torso's body gives to its top."""
    first = next((layer for layer in torso.top.modules() if isinstance(layer, nn.Linear)), None)
    return torso.features if first is None else first.in_features
