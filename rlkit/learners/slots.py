"""Estimators in the slots of agents: fitted again and again, and saved in checkpoints as plain data.

An agent that is given an estimator tries it once when it is built (`require_usable`), so that one that cannot be
fitted or saved is refused at the start of a run, not at its first checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rlkit.core.types import Array, RunError, State, UsageError, a_kind
from rlkit.learners.kinds import kind_of
from rlkit.learners.persistence import from_state, packages_of, proven, to_state

TRIED_ROWS = 64
"""Rows that an estimator is tried on: enough for a tree of neighbors to be built."""


def fitted(estimator: Any, X: Array, y: Array | None, seed: int) -> Any:
    """Return a copy of `estimator` fitted to rows X [n, d] and targets y [n], all that it draws drawn from `seed`.

    Raises:
        RunError: it refuses them.
    """
    from sklearn.base import clone

    fresh = clone(estimator)
    drawing = [name for name in fresh.get_params() if name.endswith("random_state")]
    try:
        return fresh.set_params(**dict.fromkeys(drawing, seed)).fit(X, y)
    except ValueError as error:
        line = " ".join(str(error).split())
        raise RunError(f"{type(estimator).__name__} cannot be fitted to {len(X)} rows: {line}") from error


def standardized(estimator: Any, *, targets: bool) -> Any:
    """Return `estimator` behind rows of mean 0 and variance 1, and so its `targets` where there are such."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), estimator)
    if not targets:
        return pipeline
    return TransformedTargetRegressor(pipeline, transformer=StandardScaler(), check_inverse=False)


def require_usable(slot: str, estimator: Any, kind: str, columns: int, predict: Callable[[Any, Array], Any]) -> None:
    """Refuse what is no estimator of `kind`, or cannot be fitted, or not be saved as plain data and read again.

    Args:
        slot: its place in the configuration, e.g. ``agent.estimator``.
        estimator: what is in the slot.
        kind: regressor, classifier or clusterer.
        columns: of the rows that it will be fitted to.
        predict: predicts rows [n, d] with a fitted one; its result has to be the same from the one read again.

    Raises:
        UsageError: naming the slot and what is wrong.
    """
    from sklearn.base import BaseEstimator

    found = kind_of(estimator) if isinstance(estimator, BaseEstimator) else "no estimator of scikit-learn's kind"
    if found != kind:
        what = f"{a_kind(estimator)}, which is {_article(found)}"
        raise UsageError(f"{slot} is {what}; it must be a {kind} (rlkit list learner)")
    # Not negative, as some naive Bayes and factorizations need it.
    X = np.random.default_rng(0).random((TRIED_ROWS, columns))
    targets = {"regressor": X[:, 0], "classifier": (X[:, 0] > 0.5).astype(np.int64)}
    try:
        made = fitted(estimator, X, targets.get(kind), seed=0)
        proven(made, to_state(made), lambda one: predict(one, X))
    except RunError as error:
        raise UsageError(f"{slot} cannot be used: {error}; choose another (rlkit list learner)") from error


def _article(kind: str) -> str:
    return kind if kind.startswith("no ") else f"a {kind}"


def models_state(models: list[Any]) -> list[State | None]:
    """Return fitted estimators as plain data; None stays None."""
    return [None if model is None else to_state(model) for model in models]


def read_models(states: list[State | None], estimator: Any) -> list[Any]:
    """Return what `models_state` made plain of fitted copies of `estimator`."""
    trust = packages_of(estimator)
    return [None if state is None else from_state(state, trust) for state in states]
