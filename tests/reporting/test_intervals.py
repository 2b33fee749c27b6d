"""Aggregates and bootstrap intervals, against figures worked out by hand and against SciPy and NumPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rlkit.core.types import Array
from rlkit.reporting.intervals import bootstrap_intervals, interquartile_mean, mean_intervals, resampled

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0], 5.0),
        ([1.0, 2.0, 6.0], 3.0),  # fewer than four: nothing is left out
        ([0.0, 1.0, 3.0, 100.0], 2.0),
        ([100.0, 0.0, 3.0, 1.0], 2.0),
        ([-50.0, -9.0, 1.0, 2.0, 3.0, 4.0, 99.0, 1000.0], 2.5),
        ([1.0, 2.0, 3.0, 4.0, 100.0], 3.0),  # a quarter of five is one
    ],
)
def test_the_interquartile_mean_by_hand(values: list[float], expected: float) -> None:
    assert interquartile_mean(np.array(values)) == pytest.approx(expected)


@given(NUMBERS)
def test_the_interquartile_mean_leaves_out_a_quarter_rounded_down_at_either_end(values: list[float]) -> None:
    cut = len(values) // 4
    expected = np.mean(sorted(values)[cut : len(values) - cut])
    assert interquartile_mean(np.array(values)) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    rows = interquartile_mean(np.array([values, values[::-1]]), axis=1)
    assert rows == pytest.approx([expected, expected], rel=1e-9, abs=1e-6)


def test_resamples_of_several_lengths_are_taken_one_by_one() -> None:
    strata = [np.array([1.0]), np.full(5, 1.0)]
    assert bootstrap_intervals(strata, [np.mean, interquartile_mean], generator()) == [(1.0, 1.0), (1.0, 1.0)]


def all_resamples(values: Array) -> Array:
    """Return the mean of every possible resample, each a hundred times: they are equally likely."""
    return np.repeat([np.mean(drawn) for drawn in product(values, repeat=len(values))], 100)


def test_few_seeds_have_the_interval_of_all_their_resamples() -> None:
    curves = np.array([[0.0, 10.0], [3.0, 10.0], [9.0, 40.0]])
    low, high = mean_intervals(curves, generator(), resamples=20_000)
    for point in range(2):
        expected = np.quantile(all_resamples(curves[:, point]), [0.025, 0.975])
        assert (low[point], high[point]) == pytest.approx(tuple(expected))


def test_one_value_a_seed_gives_the_interval_of_all_its_resamples() -> None:
    strata = [np.array([value]) for value in (0.0, 3.0, 9.0, 10.0)]
    [interval] = bootstrap_intervals(strata, [np.mean], generator(), resamples=20_000)
    expected = np.quantile(all_resamples(np.array([0.0, 3.0, 9.0, 10.0])), [0.025, 0.975])
    assert tuple(interval) == pytest.approx(tuple(expected), abs=0.3)


@pytest.mark.parametrize("statistic", [np.mean, interquartile_mean])
def test_the_episodes_of_one_seed_have_scipys_interval(statistic: object) -> None:
    values = generator(3).exponential(size=60)
    [interval] = bootstrap_intervals([values], [statistic], generator(), resamples=8000)
    options = {"method": "percentile", "vectorized": False, "n_resamples": 8000, "rng": generator(1)}
    expected = stats.bootstrap((values,), statistic, **options).confidence_interval
    width = expected.high - expected.low
    assert tuple(interval) == pytest.approx((expected.low, expected.high), abs=0.05 * width)


def test_seeds_that_differ_widen_the_interval_although_their_episodes_are_many() -> None:
    strata = [np.full(1000, value) + generator(i).normal(size=1000) for i, value in enumerate((0.0, 5.0, 10.0))]
    [apart] = bootstrap_intervals(strata, [np.mean], generator())
    [pooled] = bootstrap_intervals([np.concatenate(strata)], [np.mean], generator())
    assert apart.high - apart.low > 10 * (pooled.high - pooled.low)


def test_a_resample_draws_whole_seeds_and_values_within_them() -> None:
    strata = [np.arange(3.0), np.arange(10.0, 13.0)]
    sizes = {tuple(np.sort(resampled(strata, generator(seed)) >= 10)) for seed in range(50)}
    assert {sum(flags) for flags in sizes} == {0, 3, 6}
    assert all(set(resampled(strata, generator(seed))) <= {0, 1, 2, 10, 11, 12} for seed in range(50))


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(200):
        curves = generator(trial).normal(size=(30, 1))
        low, high = mean_intervals(curves, generator(), resamples=500)
        covered += bool(low[0] <= 0.0 <= high[0])
    assert 0.88 <= covered / 200 <= 0.99


def test_equal_values_have_an_interval_without_width() -> None:
    strata = [np.full(4, 7.0), np.full(2, 7.0)]
    assert bootstrap_intervals(strata, [np.mean, interquartile_mean], generator()) == [(7.0, 7.0), (7.0, 7.0)]


@given(st.lists(NUMBERS, min_size=1, max_size=4))
def test_intervals_lie_within_the_values_and_are_the_same_each_time(values: list[list[float]]) -> None:
    strata = [np.array(one) for one in values]
    first, second = (bootstrap_intervals(strata, [np.mean], generator(), resamples=50) for _ in range(2))
    assert first == second
    everything = np.concatenate(strata)
    slack = 1e-6 * (1 + np.abs(everything).max())
    assert everything.min() - slack <= first[0].low <= first[0].high <= everything.max() + slack
