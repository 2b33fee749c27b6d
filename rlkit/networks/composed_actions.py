"""The distribution for any action space. Parts of dicts and tuples are drawn independently, each as its space says."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from rlkit.core import tree
from rlkit.core.spaces import COMPOSED_SPACES, choice_sizes, space_tree
from rlkit.core.types import Array, Tree, UsageError
from rlkit.networks.action_distributions import (
    ActionDistribution,
    Bernoulli,
    CategoricalAction,
    Gaussian,
    MultiCategorical,
)


class PartOfAction(NamedTuple):
    """One part of an action, and the columns that are its own."""

    distribution: ActionDistribution
    heads: slice  # of the parameters, without logarithms of standard deviations
    log_stds: slice  # of the parameters
    noise: slice
    sample: slice
    is_single: bool  # its samples are [B], not [B, D]
    kind: torch.dtype  # of its samples
    mask: int  # flags in a mask

    def parameters(self, all_of_them: Tensor) -> Tensor:
        """Return the part's own parameters [B, K'] of [B, K]."""
        return torch.cat((all_of_them[:, self.heads], all_of_them[:, self.log_stds]), 1)

    def own_sample(self, sample: Tensor) -> Tensor:
        """Return the part's own samples, [B] or [B, D'], of samples [B, D]."""
        own = sample[:, self.sample].to(self.kind)
        return own[:, 0] if self.is_single else own


class ComposedAction:
    """The distribution of a `Dict` or `Tuple` action space; samples are [B, D] float32, those of the parts in order.

    The parameters are those of the parts, and after them all logarithms of standard deviations.
    """

    def __init__(self, space: Any, of_part: Callable[[Any], ActionDistribution]):
        """Compose the distributions that `of_part` returns for the spaces of arrays that `space` is made of."""
        self._tree = space_tree(space)
        leaves = tree.leaves(self._tree)
        distributions = [of_part(leaf) for leaf in leaves]
        self.parameters = sum(one.parameters for one in distributions)
        self.log_stds = sum(one.log_stds for one in distributions)
        self._parts = _parts(leaves, distributions)

    def noise(self, n: int, rng: np.random.Generator) -> Array:
        """Draw the noise of all parts [n, ...] float32."""
        return np.concatenate([part.distribution.noise(n, rng) for part in self._parts], 1)

    def sample(self, parameters: Tensor, noise: Tensor) -> Tensor:
        """Return samples [B, D] float32."""
        parts = ((part, noise[:, part.noise]) for part in self._parts)
        return _columns(part.distribution.sample(part.parameters(parameters), own) for part, own in parts)

    def mode(self, parameters: Tensor) -> Tensor:
        """Return the likeliest samples [B, D] float32."""
        return _columns(part.distribution.mode(part.parameters(parameters)) for part in self._parts)

    def log_prob(self, parameters: Tensor, sample: Tensor) -> Tensor:
        """Return the logarithm [B] of the product of the parts' probabilities or densities."""
        logs = [
            part.distribution.log_prob(part.parameters(parameters), part.own_sample(sample)) for part in self._parts
        ]
        return torch.stack(logs).sum(0)

    def entropy(self, parameters: Tensor) -> Tensor:
        """Return the sum [B] of the parts' entropies in nats."""
        return torch.stack([part.distribution.entropy(part.parameters(parameters)) for part in self._parts]).sum(0)

    def actions(self, sample: Array) -> Tree:
        """Return samples [B, D] as a tree of the parts' actions, [B] or [B, ...]."""
        own = iter(_actions(part, sample) for part in self._parts)
        return tree.map(lambda leaf: next(own), self._tree)

    def action_tensors(self, sample: Tensor) -> Tree:
        """Return actions [B, ...] of samples [B, K] as `actions` does, as tensors."""
        own = iter(part.distribution.action_tensors(part.own_sample(sample)) for part in self._parts)
        return tree.map(lambda leaf: next(own), self._tree)

    def masked(self, parameters: Tensor, legal_actions: Tensor | None) -> Tensor:
        """Return the parameters [B, K] with which no illegal value of a part is drawn; masks are of discrete parts."""
        if legal_actions is None:
            return parameters
        masks = torch.split(legal_actions, [part.mask for part in self._parts], 1)
        rows = [
            part.distribution.masked(part.parameters(parameters), mask)
            for part, mask in zip(self._parts, masks, strict=True)
        ]
        return torch.cat(rows, 1)  # Discrete parts have no standard deviations.


def _parts(leaves: list[Any], distributions: list[ActionDistribution]) -> list[PartOfAction]:
    heads = [one.parameters - one.log_stds for one in distributions]
    shown = [one.mode(torch.zeros(1, one.parameters)) for one in distributions]
    noise = [one.noise(0, np.random.default_rng(0)).shape[1] for one in distributions]
    columns = (
        *(_slices(heads), _slices([one.log_stds for one in distributions], start=sum(heads))),
        *(_slices(noise), _slices([sample.numel() for sample in shown])),
    )
    masks = [0 if isinstance(leaf, spaces.Box) else sum(choice_sizes(leaf)) for leaf in leaves]
    rows = zip(distributions, *columns, shown, masks, strict=True)
    return [
        PartOfAction(one, head, log_std, noisy, own, sample.ndim == 1, sample.dtype, mask)
        for one, head, log_std, noisy, own, sample, mask in rows
    ]


def _slices(sizes: list[int], start: int = 0) -> list[slice]:
    ends = list(accumulate(sizes, initial=start))
    return [slice(first, last) for first, last in pairwise(ends)]


def _columns(samples: Iterable[Tensor]) -> Tensor:
    return torch.cat([sample.reshape(sample.shape[0], -1).to(torch.float32) for sample in samples], 1)


def _actions(part: PartOfAction, sample: Array) -> Tree:
    own = part.own_sample(torch.from_numpy(np.ascontiguousarray(sample)))
    return part.distribution.actions(own.numpy())


def action_distribution(space: Any, *, squash: bool) -> ActionDistribution:
    """Return the distribution for an action space.

    Raises:
        UsageError: there is none for this kind of space, or it cannot be squashed.
    """
    if isinstance(space, spaces.Box):
        return Gaussian(space, squash=squash)
    if isinstance(space, COMPOSED_SPACES):
        return _composed(space, squash=squash)
    if squash:
        raise UsageError(f"agent.network.squash=true is for Box actions, not {space}; set squash=false")
    if isinstance(space, spaces.Discrete):
        return CategoricalAction(int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return MultiCategorical(space)
    if isinstance(space, spaces.MultiBinary):
        return Bernoulli(space)
    raise UsageError(f"a policy network has no distribution for {space}; wrap the environment")


def _composed(space: Any, *, squash: bool) -> ComposedAction:
    """Return the distribution for a `Dict` or a `Tuple`; only numbers are squashed, and there must be some."""
    numbers = any(isinstance(part, spaces.Box) for part in tree.leaves(space_tree(space)))

    def of_part(part: Any) -> ActionDistribution:
        return action_distribution(part, squash=squash and (isinstance(part, spaces.Box) or not numbers))

    return ComposedAction(space, of_part)
