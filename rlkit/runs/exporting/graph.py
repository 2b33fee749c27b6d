"""An agent and its wrappers as one module: arrays in, actions and memory out, in a fixed order (torch)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlkit.core import tree
from rlkit.core.parts import parts_of
from rlkit.core.spaces import COMPOSED_SPACES, space_tree
from rlkit.core.types import Array, Tree
from rlkit.networks.box_tensors import dtype_of
from rlkit.networks.encoders import ReadTokens, TokenFeatures
from rlkit.networks.greedy_policies import GreedyPolicy
from rlkit.runs.exporting.layers import WrapperLayer

EXAMPLES = 2
"""Rows of the batch that a graph is made with; files take any number."""


class Port(NamedTuple):
    """An input or output [B, *shape] of a file."""

    name: str
    dtype: Any  # np.dtype
    shape: tuple[int, ...]

    def zeros(self, n: int) -> Array:
        """Return zeros [n, *shape]."""
        return np.zeros((n, *self.shape), self.dtype)

    def described(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"name": self.name, "dtype": str(np.dtype(self.dtype)), "shape": ["batch", *self.shape]}


class Ports(NamedTuple):
    """All inputs and outputs of a file, in their order."""

    observation: list[Port]
    mask: list[Port]  # one, or none
    begins: list[Port]  # one where there is memory
    memory: list[Port]
    action: list[Port]

    @property
    def inputs(self) -> list[Port]:
        """What goes in."""
        return [*self.observation, *self.mask, *self.begins, *self.memory]

    @property
    def outputs(self) -> list[Port]:
        """What comes out."""
        return [*self.action, *(port._replace(name=f"next_{port.name}") for port in self.memory)]


def ports_of(space: Any, name: str) -> list[Port]:
    """Return a port for each array that values of a space are made of: `name`, and for parts ``name/part``."""
    single = not isinstance(space, COMPOSED_SPACES)
    return [
        Port(name if single else f"{name}/{part}", own.dtype, tuple(own.shape or ()))
        for part, own in parts_of(space).items()
    ]


class PolicyGraph(nn.Module):
    """Decides for a batch: what the environment returns goes in, what it accepts comes out.

    Attributes:
        ports: names, dtypes and shapes of inputs and outputs.
    """

    def __init__(
        self,
        policy: GreedyPolicy,
        layers: Sequence[WrapperLayer],
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        mask: int,
    ):
        """Put the layers around a copy of the policy.

        Args:
            policy: of the agent.
            layers: of the wrappers, innermost first.
            observation_space: of what goes in.
            action_space: of what comes out.
            mask: A, flags of a mask of legal actions; 0: there are none.
        """
        super().__init__()
        self.policy = copy.deepcopy(policy).cpu().requires_grad_(False)
        for module in self.policy.modules():
            if isinstance(module, ReadTokens | TokenFeatures):
                module.whole = True
        self._layers = list(layers)
        self._tree = space_tree(observation_space)
        frames = [layer.frames for layer in layers if layer.frames is not None]
        memory = [Port("memory", np.dtype(np.float32), (policy.hidden_size,))] if policy.hidden_size else []
        memory += [Port(f"frames{i or ''}", space.dtype, space.shape) for i, space in enumerate(frames)]
        flag = np.dtype(bool)
        self.ports = Ports(
            ports_of(observation_space, "observation"),
            [Port("action_mask", flag, (mask,))] if mask else [],
            [Port("begins", flag, ())] if memory else [],
            memory,
            ports_of(action_space, "action"),
        )

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs [B, ...] for the inputs [B, ...], each in the order of `ports`."""
        scores, legal, memory = self.scores(*inputs)
        return *self.actions(scores, legal), *memory

    def scores(self, *inputs: Tensor) -> tuple[Tensor, Tensor | None, list[Tensor]]:
        """Return the numbers [B, K] that the policy chooses by, the mask [B, A], and the memory afterwards."""
        values = iter(inputs)
        observation: Any = tree.map(lambda space: next(values), self._tree)
        legal = next(values) if self.ports.mask else None
        begins = next(values) if self.ports.begins else None
        hidden = next(values) if self.policy.hidden_size else torch.zeros(0)
        after: list[Tensor] = []
        for layer in self._layers:
            if layer.frames is not None:
                observation = _stacked(observation, next(values), begins)
                after.append(observation)
            elif layer.observation is not None:
                observation = layer.observation(observation)
        if self.policy.hidden_size:
            hidden = torch.where(_against(begins, hidden), torch.zeros_like(hidden), hidden)
        scores, hidden = self.policy.scores(observation, hidden)
        return scores, legal, [hidden, *after] if self.policy.hidden_size else after

    def actions(self, scores: Tensor, legal: Tensor | None) -> list[Tensor]:
        """Return the parts of the actions [B, ...] that are chosen by `scores` [B, K] among `legal` [B, A] ones."""
        action: Tree = self.policy.choose(scores, legal)
        for layer in reversed(self._layers):
            if layer.action is not None:
                action = layer.action(action)
        ports = self.ports.action
        return [leaf.to(dtype_of(port.dtype)) for leaf, port in zip(tree.leaves(action), ports, strict=True)]

    def examples(self) -> tuple[Tensor, ...]:
        """Return inputs of zeros, each [B, ...] with a B of 2; where actions have masks, all are legal."""
        mask = self.ports.mask
        return tuple(
            torch.from_numpy(port.zeros(EXAMPLES) if port not in mask else ~port.zeros(EXAMPLES))
            for port in self.ports.inputs
        )


def _stacked(observation: Tensor, frames: Tensor, begins: Any) -> Tensor:
    """Return the stack [B, size, ...] of the frames before it and an observation [B, ...], the only one at a begin."""
    newest = observation.unsqueeze(1)
    moved = torch.cat((frames[:, 1:], newest), 1)
    return torch.where(_against(begins, frames), newest.expand_as(frames), moved)


def _against(flags: Any, rows: Tensor) -> Tensor:
    """Return flags [B] with the axes of rows [B, ...], of length one."""
    return flags.reshape(-1, *[1] * (rows.ndim - 1))  # type: ignore[no-any-return]
