"""Fit and predict times of the learners beside scikit-learn's on the same generated rows.

    python tests/benchmarks/learners.py --out <folder>          # 100,000 x 20, one thread
    … tests/benchmarks/learners.py --only trees --rounds 3

The two sides of a case alternate in one process after a small fit of each, which leaves out compiling. A case names
what both must have in common at the end; the script stops where they have not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import sklearn.cluster
import sklearn.ensemble
import sklearn.linear_model
import sklearn.naive_bayes
import sklearn.tree
from keep import write

from rlkit.core.types import Array
from rlkit.learners.estimators import forest, kmeans, linear, logistic, naive_bayes, tree


class Data(NamedTuple):
    """Rows and what is to be learnt of them."""

    X: Array  # [n, d] float64, of float32 precision, which is all that scikit-learn's trees look at
    number: Array  # [n] float64, a linear function, a wave and noise
    two: Array  # [n] int, whether the number is positive
    four: Array  # [n] int, four classes of it
    counts: Array  # [n, d] whole numbers


class Case(NamedTuple):
    """One comparison."""

    group: str
    name: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    rows: Callable[[Data], Array]
    target: Callable[[Data], Array | None]
    agree: Callable[[Any, Any, Array, Any], bool]
    bar: float  # of the ratio of fit times


def data(rows: int, columns: int) -> Data:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns)).astype(np.float32).astype(np.float64)
    number = X @ rng.normal(size=columns) + 3 * np.sin(3 * X[:, 0]) + rng.normal(size=rows)
    counts = rng.poisson(2, size=(rows, columns)).astype(float)
    return Data(X, number, (number > 0).astype(int), np.digitize(number, [-3, 0, 3]), counts)


def same_predictions(ours: Any, theirs: Any, X: Array, y: Any) -> bool:
    return bool(np.allclose(ours.predict(X), theirs.predict(X), rtol=1e-6, atol=1e-9))


def same_score(ours: Any, theirs: Any, X: Array, y: Any) -> bool:
    return abs(ours.score(X, y) - theirs.score(X, y)) < 0.05


def same_log_probabilities(ours: Any, theirs: Any, X: Array, y: Any) -> bool:
    return bool(np.allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-8, atol=1e-8))


def same_loss(ours: Any, theirs: Any, X: Array, y: Any) -> bool:
    """Tell whether the objectives at C = 1 differ by at most 1e-6."""
    losses = [
        -model.predict_log_proba(X)[np.arange(len(y)), y].mean() + (model.coef_**2).sum() / 2 / len(y)
        for model in (ours, theirs)
    ]
    return abs(losses[0] - losses[1]) < 1e-6


def same_centers(ours: Any, theirs: Any, X: Array, y: Any) -> bool:
    return ours.n_iter_ == theirs.n_iter_ and np.allclose(ours.cluster_centers_, theirs.cluster_centers_)


def cases(given: Data) -> list[Case]:
    """Return what is compared; another learner is one more line."""
    start = given.X[:8]

    def dense(of: Data) -> Array:
        return of.X

    def number(of: Data) -> Array:
        return of.number

    def two(of: Data) -> Array:
        return of.two

    def four(of: Data) -> Array:
        return of.four

    def none(of: Data) -> None:
        return None

    def counts(of: Data) -> Array:
        return of.counts

    sk = sklearn
    regressor, sorter = tree.DecisionTreeRegressor, tree.DecisionTreeClassifier
    deep: dict[str, Any] = {"max_depth": 8}
    ten: dict[str, Any] = {"n_estimators": 10, "max_depth": 8, "random_state": 0}
    return [
        Case(
            *("linear", "least squares", linear.LinearRegression, sk.linear_model.LinearRegression),
            *(dense, number, same_predictions, 1.5),
        ),
        Case(
            *("linear", "logistic, 2 classes", logistic.LogisticRegression, sk.linear_model.LogisticRegression),
            *(dense, two, same_loss, 1.5),
        ),
        Case(
            *("linear", "logistic, 4 classes", logistic.LogisticRegression, sk.linear_model.LogisticRegression),
            *(dense, four, same_loss, 1.5),
        ),
        Case(
            *("trees", "regression tree, depth 8", lambda: regressor(**deep)),
            *(lambda: sk.tree.DecisionTreeRegressor(**deep), dense, number, same_predictions, 3.0),
        ),
        Case(
            *("trees", "regression tree", regressor, sk.tree.DecisionTreeRegressor),
            *(dense, number, same_score, 3.0),
        ),
        Case(
            *("trees", "classification tree, depth 8", lambda: sorter(**deep)),
            *(lambda: sk.tree.DecisionTreeClassifier(**deep), dense, four, same_score, 3.0),
        ),
        Case(
            *("trees", "classification tree", sorter, sk.tree.DecisionTreeClassifier),
            *(dense, four, same_score, 3.0),
        ),
        Case(
            *("forests", "random forest, regression", lambda: forest.RandomForestRegressor(**ten)),
            *(lambda: sk.ensemble.RandomForestRegressor(**ten), dense, number, same_score, 3.0),
        ),
        Case(
            *("forests", "random forest, classification", lambda: forest.RandomForestClassifier(**ten)),
            *(lambda: sk.ensemble.RandomForestClassifier(**ten), dense, four, same_score, 3.0),
        ),
        Case(
            *("forests", "extra trees", lambda: forest.ExtraTreesRegressor(**ten)),
            *(lambda: sk.ensemble.ExtraTreesRegressor(**ten), dense, number, same_score, 3.0),
        ),
        Case(
            *("k-means", "k-means, 8 clusters", lambda: kmeans.KMeans(8, init=start)),
            *(lambda: sk.cluster.KMeans(8, init=start, n_init=1), dense, none, same_centers, 1.5),
        ),
        Case(
            *("naive Bayes", "multinomial", naive_bayes.MultinomialNB, sk.naive_bayes.MultinomialNB),
            *(counts, four, same_log_probabilities, 1.5),
        ),
        Case(
            *("naive Bayes", "Bernoulli", naive_bayes.BernoulliNB, sk.naive_bayes.BernoulliNB),
            *(dense, four, same_log_probabilities, 1.5),
        ),
        Case(
            *("naive Bayes", "Gaussian", naive_bayes.GaussianNB, sk.naive_bayes.GaussianNB),
            *(dense, four, same_log_probabilities, 1.5),
        ),
    ]


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def measure(case: Case, given: Data, rounds: int) -> list[dict[str, Any]]:
    """Return a row for each round, of seconds and ratios of ours to theirs."""
    X, y = case.rows(given), case.target(given)
    few = slice(0, 500)
    for make in (case.ours, case.theirs):
        make().fit(X[few], None if y is None else y[few]).predict(X[few])
    rows = []
    for index in range(rounds):
        sides = (("ours", case.ours), ("theirs", case.theirs))
        found: dict[str, Any] = {}
        for name, make in sides if index % 2 == 0 else sides[::-1]:
            found[f"{name} fit"], found[name] = seconds(lambda make=make: make().fit(X, y))  # type: ignore[misc]
            found[f"{name} predict"], _ = seconds(lambda model=found[name]: model.predict(X))  # type: ignore[misc]
        if not case.agree(found["ours"], found["theirs"], X, y):
            raise SystemExit(f"{case.name}: the two sides have not learnt the same")
        row: dict[str, Any] = {"case": case.name, "round": index}
        for what in ("fit", "predict"):
            ours, theirs = found[f"ours {what}"], found[f"theirs {what}"]
            row |= {f"{what} rlkit s": ours, f"{what} scikit-learn s": theirs, f"{what} ratio": ours / theirs}
        rows.append({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
    return rows


def report(case: Case, rows: list[dict[str, Any]]) -> None:
    """Print medians, and whether the bar is met."""

    def median(key: str) -> float:
        return statistics.median(row[key] for row in rows)

    ratios = [row["fit ratio"] for row in rows]
    print(
        f"{case.name:30} fit {median('fit rlkit s'):8.3f} s  ratio {median('fit ratio'):5.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}, bar {case.bar})   predict {median('predict rlkit s'):7.3f} s  "
        f"ratio {median('predict ratio'):5.2f}{'' if median('fit ratio') <= case.bar else '   MISSED'}",
        flush=True,
    )


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", help="a group: linear, trees, forests, k-means, naive Bayes")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    given = data(arguments.rows, arguments.columns)
    rows: list[dict[str, Any]] = []
    for case in cases(given):
        if arguments.only in (None, case.group):
            found = measure(case, given, arguments.rounds)
            report(case, found)
            rows += found
    if arguments.out:
        shape = [arguments.rows, arguments.columns]
        name = "learners" if arguments.only is None else f"learners_{arguments.only.replace(' ', '_')}"
        write(arguments.out, name, rows, shape=shape, seed=0, threads=os.environ["OMP_NUM_THREADS"])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
