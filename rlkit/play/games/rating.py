"""Ratings of players by their results (Elo, 1978; Bradley & Terry, 1952; Hunter, 2004)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from rlkit.core.types import Array

SCALE = 400 / np.log(10)
"""Elo points of one unit of log-odds."""


class Rating(NamedTuple):
    """What the results say of P players."""

    elo: Array  # [P] float64, their mean is 0
    error: Array  # [P] float64, standard error


def ratings(points: Array, games: Array, *, prior: float = 1.0) -> Rating:
    """Return the Elo ratings under which the results are likeliest, a draw being half a win and half a loss.

    Args:
        points: [P, P] float, what each scored against each: wins and half the draws.
        games: [P, P], how many they played.
        prior: so many drawn games of each against an average player are added, without which somebody who lost no game
            would have no rating.
    """
    number = len(games)

    def surprise(strength: Array) -> tuple[float, Array]:
        gap = strength[:, None] - strength
        chance = 1 / (1 + np.exp(-gap))
        average = 1 / (1 + np.exp(-strength))
        loss = (points * np.logaddexp(0, -gap)).sum()
        loss += prior * (0.5 * np.logaddexp(0, -strength) + 0.5 * np.logaddexp(0, strength)).sum()
        slope = (games * chance - points).sum(axis=1) + prior * (average - 0.5)
        return float(loss), slope

    strength = minimize(surprise, np.zeros(number), jac=True, method="BFGS", options={"gtol": 1e-9}).x
    gap = strength[:, None] - strength
    weight = games / (np.exp(gap / 2) + np.exp(-gap / 2)) ** 2
    curvature = np.diag(weight.sum(axis=1) + prior / (np.exp(strength / 2) + np.exp(-strength / 2)) ** 2) - weight
    centred = np.eye(number) - 1 / number
    spread = centred @ np.linalg.pinv(curvature) @ centred
    return Rating(SCALE * (strength - strength.mean()), SCALE * np.sqrt(np.diag(spread)))
