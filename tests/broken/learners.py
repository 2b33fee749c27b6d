"""Learners that break one rule each, and keep those before it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Sound(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Predicts the commonest class."""

    def fit(self, X: Any, y: Any) -> Any:
        self.classes_, counts = np.unique(y, return_counts=True)
        self.best_ = int(counts.argmax())
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[self.best_])


class SetsInConstructor(Sound):
    def __init__(self) -> None:
        self.count = 0


class ReturnsNothing(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        super().fit(X, y)


class ForgetsTheUnderscore(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        self.mean = 0.0
        return super().fit(X, y)


class ChangesItsParameters(Sound):
    def __init__(self, depth: int = 1):
        self.depth = depth

    def fit(self, X: Any, y: Any) -> Any:
        self.depth += 1
        return super().fit(X, y)


class WritesIntoRows(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        X[0, 0] += 1
        return super().fit(X, y)


class DrawsFromTheProcess(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        np.random.rand()  # noqa: NPY002
        return super().fit(X, y)


class Unseeded(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        self.noise_ = np.random.default_rng().random()
        return super().fit(X, y)


class LearnsWhilePredicting(Sound):
    def predict(self, X: Any) -> Any:
        self.seen_ = getattr(self, "seen_", 0) + len(X)
        return super().predict(X)


class KeepsAFile(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        with Path(os.devnull).open() as self.file_:
            return super().fit(X, y)


class Mute(BaseEstimator):  # type: ignore[misc]
    def fit(self, X: Any, y: Any = None) -> Any:
        return self
