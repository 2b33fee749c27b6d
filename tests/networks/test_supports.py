import math

import pytest
import torch

from rlkit.networks.supports import Support, restored, transformed


def test_the_transformation_is_that_of_its_source() -> None:
    for x in (-9.0, -1.0, 0.0, 0.5, 3.0, 480.0):
        expected = math.copysign(math.sqrt(abs(x) + 1) - 1, x) + 0.001 * x
        assert float(transformed(torch.tensor(x, dtype=torch.float64))) == pytest.approx(expected)


def test_it_is_undone() -> None:
    x = torch.linspace(-500, 500, 101, dtype=torch.float64)
    assert torch.allclose(restored(transformed(x)), x, atol=1e-8)


def test_two_atoms_beside_a_number_share_it() -> None:
    support = Support(2.0, 5)  # -2, -1, 0, 1, 2
    x = restored(torch.tensor([0.25, -1.5, 2.0, 0.0]))
    expected = [[0, 0, 0.75, 0.25, 0], [0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 0, 0]]
    assert torch.allclose(support.two_hot(x), torch.tensor(expected), atol=1e-4)


def test_what_is_beyond_is_moved_to_the_ends() -> None:
    support = Support(2.0, 5)
    assert support.two_hot(torch.tensor([1e4, -1e4])).tolist() == [[0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]


def test_a_number_comes_back_from_its_distribution() -> None:
    support = Support(20.0, 41)
    x = torch.tensor([-300.0, -1.0, 0.1, 7.0, 399.0])
    assert torch.allclose(support.mean(support.two_hot(x).log()), x, rtol=1e-3, atol=1e-3)
