"""Normal actions of three numbers, by hand: with one or two, halves and thirds of the parameters are the same."""

from __future__ import annotations

from math import log, pi

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlkit.networks.action_distributions import Gaussian

# Means 1, 2, 3; standard deviations 1, 2, 4.
PARAMETERS = torch.tensor([[1.0, 2.0, 3.0, 0.0, log(2.0), log(4.0)]])


def test_each_number_has_its_own_mean_and_deviation() -> None:
    head = Gaussian(spaces.Box(-100, 100, (3,)), squash=False)
    assert head.parameters == 6
    drawn = head.sample(PARAMETERS, torch.tensor([[1.0, -1.0, 0.5]]))
    assert drawn[0].tolist() == pytest.approx([2.0, 0.0, 5.0])
    assert head.mode(PARAMETERS).tolist() == [[1.0, 2.0, 3.0]]
    # One deviation away in the first two, half of one in the third.
    expected = -0.5 * (1 + 1 + 0.25) - log(1 * 2 * 4) - 1.5 * log(2 * pi)
    assert head.log_prob(PARAMETERS, torch.tensor([[2.0, 0.0, 5.0]])).tolist() == pytest.approx([expected])
    assert head.entropy(PARAMETERS).tolist() == pytest.approx([log(8) + 1.5 * log(2 * pi * np.e)])


def test_squashed_into_its_own_bounds_each_density_is_divided_by_its_own_slope() -> None:
    head = Gaussian(spaces.Box(np.array([-1, 0, -2], np.float32), np.array([1, 4, 6], np.float32)), squash=True)
    sample = torch.tensor([[0.0, 1.0, -1.0]])
    # Half widths 1, 2 and 4; tanh's slopes 1, 1 - tanh(1)^2 and the same.
    density = -0.5 * (1 + 0.25 + 1) - log(8) - 1.5 * log(2 * pi)
    slopes = log(1 * 2 * 4) + 2 * log(1 - np.tanh(1) ** 2)
    assert head.log_prob(PARAMETERS, sample).tolist() == pytest.approx([density - slopes], rel=1e-5)
    expected = [0.0, 2 + 2 * np.tanh(1), 2 - 4 * np.tanh(1)]
    assert head.actions(sample.numpy())[0].tolist() == pytest.approx(expected, rel=1e-5)
