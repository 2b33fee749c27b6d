"""Epochs of the perceptron, compiled."""

from __future__ import annotations

from rlkit.core.types import Array
from rlkit.learners.estimators.compiling import kernel


@kernel
def epoch(
    data: Array,
    places: Array,
    starts: Array,
    signs: Array,
    order: Array,
    weights: Array,
    bias: Array,
    learning_rate: float,
    bias_rate: float,
) -> float:
    """Visit rows in order; after each mistake move the plane towards its right side; return the sum of the losses.

    Args:
        data, places, starts: the rows in compressed sparse form: values, their columns, and where each row starts.
        signs: [n] float64 1 or -1, the class of each row.
        order: [N] int64 rows to visit.
        weights: [d] and
        bias: [1], both changed in place.
        learning_rate: of the weights, and
        bias_rate: of the bias, 0 for none.
    """
    loss = 0.0
    for row in order:
        z = bias[0]
        for i in range(starts[row], starts[row + 1]):
            z += weights[places[i]] * data[i]
        margin = z * signs[row]
        if margin <= 0:
            loss -= margin
            for i in range(starts[row], starts[row + 1]):
                weights[places[i]] += learning_rate * signs[row] * data[i]
            bias[0] += bias_rate * signs[row]
    return loss
