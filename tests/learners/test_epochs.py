"""Whoever asks a learner is told each epoch as it ends, with the figures that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris

from rlkit.learners.estimators.cnn import TorchMLPClassifier
from rlkit.learners.estimators.epochs import OnEpoch
from rlkit.learners.estimators.factorization import MatrixFactorization
from rlkit.learners.estimators.linear import LinearRegression
from rlkit.learners.estimators.logistic import LogisticRegression
from rlkit.learners.estimators.mlp import MLPClassifier
from rlkit.learners.estimators.perceptron import Perceptron
from rlkit.networks import MLP

X, Y = load_iris(return_X_y=True)
HELD_OUT = slice(None, None, 5)
RATINGS = np.random.default_rng(0).integers(0, 6, (12, 9)).astype(float)
Told = list[tuple[int, int, dict[str, float]]]


def listener() -> tuple[Told, OnEpoch]:
    told: Told = []

    def on_epoch(epoch: int, epochs: int, figures: Mapping[str, float]) -> None:
        told.append((epoch, epochs, dict(figures)))

    return told, on_epoch


def small(space: Any) -> MLP:
    return partial(MLP, hidden=[4], activation="relu", layer_norm=False)(space)


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(
    "learner",
    [MLPClassifier((4,), n_epochs=3, random_state=0), TorchMLPClassifier(small, n_epochs=3, random_state=0)],
    ids=lambda learner: type(learner).__name__,
)
def test_networks_tell_the_costs_that_they_keep(learner: Any, watched: bool) -> None:
    told, on_epoch = listener()
    learner = clone(learner)
    learner.fit(X, Y, validation=(X[HELD_OUT], Y[HELD_OUT]) if watched else None, on_epoch=on_epoch)
    assert [(epoch, epochs) for epoch, epochs, _ in told] == [(1, 3), (2, 3), (3, 3)]
    assert [figures["cost"] for _, _, figures in told] == learner.train_cost_
    assert [figures["validation_cost"] for _, _, figures in told if watched] == learner.validation_cost_
    assert {len(figures) for _, _, figures in told} == {1 + watched}


def test_an_epoch_that_stops_early_is_told_as_well() -> None:
    told, on_epoch = listener()
    options: Any = {"early_stopping": True, "n_iter_no_change": 2, "tol": 100.0, "random_state": 0}
    learner = MLPClassifier((4,), n_epochs=50, **options).fit(X, Y, on_epoch=on_epoch)
    assert [epoch for epoch, _, _ in told] == list(range(1, learner.n_iter_ + 1))
    assert learner.n_iter_ < 50


def test_factors_tell_their_errors() -> None:
    told, on_epoch = listener()
    learner = MatrixFactorization(2, n_epochs=4, random_state=0)
    learner.fit(RATINGS, validation=RATINGS[:, ::-1].copy(), on_epoch=on_epoch)
    kept = zip(learner.train_rmse_, learner.validation_rmse_, strict=True)
    assert told == [
        (epoch, 4, {"train_rmse": error, "validation_rmse": other})
        for epoch, (error, other) in enumerate(kept, start=1)
    ]


@pytest.mark.parametrize(
    "learner",
    [
        LinearRegression(solver="gradient_descent", max_iter=5, tol=0),
        LogisticRegression(solver="gradient_descent", max_iter=5, tol=0),
        LogisticRegression(solver="mini_batch", max_iter=5, random_state=0),
    ],
    ids=str,
)
def test_descents_tell_the_cost_after_each_step_or_epoch(learner: Any) -> None:
    told, on_epoch = listener()
    learner = clone(learner).fit(X, Y, on_epoch=on_epoch)
    # The first of the history was there before any step.
    assert told == [(step, 5, {"cost": cost}) for step, cost in enumerate(learner.cost_history_)][1:]


def test_what_is_solved_at_once_has_no_epochs() -> None:
    told, on_epoch = listener()
    LinearRegression().fit(X, Y, on_epoch=on_epoch)
    LogisticRegression().fit(*load_breast_cancer(return_X_y=True), on_epoch=on_epoch)
    assert told == []


def test_each_plane_of_a_perceptron_begins_anew() -> None:
    told, on_epoch = listener()
    learner = Perceptron(max_iter=4, random_state=0).fit(X, Y, on_epoch=on_epoch)
    assert told == [
        (epoch, 4, {"cost": cost}) for costs in learner.cost_history_ for epoch, cost in enumerate(costs, start=1)
    ]
    assert len(learner.cost_history_) == 3
