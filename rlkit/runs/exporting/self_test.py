"""Whether an exported file decides as the agent does: tried on observations drawn from their space."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from rlkit.core import tree
from rlkit.core.spaces import choice_sizes, space_tree
from rlkit.core.types import Array, RunError, Tree
from rlkit.runs.exporting.formats import Decide
from rlkit.runs.exporting.graph import PolicyGraph
from rlkit.runs.policy import DeployedPolicy

ROWS, STEPS = 32, 8
"""Episodes side by side, and steps of each; some begin again between."""

ROUNDING = 1e-5
"""Relative differences of numbers that graphs and agents may have, as they add up in another order."""

TRIES = 16


class FirstOfEquals:
    """In place of a generator: with its draws agents take the first of equal actions, as exported files do."""

    def random(self, size: Any = None) -> Any:
        """Return the same small number at each place of `size`."""
        return 1e-9 if size is None else np.full(size, 1e-9)


def require_equal(decide: Decide, graph: PolicyGraph, policy: DeployedPolicy, mask_space: Any, seed: int) -> int:
    """Check that a file's actions are those of the agent, and return how many were compared.

    Args:
        decide: runs the file.
        graph: that it was made of.
        policy: the agent with its wrappers, which draws by `FirstOfEquals`.
        mask_space: of the agent's actions, where they have masks.
        seed: of the observations.

    Raises:
        RunError: an action differs by more than rounding; the message has the first.
    """
    rng = np.random.default_rng(seed)
    policy.observation_space.seed(seed)
    memory = [port.zeros(ROWS) for port in graph.ports.memory]
    for step in range(STEPS):
        begins = rng.random(ROWS) < 0.2 if step else np.ones(ROWS, bool)
        observations = [policy.observation_space.sample() for _ in range(ROWS)]
        masks = [_mask(mask_space, rng) for _ in range(ROWS)] if graph.ports.mask else []
        inputs = _leaves(policy.observation_space, observations)
        inputs += [np.array(masks)] if masks else []
        inputs += [begins] if graph.ports.begins else []
        outputs = decide([*inputs, *memory])
        if step:
            policy.reset(begins)
        wanted = policy(observations, [{"action_mask": mask} for mask in masks] or None)
        _compare(graph, [*inputs, *memory], outputs, _leaves(policy.action_space, list(_rows(wanted))), rng)
        memory = outputs[len(graph.ports.action) :]
    return ROWS * STEPS


def _rows(values: Tree) -> Iterator[Tree]:
    return (tree.take(values, i) for i in range(tree.length(values)))


def _leaves(space: Any, values: list[Any]) -> list[Array]:
    """Return the parts of values of a space, [B, ...] each, in the order of the file's inputs or outputs."""
    own = space_tree(space)
    rows = [tree.leaves(tree.map_many(lambda part, leaf: np.asarray(leaf, part.dtype), own, value)) for value in values]
    return [np.stack(column) for column in zip(*rows, strict=True)]


def _mask(space: spaces.Space[Any], rng: np.random.Generator) -> Array:
    """Return a mask [A] bool in which each choice has a legal value."""
    sizes = choice_sizes(space)
    flags = [rng.random(size) < 0.6 for size in sizes]
    for own in flags:
        own[rng.integers(len(own))] = True
    return np.concatenate(flags)


def _compare(
    graph: PolicyGraph, inputs: list[Array], outputs: list[Array], wanted: list[Array], rng: np.random.Generator
) -> None:
    """Refuse actions [B, ...] that are not those `wanted`.

    Raises:
        RunError: one is another, and not because two are as good but for rounding.
    """
    for i, (port, found, own) in enumerate(zip(graph.ports.action, outputs, wanted, strict=False)):
        same = np.isclose(found, own, 1e-3, 1e-4) if found.dtype.kind == "f" else found == own
        if found.shape != own.shape or found.dtype != own.dtype:
            raise _differs(port.name, found, own)
        if not same.all() and not (same | _as_good(graph, inputs, i, found, rng)).all():
            row = int(np.flatnonzero(~same.reshape(len(same), -1).all(1))[0])
            raise _differs(port.name, found[row], own[row])


def _differs(name: str, found: Array, wanted: Array) -> RunError:
    shown = [" ".join(str(array.tolist()).split())[:80] for array in (found, wanted)]
    return RunError(f"the exported file's {name} is {shown[0]} where the agent's is {shown[1]}; nothing was exported")


def _as_good(graph: PolicyGraph, inputs: list[Array], part: int, found: Array, rng: np.random.Generator) -> Array:
    """Return whether each number of actions [B, ...] would be chosen by numbers that differ by rounding alone."""
    close = np.zeros(found.shape, bool)
    with torch.inference_mode():
        scores, legal, _ = graph.scores(*map(torch.from_numpy, inputs))
        size = float(ROUNDING * scores.abs().max())
        for _ in range(TRIES):
            noise = torch.from_numpy(rng.normal(0, size, scores.shape)).to(scores)
            close |= graph.actions(scores + noise, legal)[part].numpy() == found
    return close
