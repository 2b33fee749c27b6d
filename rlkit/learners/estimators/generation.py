"""Drawing what comes next by its chances."""

from __future__ import annotations

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.estimators.settings import require


def drawn(chances: Array, rng: np.random.Generator, temperature: float, top_k: int | None) -> int:
    """Return one of the numbers with chances [V], drawn.

    Args:
        chances: of each number.
        rng: draws.
        temperature: their logarithms are divided by it; 0: the likeliest is taken.
        top_k: only the likeliest so many are drawn; None: all.

    Raises:
        SettingError: a temperature below 0, or no number to draw.
    """
    require(temperature >= 0, "temperature", temperature, "at least 0")
    require(top_k is None or top_k >= 1, "top_k", top_k, "at least 1")
    if temperature == 0:
        return int(chances.argmax())
    with np.errstate(divide="ignore"):
        logs = np.log(chances) / temperature
    if top_k is not None and top_k < len(logs):
        logs[np.argsort(-logs, kind="stable")[top_k:]] = -np.inf
    weights = np.exp(logs - logs.max())
    return int(rng.choice(len(weights), p=weights / weights.sum()))
