from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.utils import check_random_state

from rlkit.learners.estimators.rows import content_order, drawn, number_of_rows, row_weights, visits


@given(seed=st.integers(0, 10**6), rows=st.integers(1, 60), columns=st.integers(1, 4))
def test_the_order_depends_on_what_rows_hold(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.integers(-2, 3, (rows, columns)).astype(float), rng.integers(0, 2, (rows, 1))
    whole = np.hstack([X, y])[content_order(X, y)]
    for shuffle in range(3):
        order = np.random.default_rng(shuffle).permutation(rows)
        Z, z = X[order], y[order]  # noqa: N806
        np.testing.assert_array_equal(np.hstack([Z, z])[content_order(Z, z)], whole)
        np.testing.assert_array_equal(np.hstack([Z, z])[content_order(sparse.csr_array(Z), z)], whole)
    groups = np.unique(whole, axis=0, return_inverse=True)[1].ravel()
    assert (np.diff(groups) != 0).sum() == len(np.unique(groups)) - 1


def test_rows_that_differ_a_little_are_different() -> None:
    rng = np.random.default_rng(0)
    X = np.round(rng.normal(size=(20_000, 2)), 3)
    ordered = X[content_order(X)]
    changes = np.any(np.diff(ordered, axis=0) != 0, axis=1).sum() + 1
    assert changes == len(np.unique(X, axis=0))
    order = content_order(np.array([[0.0], [-0.0]]))
    assert order.tolist() == [0, 1]


def test_draws_are_in_proportion_to_weights() -> None:
    weights = np.array([1.0, 0, 3, 6])
    found = drawn(np.array([2, 0, 3, 1]), weights, 20_000, check_random_state(0))
    np.testing.assert_allclose(np.bincount(found, minlength=4) / 20_000, weights / 10, atol=0.01)


def test_visits_repeat_rows() -> None:
    order = np.array([2, 0, 1])
    assert visits(order, np.array([2.0, 0, 3])).tolist() == [2, 2, 2, 0, 0]
    assert visits(order, np.array([0.25, 0.25, 2.5])).tolist() == [2, 2, 0]
    assert visits(order, np.ones(3)).tolist() == [2, 0, 1]
    assert number_of_rows(np.array([2.0, 0, 3])) == 5
    assert number_of_rows(np.array([0.5, 2])) == 2


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -1], "negative"),
        ([1.0, np.nan], "non-finite"),
        ([0.0, 0], "zero in every row"),
        ([1.0], r"shape \(1,\); give one weight for each of the 2 rows"),
    ],
)
def test_wrong_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row_weights(weights, 2)


def test_weights_may_be_left_out_or_one_number() -> None:
    assert row_weights(None, 2).tolist() == [1, 1]
    assert row_weights(3, 2).tolist() == [3, 3]
