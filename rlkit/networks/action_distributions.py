"""Distributions over actions, for every kind of action space (torch).

A network outputs K parameters per row, from which a *sample* is drawn; `actions` turns it into an action of the
environment. The two differ if actions are squashed or clipped: probabilities are those of the sample.

Shapes: B rows, K parameters, A discrete actions or values of all choices (`rlkit.core.spaces.choice_sizes`), D numbers
in a continuous or composed action. Tensors are float32 where no dtype is given.
"""

from __future__ import annotations

from math import log, pi, sqrt
from typing import Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from rlkit.core.spaces import box_actions, choice_sizes
from rlkit.core.types import Array, Tree, UsageError
from rlkit.networks.box_tensors import box_tensors

_TINY = 1e-30
_CERTAIN = 1e30
"""A logit of certainty; unlike infinity it has an entropy and gradients."""


class ActionDistribution(Protocol):
    """A family of distributions over actions, whose parameters a policy's head outputs."""

    parameters: int
    """K, the number of parameters."""
    log_stds: int
    """How many of them, the last, are logarithms of standard deviations, which are alike for all observations."""

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw the noise [n, ...] float32 for `sample`."""

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return a sample [B] or [B, D] for each row of parameters [B, K], with noise from `noise`."""

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the likeliest sample [B] or [B, D] for each row of parameters [B, K]."""

    def log_prob(self, parameters: Tensor, sample: Tensor) -> Tensor:
        """Return the logarithm [B] of the probability, or density, of each sample."""

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the entropy [B] in nats."""

    def actions(self, sample: Array) -> Tree:
        """Return samples as actions of the environment, [B] or [B, ...]."""

    def action_tensors(self, sample: Tensor) -> Tree:
        """Return actions [B, ...] of samples [B, ...] as `actions` does, by operations that a graph can hold."""

    def masked(self, parameters: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return the parameters [B, K] with which illegal actions, False in [B, A], are never drawn.

        A choice without any legal value, as at the end of an episode, keeps its parameters, which are finite.
        """


class CategoricalAction:
    """One of A actions; the parameters are logits."""

    log_stds = 0

    def __init__(self, num_actions: int):
        self.parameters = num_actions

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw Gumbel noise [n, A]."""
        return gumbel((n, self.parameters), rng)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return actions [B] int64 by the Gumbel-max trick, in which rounding cannot lead to an illegal action."""
        return (parameters + noise).argmax(1)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the action [B] int64 with the largest logit, the first if there are several."""
        return parameters.argmax(1)

    def log_prob(self, parameters: Tensor, sample: Tensor) -> Tensor:
        """Return the logarithm [B] of the actions' probability."""
        return parameters.log_softmax(1).gather(1, sample.view(-1, 1)).squeeze(1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the entropy [B] in nats."""
        return entropy_of(parameters)

    def actions(self, sample: Array) -> Array:
        """Return the samples [B] as they are."""
        return sample

    def action_tensors(self, sample: Tensor) -> Tensor:
        """Return the samples [B] as they are."""
        return sample

    def masked(self, parameters: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return logits [B, A] that are minus infinity where an action is illegal."""
        return parameters if legal_actions is None else _masked(parameters, legal_actions)


class MultiCategorical:
    """Several choices at once, each with logits of its own."""

    log_stds = 0

    def __init__(self, space: spaces.MultiDiscrete):
        self._space = space
        self._sizes = choice_sizes(space)
        self.parameters = sum(self._sizes)

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw Gumbel noise [n, K]."""
        return gumbel((n, self.parameters), rng)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return actions [B, D] int64."""
        return self.mode(parameters + noise)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the likeliest action [B, D] int64."""
        return torch.stack([logits.argmax(1) for logits in torch.split(parameters, self._sizes, 1)], 1)

    def log_prob(self, parameters: Tensor, sample: Tensor) -> Tensor:
        """Return the logarithm [B] of the product of the choices' probabilities."""
        logs = [logits.log_softmax(1) for logits in torch.split(parameters, self._sizes, 1)]
        chosen = [log.gather(1, sample[:, i : i + 1]) for i, log in enumerate(logs)]
        return torch.cat(chosen, 1).sum(1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the sum [B] of the choices' entropies."""
        return torch.stack([entropy_of(logits) for logits in torch.split(parameters, self._sizes, 1)]).sum(0)

    def actions(self, sample: Array) -> Array:
        """Return samples [B, D] in the space's shape."""
        return sample.reshape(-1, *self._space.shape)

    def action_tensors(self, sample: Tensor) -> Tensor:
        """Return samples [B, D] in the space's shape."""
        return sample.reshape(-1, *self._space.shape)

    def masked(self, parameters: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return logits [B, A] that are minus infinity where the value of a choice is illegal."""
        if legal_actions is None:
            return parameters
        parts = (torch.split(part, self._sizes, 1) for part in (parameters, legal_actions))
        return torch.cat([_masked(logits, legal) for logits, legal in zip(*parts, strict=True)], 1)


class Bernoulli:
    """Independent switches; the parameters are the logits of 1."""

    log_stds = 0

    def __init__(self, space: spaces.MultiBinary):
        self._space = space
        self.parameters = int(np.prod(space.shape))

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw logistic noise [n, D]: the difference of two Gumbel variables."""
        first, second = gumbel((2, n, self.parameters), rng)
        return np.asarray(first - second)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return switches [B, D] float32, 0 or 1."""
        return self.mode(parameters + noise)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the likelier position [B, D] of each switch, 0 or 1."""
        return (parameters > 0).to(parameters.dtype)

    def log_prob(self, parameters: Tensor, sample: Tensor) -> Tensor:
        """Return the logarithm [B] of the product of the switches' probabilities."""
        return logsigmoid(torch.where(sample > 0, parameters, -parameters)).sum(1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the sum [B] of the switches' entropies."""
        return (softplus(parameters) - parameters * parameters.sigmoid()).sum(1)

    def actions(self, sample: Array) -> Array:
        """Return samples [B, D] as int8 in the space's shape."""
        return sample.astype(np.int8).reshape(-1, *self._space.shape)

    def action_tensors(self, sample: Tensor) -> Tensor:
        """Return samples [B, D] as int8 in the space's shape."""
        return sample.to(torch.int8).reshape(-1, *self._space.shape)

    def masked(self, parameters: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return logits [B, D] of certainty for switches with only one legal position.

        `legal_actions` is [B, 2 D] bool, off before on. A switch without a legal position keeps its logit.
        """
        if legal_actions is None:
            return parameters
        off, on = legal_actions.view(*parameters.shape, 2).unbind(2)
        return parameters.masked_fill(off & ~on, -_CERTAIN).masked_fill(on & ~off, _CERTAIN)


class Gaussian:
    """Independent normal numbers; the parameters are means and logarithms of standard deviations, [B, 2 D].

    Clipped to the space, or squashed into it by tanh. With squashing, probabilities are those after it, and the entropy
    is that of the normal numbers before it, which has a closed form.
    """

    def __init__(self, space: spaces.Box, *, squash: bool):
        """Make the distribution for a `Box`.

        Raises:
            UsageError: `squash`, and the space has no bounds; or no numbers.
        """
        if squash and not space.is_bounded():
            raise UsageError(f"agent.network.squash=true needs bounds, which {space} does not have; set squash=false")
        if 0 in space.shape:
            raise UsageError(f"actions of {space} have no numbers, so that there is nothing to learn; use agent=random")
        self._space = space
        self._squash = squash
        self._width = int(np.prod(space.shape))
        self.parameters = 2 * self._width
        self.log_stds = self._width
        self._low, self._high = space.low.ravel(), space.high.ravel()
        with np.errstate(over="ignore"):
            fits = np.issubdtype(space.dtype, np.floating) and np.isfinite(self._high - self._low).all()
        if squash and not fits:
            # The width of a space of small integers or of huge numbers does not fit into its own dtype.
            self._low, self._high = self._low.astype(np.float64), self._high.astype(np.float64)
        locked = self._low == self._high
        # A number that cannot be another one is no choice: it has no density.
        self._free = torch.from_numpy(~locked) if locked.any() else None
        self._width_log = np.log(np.where(locked, 1, (self._high - self._low) / 2)) if squash else None

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw standard normal numbers [n, D]."""
        return rng.standard_normal((n, self._width), np.float32)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return normal numbers [B, D], before they are squashed or clipped."""
        mean, log_std = parameters.chunk(2, 1)
        return mean + log_std.exp() * noise

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the means [B, D]."""
        return parameters[:, : self._width]

    def log_prob(self, parameters: Tensor, sample: Tensor) -> Tensor:
        """Return the logarithm [B] of the density, after squashing if there is any."""
        mean, log_std = parameters.chunk(2, 1)
        density = -0.5 * ((sample - mean) / log_std.exp()) ** 2 - log_std - log(sqrt(2 * pi))
        if self._squash:
            # log(1 - tanh(u)^2) without cancellation, and the interval's half width.
            half = torch.from_numpy(self._width_log).to(sample)
            density = density - 2 * (log(2.0) - sample - softplus(-2 * sample)) - half
        return self._of_choices(density).sum(1)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the entropy [B] of the normal numbers."""
        return self._of_choices(parameters[:, self._width :] + 0.5 * log(2 * pi * np.e)).sum(1)

    def _of_choices(self, numbers: Tensor) -> Tensor:
        """Return `numbers` [B, D], 0 where the space leaves no choice."""
        return numbers if self._free is None else torch.where(self._free.to(numbers.device), numbers, 0.0)

    def actions(self, sample: Array) -> Array:
        """Return samples [B, D] as actions of the space's shape and dtype, within its bounds; integers are rounded."""
        inside = self._low + (np.tanh(sample) + 1) / 2 * (self._high - self._low) if self._squash else sample
        return box_actions(self._space, inside)

    def action_tensors(self, sample: Tensor) -> Tensor:
        """Return actions [B, ...] of samples [B, D] as `actions` does, as tensors."""
        if not self._squash:
            return box_tensors(self._space, sample)
        low, high = torch.from_numpy(self._low), torch.from_numpy(self._high)
        return box_tensors(self._space, low + (sample.tanh() + 1) / 2 * (high - low))

    def masked(self, parameters: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return the parameters [B, 2 D] unchanged: there are no masks for numbers (`rlkit.vector.action_masks`)."""
        return parameters


def _masked(logits: Tensor, legal: Tensor) -> Tensor:
    """Return logits [B, A], minus infinity where not `legal` [B, A] bool; rows without a legal action are unchanged."""
    return logits.masked_fill(~legal & legal.any(1, keepdim=True), -torch.inf)


def gumbel(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw standard Gumbel noise [*shape] float32."""
    return np.asarray(-np.log(np.maximum(rng.standard_exponential(shape, np.float32), _TINY)))


def entropy_of(logits: Tensor) -> Tensor:
    """Return the entropy [B] of softmax over logits [B, A]; logits of minus infinity add nothing."""
    log_probs = logits.log_softmax(1)
    return -(log_probs.exp() * log_probs.clamp(min=-1e30)).sum(1)
