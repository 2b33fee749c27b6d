"""Recurrent networks: our NumPy cells beside torch's modules, forward and backward, on one thread.

    OMP_NUM_THREADS=1 python tests/benchmarks/recurrent.py --out <folder>

Both compute the same: the outputs of every step, half of their squares' sum as a cost, and its gradient by all weights.
Slices take turns; the times are medians, the ratios those of neighbouring slices.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from keep import write
from torch import nn

from rlkit.learners.estimators.activations import ACTIVATIONS
from rlkit.learners.estimators.costs import last_layer
from rlkit.learners.estimators.recurrent_cells import GRUCell, LSTMCell, SimpleCell
from rlkit.learners.estimators.recurrent_network import RecurrentNetwork, gradient, uniform

CELLS: dict[str, tuple[Any, Any]] = {
    "rnn": (SimpleCell(ACTIVATIONS["tanh"]), nn.RNN),
    "lstm": (LSTMCell(), nn.LSTM),
    "gru": (GRUCell(after=True, inner=True), nn.GRU),
}
SIZES = ((20, 32, 16, 32), (50, 32, 32, 128), (100, 64, 64, 256))
"""Steps, rows, numbers a step, hidden numbers."""


def ours(cell: Any, steps: int, rows: int, width: int, hidden: int) -> Callable[[], Any]:
    """Return a function that computes a gradient in NumPy."""
    rng = np.random.default_rng(0)
    output = last_layer("identity", "quadratic")
    network = RecurrentNetwork((width, hidden), hidden, cell, output, readout=False)
    vector = network.initial(uniform(rng)).astype(np.float32)
    x = rng.normal(size=(steps, rows, width)).astype(np.float32)
    y, weights = np.zeros((steps, rows, hidden), np.float32), np.ones(rows, np.float32)
    return lambda: gradient(network, vector, x, y, weights)


def theirs(kind: Any, steps: int, rows: int, width: int, hidden: int) -> Callable[[], Any]:
    """Return a function that computes a gradient in torch."""
    module, x = kind(width, hidden), torch.randn(steps, rows, width)

    def compute() -> None:
        module.zero_grad(set_to_none=True)
        (module(x)[0].square().sum() / (2 * steps)).backward()

    return compute


def timed(function: Callable[[], Any], seconds: float) -> float:
    """Return the milliseconds of a call, over as many as fit into `seconds`."""
    function()
    calls, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        function()
        calls += 1
    return (time.perf_counter() - started) / calls * 1000


def main() -> None:
    """Measure every cell and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a slice")
    parser.add_argument("--out", type=Path, default=Path("tests/benchmarks/results"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name, (cell, kind) in CELLS.items():
        for size in SIZES:
            pair = ours(cell, *size), theirs(kind, *size)
            slices = np.array([[timed(one, options.seconds) for one in pair] for _ in range(options.slices)])
            ratios = slices[:, 0] / slices[:, 1]
            row = {"cell": name, **dict(zip(("steps", "rows", "features", "hidden"), size, strict=True))}
            row |= {
                "numpy_ms": round(float(np.median(slices[:, 0])), 2),
                "torch_ms": round(float(np.median(slices[:, 1])), 2),
            }
            row |= {
                "ratio": round(float(np.median(ratios)), 2),
                "least": round(float(ratios.min()), 2),
                "most": round(float(ratios.max()), 2),
            }
            rows.append(row)
            print(row, flush=True)
    write(options.out, "recurrent", rows)


if __name__ == "__main__":
    main()
