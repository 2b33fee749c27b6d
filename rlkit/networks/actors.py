"""Policies of agents that learn from a replay: numbers in [-1, 1], or probabilities of discrete actions.

Shapes: B rows, D numbers in an action, A discrete actions, C candidates: A, or 1 where actions are continuous.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core.ranges import PositiveInt
from rlkit.core.types import Array, FromRun, Tree, UsageError
from rlkit.networks.action_distributions import CategoricalAction
from rlkit.networks.critics import action_width
from rlkit.networks.recurrent import with_core
from rlkit.networks.squashed_gaussian import log_normal, log_slope, squashed
from rlkit.networks.stacked import Norm, StackedHead, StackedMLP
from rlkit.networks.state_dependent import StateDependentHead
from rlkit.networks.torsos import as_torso

Noise = Literal["independent", "state_dependent"]


INSIDE = 1 - 1e-6
"""The largest action whose density under a squashed distribution is asked for: at the bounds it is 0."""


class Decision(NamedTuple):
    """What a policy would do: the candidates among which an expectation over actions is taken."""

    action: Tensor | None  # [B, D] the only candidate, drawn; None: the candidates are all discrete actions
    prob: Tensor  # [B, C] of each candidate, among the candidates
    log_prob: Tensor  # [B, C] of each candidate, for continuous actions of its density in [-1, 1]

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean [B, J] of values [B, C, J] over the candidates."""
        return (self.prob[:, :, None] * values).sum(1)

    @property
    def entropy(self) -> Tensor:
        """The entropy [B] in nats: exact for discrete actions, else estimated by the one that was drawn."""
        return -(self.prob * self.log_prob).sum(1)


