from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rlkit.targets import td_error, td_target


@pytest.fixture(params=[lambda *x: np.array(x, np.float32), lambda *x: torch.tensor(x)], ids=["numpy", "torch"])
def vector(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_the_target_is_the_reward_and_the_discounted_value_of_the_successor(vector: Any) -> None:
    # gamma 0.5: goes on, terminated, the turn passed.
    target = td_target(vector(1.0, 1.0, 1.0), 0.5 * vector(1.0, 0.0, -1.0), vector(8.0, 8.0, 8.0))
    assert type(target) is type(vector(0.0))
    assert target.tolist() == [5.0, 1.0, -3.0]


def test_the_error_is_the_target_less_the_value_of_what_was_done(vector: Any) -> None:
    error = td_error(vector(4.0, 4.0), vector(1.0, 1.0), vector(0.5, 0.0), vector(8.0, 8.0))
    assert type(error) is type(vector(0.0))
    assert error.tolist() == [1.0, -3.0]


def test_rules_take_plain_numbers_too() -> None:
    assert td_target(1.0, 0.9, 10.0) == 10.0
    assert td_error(2.0, 1.0, 0.9, 10.0) == 8.0
