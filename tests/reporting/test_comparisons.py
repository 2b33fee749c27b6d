"""Probabilities of improvement, performance profiles and stratified intervals, by hand and against naive loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlkit.core.types import Array
from rlkit.reporting.comparisons import improvement, performance_profile
from rlkit.reporting.intervals import interquartile_mean, stratified_intervals

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=4)


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def array(*values: float) -> Array:
    return np.array(values)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(array(1, 3), array(2, 2))], 0.5),
        ([(array(3, 3), array(1, 2))], 1.0),
        ([(array(2), array(2, 1))], 0.75),  # equals are one half
        ([(array(0), array(1)), (array(5), array(1)), (array(5), array(1))], 2 / 3),  # each task counts alike
        ([(array(9, 9, 9, 9), array(1)), (array(0), array(1))], 0.5),  # however many runs it has
    ],
)
def test_the_probability_of_improvement_by_hand(pairs: list[tuple[Array, Array]], expected: float) -> None:
    assert improvement(pairs, generator()).value == pytest.approx(expected)


def test_its_interval_is_that_of_all_resamples_of_both() -> None:
    scores, others = array(0, 2, 4), array(1, 3)
    every = [
        np.mean([(a > b) + 0.5 * (a == b) for a in x for b in y])
        for x in product(scores, repeat=3)
        for y in product(others, repeat=2)
    ]
    low, high = np.quantile(np.repeat(every, 100), [0.025, 0.975])
    found = improvement([(scores, others)], generator()).interval
    assert found is not None
    assert tuple(found) == pytest.approx((low, high), abs=0.17)  # they are sixths
    assert improvement([(array(1), array(0))], generator()).interval is None


@settings(max_examples=25)
@given(st.lists(SCORES, min_size=1, max_size=3))
def test_a_profile_is_the_share_of_runs_with_at_least_so_much(tasks: list[list[float]]) -> None:
    thresholds = np.array([0.0, 0.2, 0.25, 0.3, 1.0, 1.1])
    share, ends = performance_profile([np.array(task) for task in tasks], thresholds, generator())
    runs = [score for task in tasks for score in task]
    assert share == pytest.approx([sum(score >= one for score in runs) / len(runs) for one in thresholds])
    assert (ends is None) == all(len(task) == 1 for task in tasks)
    if ends is not None:
        low, high = ends
        assert np.all((low <= share + 1e-9) & (share <= high + 1e-9))


def test_tasks_are_not_drawn_but_their_runs_are() -> None:
    apart = [array(0, 0, 0), array(10, 10, 10)]
    for interval in stratified_intervals(apart, (np.mean, interquartile_mean), generator()):
        assert tuple(interval) == pytest.approx((5.0, 5.0))
    [interval] = stratified_intervals([array(0, 6), array(10)], (np.mean,), generator())
    # Of the first task both runs are low in a quarter of the resamples, and both high in another.
    assert tuple(interval) == pytest.approx((10 / 3, 22 / 3))
