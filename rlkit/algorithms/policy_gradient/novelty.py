"""How new observations are: counts, and the error of a network that predicts another one (torch)."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.algorithms.policy_gradient.observation_statistics import ObservationStatistics
from rlkit.core import tree
from rlkit.core.ranges import PositiveShare
from rlkit.core.types import Array, FromRun, State, Tree
from rlkit.networks import as_torso, load_module_state, module_state, to_tensor
from rlkit.networks.standardize import has_numbers, standardizer


class Novelty(Protocol):
    """A bonus for observations that were seldom seen.

    Attributes:
        module: what is learned, without parameters where nothing is.
    """

    module: nn.Module

    def observe(self, observation: Tree, valid: Array) -> Array:
        """Count observations [N, ...] that are `valid` [N] bool, and return their bonuses [N] float32, 0 for others."""

    def loss(self, observation: Tree, rng: np.random.Generator) -> Tensor:
        """Return the loss [] of `module` on observations [B, ...], tensors or trees of them."""

    def adapt(self) -> None:
        """Begin to use what was measured of observations: between rollouts, so that each has one measure."""

    def state_dict(self) -> State:
        """Return all that changes, as plain data."""

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""


class VisitCounts:
    """``1 / sqrt(n)`` for the n-th visit of an observation, told apart by its bytes (Strehl & Littman, 2008)."""

    def __init__(self) -> None:
        """Begin with no visits."""
        self.module: nn.Module = nn.Identity()
        self._counts: dict[bytes, int] = {}

    def observe(self, observation: Tree, valid: Array) -> Array:
        """Count a visit of each row that is `valid` [N]; rows of one step count one after the other."""
        bonus = np.zeros(len(valid), np.float32)
        for i in np.flatnonzero(valid):
            key = b"".join(np.ascontiguousarray(leaf[i]).tobytes() for leaf in tree.leaves(observation))
            self._counts[key] = count = self._counts.get(key, 0) + 1
            bonus[i] = count**-0.5
        return bonus

    def loss(self, observation: Tree, rng: np.random.Generator) -> Tensor:
        """Return 0, []: nothing is learned."""
        return torch.zeros(())

    def adapt(self) -> None:
        """Do nothing: counts are used at once."""

    def state_dict(self) -> State:
        """Return the observations [K, L] uint8, and their counts [K]."""
        keys = np.frombuffer(b"".join(self._counts), np.uint8).reshape(len(self._counts), -1) if self._counts else ()
        return {"keys": np.array(keys, np.uint8), "counts": np.array(list(self._counts.values()), np.int64)}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        pairs = zip(state["keys"], state["counts"].tolist(), strict=True)
        self._counts = {np.ascontiguousarray(key).tobytes(): count for key, count in pairs}


class RandomNetworkDistillation:
    """The squared error of a network that learns what a fixed random one says (Burda et al., 2019).

    Numbers are standardized by all that was observed up to the last rollout; before the first one has been measured
    there is no bonus.
    """

    def __init__(
        self,
        target: nn.Module,
        predictor: nn.Module,
        observation_space: FromRun[spaces.Space[Any]],
        device: FromRun[str],
        share: PositiveShare,
    ):
        """Put the networks together.

        Args:
            target: a torso; its features are predicted, and it never learns.
            predictor: a torso that learns, with a linear layer on top.
            observation_space: of one environment.
            device: where they live.
            share: of a minibatch's observations that the predictor learns from, drawn at random.
        """
        self._target = as_torso(target, observation_space).to(device).requires_grad_(False)
        torso = as_torso(predictor, observation_space)
        self.module: nn.Module = nn.Sequential(torso, nn.Linear(torso.features, self._target.features)).to(device)
        self._standardize = standardizer(observation_space).to(device) if has_numbers(observation_space) else None
        self._statistics = None if self._standardize is None else ObservationStatistics(self._standardize)
        self._device, self._share, self._ready = device, share, self._statistics is None

    def observe(self, observation: Tree, valid: Array) -> Array:
        """Measure observations, and return the mean squared errors [N] of their features."""
        if self._statistics is not None:
            self._statistics.add(observation, valid)
        if not self._ready:
            return np.zeros(len(valid), np.float32)
        with torch.inference_mode():
            errors: Array = self._errors(to_tensor(observation, self._device)).cpu().numpy()
        return np.where(valid, errors, np.float32(0))

    def _errors(self, observation: Tree) -> Tensor:
        seen = observation if self._standardize is None else self._standardize(observation)
        errors: Tensor = ((self.module(seen) - self._target(seen)) ** 2).mean(1)
        return errors

    def loss(self, observation: Tree, rng: np.random.Generator) -> Tensor:
        """Return the mean error [] of a share of the observations; 0 before they were measured."""
        if not self._ready:
            return torch.zeros((), device=self._device)
        kept = torch.from_numpy(rng.random(tree.length(observation)) < self._share).to(self._device)
        errors = self._errors(observation)
        return (errors * kept).sum() / kept.sum().clamp(min=1)

    def adapt(self) -> None:
        """Standardize by the observations so far."""
        if self._statistics is not None and self._statistics.count:
            self._statistics.apply()
            self._ready = True

    def state_dict(self) -> State:
        """Return both networks, and the statistics of observations and those in use."""
        return {
            "target": module_state(self._target),
            "predictor": module_state(self.module),
            "standardize": None if self._standardize is None else module_state(self._standardize),
            "statistics": None if self._statistics is None else self._statistics.state_dict(),
            "ready": self._ready,
        }

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        load_module_state(self._target, state["target"])
        load_module_state(self.module, state["predictor"])
        if self._standardize is not None and self._statistics is not None:
            load_module_state(self._standardize, state["standardize"])
            self._statistics.load_state_dict(state["statistics"])
        self._ready = state["ready"]
