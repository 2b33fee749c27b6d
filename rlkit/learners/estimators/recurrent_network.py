"""Recurrent networks as one vector of parameters, and the gradient of their cost by backpropagation through time.

T steps, B rows, D numbers a step, S of the last steps with an output of K numbers, P parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators.backprop import Layer
from rlkit.learners.estimators.costs import OutputLayer
from rlkit.learners.estimators.recurrent_cells import Cell, CellWeights, State


class Parts(NamedTuple):
    """Views of a vector of parameters, or of a gradient."""

    cells: list[CellWeights]
    readout: Layer | None


class Pass(NamedTuple):
    """What a forward pass leaves."""

    inputs: list[Array]  # [T, B, D] of each layer
    hidden: list[Array]  # [T + 1, B, H] of each layer
    tapes: list[Any]
    z: Array  # [S, B, K] before the last activation
    end: list[State]  # of each layer


@dataclass(frozen=True)
class RecurrentNetwork:
    """What a vector of parameters means: layers of cells upon each other, and a readout of the last.

    Attributes:
        widths: D, and H of each layer.
        outputs: K.
        cell: of all layers.
        output: activation and cost of the outputs.
        bias: layers have biases.
        readout: outputs are a layer upon the hidden numbers; else they are these numbers.
    """

    widths: tuple[int, ...]
    outputs: int
    cell: Cell
    output: OutputLayer
    bias: bool = True
    readout: bool = True

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return sum(int(np.prod(shape)) for shape in self._shapes())

    def _shapes(self) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = []
        for below, width in pairwise(self.widths):
            total = self.cell.gates * width
            found += [(below, total), (width, total), (total * self.bias,), (width * self._inner,)]
        return [*found, (self.widths[-1] * self.readout, self.outputs), (self.outputs * self.bias * self.readout,)]

    @property
    def _inner(self) -> bool:
        return self.bias and self.cell.inner

    def parts(self, vector: Array) -> Parts:
        """Return views of a vector [P]."""
        shapes = self._shapes()
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        pieces = [piece.reshape(shape) for piece, shape in zip(np.split(vector, ends[:-1]), shapes, strict=True)]
        *layers, weights, biases = pieces
        cells = [
            CellWeights(
                layers[i], layers[i + 1], layers[i + 2] if self.bias else None, layers[i + 3] if self._inner else None
            )
            for i in range(0, len(layers), 4)
        ]
        return Parts(cells, Layer(weights, biases if self.bias else None) if self.readout else None)

    def zeros(self, rows: int) -> list[State]:
        """Return the states of all layers where nothing was met."""
        return [tuple(np.zeros((rows, width)) for _ in range(self.cell.memories)) for width in self.widths[1:]]

    def initial(self, draw: Callable[[float, tuple[int, ...]], Array]) -> Array:
        """Return parameters [P] that `draw` draws for a layer of a width and a shape, biases included."""
        vector = np.empty(self.size)
        parts = self.parts(vector)
        for weights, width in zip(parts.cells, self.widths[1:], strict=True):
            for piece in weights:
                if piece is not None:
                    piece[:] = draw(width, piece.shape)
        for piece in parts.readout or ():
            if piece is not None:
                piece[:] = draw(self.widths[-1], piece.shape)
        return vector


def uniform(rng: np.random.Generator) -> Callable[[float, tuple[int, ...]], Array]:
    """Return what draws numbers [...] of a shape from U(-1, 1) over the root of a layer's width, as torch does."""
    return lambda width, shape: rng.uniform(-1.0, 1.0, shape) / sqrt(width)


def forward(network: RecurrentNetwork, vector: Array, x: Array, steps: int, start: list[State] | None = None) -> Pass:
    """Return the forward pass over x [T, B, D], with the outputs of its last S = `steps` steps.

    Args:
        network: what `vector` means.
        vector: [P].
        x: [T, B, D].
        steps: S, at most T.
        start: states of all layers; None: zeros.
    """
    parts, found = network.parts(vector), Pass([], [], [], np.empty(0), [])
    for weights, state in zip(parts.cells, start or network.zeros(x.shape[1]), strict=True):
        sums = x @ weights.inputs
        if weights.biases is not None:
            sums += weights.biases
        hidden, end, tape = network.cell.forward(weights, sums, state)
        found.inputs.append(x)
        found.hidden.append(hidden)
        found.tapes.append(tape)
        found.end.append(end)
        x = hidden[1:]
    return found._replace(z=_read(parts.readout, x[len(x) - steps :]))


def gradient(
    network: RecurrentNetwork, vector: Array, x: Array, y: Array, weights: Array, window: int | None = None
) -> Array:
    """Return the gradient [P] of the weighted sum over rows of their mean cost over steps.

    Args:
        network: what `vector` means.
        vector: [P].
        x: [T, B, D].
        y: [S, B, K] targets of the last S steps.
        weights: [B] of the rows.
        window: gradients do not flow from one window of as many steps to the one before; None: they all flow.
    """
    made, found = forward(network, vector, x, len(y)), np.zeros_like(vector)
    parts, wanted = network.parts(vector), network.parts(found)
    delta = _delta(network, made.z, y) * (weights[:, None] / len(y))
    slopes = np.zeros_like(made.hidden[-1][1:])
    slopes[len(x) - len(y) :] = _back(parts.readout, wanted.readout, made.hidden[-1][len(x) - len(y) + 1 :], delta)
    for number in range(len(parts.cells) - 1, -1, -1):
        cell, target = parts.cells[number], wanted.cells[number]
        sums = network.cell.backward(cell, made.hidden[number], made.tapes[number], slopes, window, target).sums
        below = made.inputs[number]
        target.inputs[:] = below.reshape(-1, below.shape[-1]).T @ sums.reshape(-1, sums.shape[-1])
        if target.biases is not None:
            target.biases[:] = sums.sum((0, 1))
        if number:
            slopes = sums @ cell.inputs.T
    return found


def costs(network: RecurrentNetwork, z: Array, y: Array) -> Array:
    """Return the mean cost over steps of each row [B], of z and y [S, B, K]."""
    flat = network.output.cost(z.reshape(-1, z.shape[-1]), y.reshape(-1, y.shape[-1]))
    return np.asarray(flat.reshape(z.shape[:2]).mean(0))


def clipped(gradient: Array, norm: float | None) -> Array:
    """Return a gradient [P], scaled down to `norm` where it is longer (Pascanu et al., 2013)."""
    length = float(np.linalg.norm(gradient))
    return gradient if norm is None or length <= norm else gradient * (norm / length)


def _delta(network: RecurrentNetwork, z: Array, y: Array) -> Array:
    shape = z.shape
    z, y = z.reshape(-1, shape[-1]), y.reshape(-1, shape[-1])
    return network.output.delta(network.output.value(z), y).reshape(shape)


def _read(readout: Layer | None, hidden: Array) -> Array:
    if readout is None:
        return hidden
    z = hidden @ readout.weights
    return np.asarray(z if readout.biases is None else z + readout.biases)


def _back(readout: Layer | None, wanted: Layer | None, hidden: Array, delta: Array) -> Array:
    """Return the slopes [S, B, H] by the hidden numbers, and write the readout's."""
    if readout is None or wanted is None:
        return delta
    wanted.weights[:] = hidden.reshape(-1, hidden.shape[-1]).T @ delta.reshape(-1, delta.shape[-1])
    if wanted.biases is not None:
        wanted.biases[:] = delta.sum((0, 1))
    return np.asarray(delta @ readout.weights.T)
