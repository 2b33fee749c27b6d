"""Recurrent cells in NumPy: what they do over a sequence, and their explicit backward passes through time.

T steps, B rows, D numbers a step, H hidden ones, G gates. All arrays have the steps first, so that each step's are
side by side, and what does not depend on the step before is one product for all steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators.activations import Activation

State = tuple[Array, ...]
"""What a cell remembers [B, H]: hidden numbers, and for an LSTM its memory, too."""


class CellWeights(NamedTuple):
    """Views of a vector of parameters, or of a gradient."""

    inputs: Array  # [D, G H]
    hidden: Array  # [H, G H]
    biases: Array | None  # [G H]
    inner: Array | None  # [H], of a GRU that resets after its product: the bias within what is reset


class Slopes(NamedTuple):
    """What a backward pass returns, beside the gradient of the hidden weights, which it writes."""

    sums: Array  # [T, B, G H] by the sums of inputs and biases
    start: State  # by the state at the start


class Cell(Protocol):
    """One kind of recurrent layer."""

    @property
    def gates(self) -> int:
        """G."""

    @property
    def memories(self) -> int:
        """How many arrays are in a state."""

    @property
    def inner(self) -> bool:
        """Whether there is an inner bias."""

    def forward(self, weights: CellWeights, sums: Array, start: State) -> tuple[Array, State, Any]:
        """Return the hidden numbers [T + 1, B, H] from the start on, the last state, and what `backward` needs.

        Args:
            weights: of the cell.
            sums: [T, B, G H], inputs times their weights, and biases.
            start: state before the first step.
        """

    def backward(
        self, weights: CellWeights, hidden: Array, tape: Any, slopes: Array, window: int | None, found: CellWeights
    ) -> Slopes:
        """Return the slopes of a cost, and write those by ``hidden`` and ``inner`` into `found`.

        Args:
            weights: of the cell.
            hidden: [T + 1, B, H] from `forward`.
            tape: from `forward`.
            slopes: [T, B, H] of the cost by the hidden numbers after each step, but for what they do in later steps.
            window: gradients do not flow from one window of as many steps to the one before; None: they all flow.
            found: where slopes are written to.
        """


@dataclass(frozen=True)
class SimpleCell:
    """``h_t = f(W x_t + U h_(t-1) + b)`` (Elman, 1990).

    Attributes:
        activation: f.
    """

    activation: Activation
    gates: int = 1
    memories: int = 1
    inner: bool = False

    def forward(self, weights: CellWeights, sums: Array, start: State) -> tuple[Array, State, Any]:
        """Return the hidden numbers [T + 1, B, H] and the last state as `Cell` says; there is no tape."""
        hidden = _room(sums, start[0])
        for t, sum_t in enumerate(sums):
            hidden[t + 1] = self.activation.value(sum_t + hidden[t] @ weights.hidden)
        return hidden, (hidden[-1],), None

    def backward(
        self, weights: CellWeights, hidden: Array, tape: Any, slopes: Array, window: int | None, found: CellWeights
    ) -> Slopes:
        """Return the slopes [T, B, G H] by the sums, and those by the start."""
        sums, carry = np.empty_like(slopes), np.zeros_like(slopes[0])
        for t, first in _backwards(len(slopes), window):
            sums[t] = (slopes[t] + carry) * self.activation.derivative(hidden[t + 1])
            carry = np.zeros_like(carry) if first else sums[t] @ weights.hidden.T
        found.hidden[:] = _product(hidden[:-1], sums)
        return Slopes(sums, (carry,))


@dataclass(frozen=True)
class LSTMCell:
    """Long short-term memory (Hochreiter & Schmidhuber, 1997; its forget gate: Gers et al., 2000).

    ``i, f, o = sigmoid(W x + U h + b)``, ``g = tanh(...)``; ``c = f c + i g``; ``h = o tanh(c)``. The gates stand in
    this order in the weights: i, f, o, g.
    """

    gates: int = 4
    memories: int = 2
    inner: bool = False

    def forward(self, weights: CellWeights, sums: Array, start: State) -> tuple[Array, State, Any]:
        """Return as `Cell` says; the tape has the gates [T, B, 4 H] and the memory [T + 1, B, H]."""
        hidden, memory = _room(sums, start[0]), _room(sums, start[1])
        gates, size = np.empty_like(sums), hidden.shape[-1]
        for t, sum_t in enumerate(sums):
            np.add(sum_t, hidden[t] @ weights.hidden, out=gates[t])
            _sigmoid(gates[t, :, : 3 * size])
            np.tanh(gates[t, :, 3 * size :], out=gates[t, :, 3 * size :])
            i, f, o, g = _gates(gates[t], 4)
            memory[t + 1] = f * memory[t] + i * g
            hidden[t + 1] = o * np.tanh(memory[t + 1])
        return hidden, (hidden[-1], memory[-1]), (gates, memory)

    def backward(
        self, weights: CellWeights, hidden: Array, tape: Any, slopes: Array, window: int | None, found: CellWeights
    ) -> Slopes:
        """Return the slopes [T, B, G H] by the sums, and those by the start."""
        gates, memory = tape
        sums, squashed = np.empty_like(gates), np.tanh(memory[1:])
        carry = kept = np.zeros_like(slopes[0])
        for t, first in _backwards(len(slopes), window):
            i, f, o, g = _gates(gates[t], 4)
            by_i, by_f, by_o, by_g = _gates(sums[t], 4)
            by_h = slopes[t] + carry
            by_c = kept + by_h * o * (1 - squashed[t] ** 2)
            by_i[:] = by_c * g * i * (1 - i)
            by_f[:] = by_c * memory[t] * f * (1 - f)
            by_o[:] = by_h * squashed[t] * o * (1 - o)
            by_g[:] = by_c * i * (1 - g * g)
            carry, kept = (np.zeros_like(by_h),) * 2 if first else (sums[t] @ weights.hidden.T, by_c * f)
        found.hidden[:] = _product(hidden[:-1], sums)
        return Slopes(sums, (carry, kept))


@dataclass(frozen=True)
class GRUCell:
    """Gated recurrent unit (Cho et al., 2014): ``h = (1 - z) h + z n``, ``r, z = sigmoid(W x + U h + b)``.

    With `after` the candidate is ``n = tanh(W x + b + r (U h + c))``, as in cuDNN and torch (whose z is one less this
    one); else ``n = tanh(W x + b + U (r h))``, as published. The gates stand in this order: r, z, n.

    Attributes:
        after: reset after the product.
        inner: there is a c: `after`, in a layer with biases.
    """

    after: bool
    inner: bool
    gates: int = 3
    memories: int = 1

    def forward(self, weights: CellWeights, sums: Array, start: State) -> tuple[Array, State, Any]:
        """Return as `Cell` says; the tape has the gates [T, B, 3 H], and with `after` what r multiplies [T, B, H]."""
        hidden, size = _room(sums, start[0]), start[0].shape[-1]
        gates, resettable = np.array(sums), np.empty_like(sums[..., :size])
        for t, gates_t in enumerate(gates):
            r, z, n = _gates(gates_t, 3)
            gates_t[:, : 2 * size] += hidden[t] @ weights.hidden[:, : 2 * size]
            _sigmoid(gates_t[:, : 2 * size])
            resettable[t] = self._resettable(weights, hidden[t], r)
            np.tanh(n + (r * resettable[t] if self.after else resettable[t]), out=n)
            hidden[t + 1] = hidden[t] + z * (n - hidden[t])
        return hidden, (hidden[-1],), (gates, resettable)

    def _resettable(self, weights: CellWeights, hidden: Array, r: Array) -> Array:
        last = weights.hidden[:, 2 * hidden.shape[-1] :]
        if not self.after:
            return (r * hidden) @ last
        return hidden @ last if weights.inner is None else hidden @ last + weights.inner

    def backward(
        self, weights: CellWeights, hidden: Array, tape: Any, slopes: Array, window: int | None, found: CellWeights
    ) -> Slopes:
        """Return the slopes [T, B, G H] by the sums, and those by the start."""
        gates, resettable = tape
        size = hidden.shape[-1]
        sums, carry = np.empty_like(gates), np.zeros_like(slopes[0])
        last = weights.hidden[:, 2 * size :]
        for t, first in _backwards(len(slopes), window):
            r, z, n = _gates(gates[t], 3)
            by_r, by_z, by_n = _gates(sums[t], 3)
            by_h = slopes[t] + carry
            by_n[:] = by_h * z * (1 - n * n)
            by_z[:] = by_h * (n - hidden[t]) * z * (1 - z)
            if self.after:
                by_r[:] = by_n * resettable[t] * r * (1 - r)
                through = (by_n * r) @ last.T
            else:
                by_reset = by_n @ last.T
                by_r[:] = by_reset * hidden[t] * r * (1 - r)
                through = by_reset * r
            before = by_h * (1 - z) + sums[t][:, : 2 * size] @ weights.hidden[:, : 2 * size].T + through
            carry = np.zeros_like(by_h) if first else before
        self._write(found, hidden[:-1], gates[..., :size], sums)
        return Slopes(sums, (carry,))

    def _write(self, found: CellWeights, before: Array, r: Array, sums: Array) -> None:
        size = before.shape[-1]
        by_n = sums[..., 2 * size :]
        found.hidden[:, : 2 * size] = _product(before, sums[..., : 2 * size])
        if not self.after:
            found.hidden[:, 2 * size :] = _product(r * before, by_n)
            return
        reset = by_n * r
        found.hidden[:, 2 * size :] = _product(before, reset)
        if found.inner is not None:
            found.inner[:] = reset.sum((0, 1))


def _room(sums: Array, start: Array) -> Array:
    """Return [T + 1, B, H], of which the first is `start` [B, H]."""
    hidden = np.empty((len(sums) + 1, *start.shape), sums.dtype)
    hidden[0] = start
    return hidden


def _gates(array: Array, count: int) -> list[Array]:
    """Return views [B, H] of the gates [B, G H]."""
    size = array.shape[-1] // count
    return [array[:, number * size : (number + 1) * size] for number in range(count)]


def _sigmoid(z: Array) -> None:
    """Replace z [B, ...] by ``1 / (1 + exp(-z))``, which is a tanh, so that nothing overflows."""
    z *= 0.5
    np.tanh(z, out=z)
    z += 1
    z *= 0.5


def _backwards(steps: int, window: int | None) -> Iterator[tuple[int, bool]]:
    """Yield steps from the last to the first, and whether a later window than the first begins with it."""
    for t in range(steps - 1, -1, -1):
        yield t, bool(window and t and t % window == 0)


def _product(left: Array, right: Array) -> Array:
    """Return the sum over steps and rows of products [I, J], of [T, B, I] and [T, B, J]."""
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])