class ActorNetwork(nn.Module):
    """An encoder of observations, fully connected layers, and a head.

    Attributes:
        encoder: the torso that observations go through first.
    """

    def __init__(
        self,
        torso: nn.Module,
        observation_space: spaces.Space[Any],
        outputs: int,
        hidden: Sequence[int],
        activation: str,
        *,
        norm: Norm,
        recurrent: str,
        recurrent_size: int,
    ):
        """Put a core, if any, and the layers on the torso (any module: `as_torso`); the head has `outputs`."""
        super().__init__()
        self.encoder = as_torso(torso, observation_space)
        if recurrent != "none":
            self.encoder = with_core(self.encoder, recurrent, recurrent_size, "actor")
        # A stack of one.
        self.layers = StackedMLP(1, self.encoder.features, hidden, activation, norm=norm)
        self.head: Any = StackedHead(1, self.layers.features, outputs)

    def encode(self, observation: Tree) -> Tensor:
        """Return features [B, F] of observations [B, ...]."""
        return self.encoder.forward(observation)

    def outputs(self, features: Tensor) -> Tensor:
        """Return what the head says of features [B, F]."""
        outputs: Tensor = self.head.forward(self.layers.forward(features)).squeeze(0)
        return outputs

    def greedy(self, outputs: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return the best actions, [B, D] in [-1, 1] or [B] int64, for what `outputs` returned."""
        raise NotImplementedError


class DeterministicActor(ActorNetwork):
    """One action for each observation.

    Attributes:
        width: D.
    """

    def __init__(
        self,
        torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        *,
        hidden: Sequence[PositiveInt],
        activation: str,
        norm: Norm,
        recurrent: str = "none",
        recurrent_size: PositiveInt = 128,
    ):
        """Put the layers on the torso.

        Args:
            torso: encodes observations (any module: `as_torso`).
            observation_space: of one environment.
            action_space: `Box`.
            hidden: width of each layer.
            activation: one of `rlkit.networks.ACTIVATIONS`.
            norm: one of `rlkit.networks.stacked.Norm`.
            recurrent: none, gru or lstm, between torso and layers.
            recurrent_size: its width.

        Raises:
            UsageError: an unknown activation or `recurrent`, or actions that are not continuous.
        """
        if not isinstance(action_space, spaces.Box):
            raise UsageError(
                f"a deterministic policy needs Box actions, not {action_space}; use agent=sac or dqn for Discrete "
                "ones, agent=ppo for others"
            )
        width = action_width(action_space)
        core: Any = {"recurrent": recurrent, "recurrent_size": recurrent_size}
        super().__init__(torso, observation_space, width, hidden, activation, norm=norm, **core)
        self.width = width

    def forward(self, features: Tensor) -> Tensor:
        """Return the actions [B, D] in [-1, 1] for features [B, F]."""
        return self.outputs(features).tanh()

    def greedy(self, outputs: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return the actions [B, D] in [-1, 1] for outputs [B, D]."""
        return outputs.tanh()


class GaussianPolicy:
    """Normal numbers squashed by tanh; parameters are means and logarithms of standard deviations, [B, 2 D]."""

    def __init__(self, width: int, log_std_min: float, log_std_max: float):
        self._width = width
        self._limits = (log_std_min, log_std_max)

    def decide(self, parameters: Tensor, generator: torch.Generator | None, legal_actions: Tensor | None) -> Decision:
        """Draw an action for each row of parameters [B, 2 D]; there are no masks for numbers."""
        mean, log_std = parameters.chunk(2, 1)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device).to(mean.dtype)
        action, log_density = squashed(mean, log_std.clamp(*self._limits), noise)
        log_prob = log_density.sum(1, keepdim=True)
        return Decision(action, torch.ones_like(log_prob), log_prob)

    def log_prob(self, parameters: Tensor, action: Tensor) -> Tensor:
        """Return the logarithm [B] of the density of actions [B, D] in [-1, 1]; bounds count as just inside them."""
        mean, log_std = parameters.chunk(2, 1)
        number = action.clamp(-INSIDE, INSIDE).atanh()
        return (log_normal(number, mean, log_std.clamp(*self._limits)) - log_slope(number)).sum(1)

    def act(self, parameters: Tensor, noise: Tensor | None, legal_actions: Tensor | None) -> Tensor:
        """Return [B, D]."""
        mean, log_std = parameters.chunk(2, 1)
        return mean.tanh() if noise is None else squashed(mean, log_std.clamp(*self._limits), noise)[0]

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw standard normal numbers [n, D]."""
        return rng.standard_normal((n, self._width), np.float32)


class StochasticActor(ActorNetwork):
    """A distribution over actions for each observation: normal numbers squashed by tanh, or a categorical one."""

    gaussian = GaussianPolicy
    """Of continuous actions."""

    def __init__(
        self,
        torso: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        action_space: FromRun[spaces.Space[Any]],
        *,
        hidden: Sequence[PositiveInt],
        activation: str,
        norm: Norm,
        log_std_min: float,
        log_std_max: float,
        noise: Noise,
        log_std_initial: float,
        recurrent: str = "none",
        recurrent_size: PositiveInt = 128,
    ):
        """Put the layers on the torso.

        Args:
            torso: encodes observations (any module: `as_torso`).
            observation_space: of one environment.
            action_space: `Box` or `Discrete`.
            hidden: width of each layer.
            activation: one of `rlkit.networks.ACTIVATIONS`.
            norm: one of `rlkit.networks.stacked.Norm`.
            log_std_min: least logarithm of the standard deviation before tanh.
            log_std_max: the largest.
            noise: of exploration: drawn anew for each number, or a function of the state (`StateDependentHead`).
            log_std_initial: of the latter, at first.
            recurrent: none, gru or lstm, between torso and layers.
            recurrent_size: its width.

        Raises:
            UsageError: an unknown activation or `recurrent`, actions of another kind, or discrete ones with
                state-dependent noise.
        """
        policy = CategoricalPolicy(int(action_space.n)) if isinstance(action_space, spaces.Discrete) else None
        outputs = policy.parameters if policy else 2 * action_width(action_space)
        core: Any = {"recurrent": recurrent, "recurrent_size": recurrent_size}
        super().__init__(torso, observation_space, outputs, hidden, activation, norm=norm, **core)
        self.policy = policy or self.gaussian(outputs // 2, log_std_min, log_std_max)
        self._state_dependent = noise == "state_dependent"
        if self._state_dependent and policy:
            raise UsageError("agent.actor.noise is state_dependent, but discrete actions have none; set independent")
        if self._state_dependent:
            self.head = StateDependentHead(self.layers.features, outputs // 2, log_std_initial)

    def forward(
        self, features: Tensor, generator: torch.Generator | None, legal_actions: Tensor | None = None
    ) -> Decision:
        """Return the decisions for features [B, F], with noise from `generator`; illegal actions have probability 0."""
        return self.policy.decide(self.outputs(features), generator, legal_actions)

    def log_prob(self, features: Tensor, action: Tensor) -> Tensor:
        """Return the logarithm [B] of the probability, or density in [-1, 1], of actions [B] or [B, D] of anybody."""
        return self.policy.log_prob(self.outputs(features), action)

    def act(self, features: Tensor, noise: Tensor | None, legal_actions: Tensor | None) -> Tensor:
        """Return actions for features [B, F]: drawn with `noise`, or the likeliest if it is None.

        They are numbers in [-1, 1], [B, D], or [B] int64.
        """
        x = self.layers.forward(features)
        if noise is not None and self._state_dependent:
            noise = self.head.standardized(x, noise)
        return self.policy.act(self.head.forward(x).squeeze(0), noise, legal_actions)

    def greedy(self, outputs: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return the likeliest actions, [B, D] in [-1, 1] or [B] int64, for parameters of the distribution."""
        return self.policy.act(outputs, None, legal_actions)

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw the noise [n, ...] float32 for `act`."""
        return (self.head if self._state_dependent else self.policy).noise(n, rng)


class CategoricalPolicy(CategoricalAction):
    """One of A actions; parameters are logits, and every action is a candidate (Christodoulou, 2019)."""

    def decide(self, parameters: Tensor, generator: torch.Generator | None, legal_actions: Tensor | None) -> Decision:
        """Return the probabilities of all actions for logits [B, A]; nothing is drawn."""
        log_prob = self.masked(parameters, legal_actions).log_softmax(1)
        # An illegal action adds 0 to every mean: its probability is 0, and the logarithm finite.
        return Decision(None, log_prob.exp(), log_prob.clamp(min=-1e30))

    def act(self, parameters: Tensor, noise: Tensor | None, legal_actions: Tensor | None) -> Tensor:
        """Return [B] int64."""
        logits = self.masked(parameters, legal_actions)
        return self.mode(logits) if noise is None else self.sample(logits, noise)
