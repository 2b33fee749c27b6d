"""Every learner passes all of scikit-learn's checks, of which there are as many as for its twin there."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import sklearn.cluster
import sklearn.ensemble
import sklearn.feature_extraction.text
import sklearn.linear_model
import sklearn.naive_bayes
import sklearn.tree
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

from rlkit.learners.estimators.forest import ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from rlkit.learners.estimators.kmeans import KMeans
from rlkit.learners.estimators.linear import LinearRegression
from rlkit.learners.estimators.logistic import LogisticRegression
from rlkit.learners.estimators.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB
from rlkit.learners.estimators.perceptron import Perceptron
from rlkit.learners.estimators.text import CountVectorizer
from rlkit.learners.estimators.tree import DecisionTreeClassifier, DecisionTreeRegressor

# The first of each as it is, but for the number of trees, which would only repeat the checks' work.
LEARNERS: list[tuple[list[Any], Any]] = [
    (
        [LinearRegression(), LinearRegression(alpha=1.0), LinearRegression(solver="gradient_descent", max_iter=200)],
        sklearn.linear_model.LinearRegression(),
    ),
    (
        [
            LogisticRegression(),
            LogisticRegression(solver="gradient_descent", max_iter=100),
            LogisticRegression(solver="mini_batch", max_iter=10),
        ],
        sklearn.linear_model.LogisticRegression(),
    ),
    ([Perceptron()], sklearn.linear_model.Perceptron()),
    (
        [DecisionTreeRegressor(), DecisionTreeRegressor(criterion="std"), DecisionTreeRegressor(splitter="random")],
        sklearn.tree.DecisionTreeRegressor(),
    ),
    ([DecisionTreeClassifier(), DecisionTreeClassifier(criterion="entropy")], sklearn.tree.DecisionTreeClassifier()),
    ([RandomForestRegressor(n_estimators=5)], sklearn.ensemble.RandomForestRegressor(n_estimators=5)),
    ([RandomForestClassifier(n_estimators=5)], sklearn.ensemble.RandomForestClassifier(n_estimators=5)),
    ([ExtraTreesRegressor(n_estimators=5)], sklearn.ensemble.ExtraTreesRegressor(n_estimators=5)),
    (
        [KMeans(), KMeans(init="random", n_init=2), KMeans(batch_size=32, n_init=1, max_iter=20)],
        sklearn.cluster.KMeans(),
    ),
    ([MultinomialNB()], sklearn.naive_bayes.MultinomialNB()),
    ([BernoulliNB()], sklearn.naive_bayes.BernoulliNB()),
    ([GaussianNB()], sklearn.naive_bayes.GaussianNB()),
    ([CountVectorizer()], sklearn.feature_extraction.text.CountVectorizer()),
]
INSTANCES = [instance for instances, _ in LEARNERS for instance in instances]
TWINS = [(instances[0], twin) for instances, twin in LEARNERS]

# Array libraries other than NumPy are what these are about; where they are not asked for, they are skipped.
OF_ARRAY_LIBRARIES = {"check_array_api_input", "check_array_api_mixed_inputs", "check_array_api_same_namespace"}
# A tree has no decision function.
SKIPPED = {*OF_ARRAY_LIBRARIES, "check_classifiers_multilabel_output_format_decision_function"}


def shown(estimator: Any) -> str:
    return str(estimator).replace("\n", "")


@pytest.mark.filterwarnings("ignore")  # a few checks provoke warnings; what learners warn of is tested elsewhere
@pytest.mark.parametrize("estimator", INSTANCES, ids=shown)
def test_scikit_learns_checks_pass(estimator: Any) -> None:
    results = check_estimator(estimator, on_skip=None)
    assert {result["status"] for result in results} <= {"passed", "skipped"}
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    assert skipped <= (SKIPPED if len(results) > 1 else {"check_estimator_cloneable"}), skipped


def checks(estimator: Any) -> list[str]:
    """Return the names of the checks of an estimator's own settings but for those of array libraries."""
    found = [check for _, check in estimator_checks_generator(estimator, legacy=True)]
    names = [(getattr(check, "func", check).__name__, str(getattr(check, "keywords", {}))) for check in found]
    return [f"{name} {more}" for name, more in names if name not in OF_ARRAY_LIBRARIES]


@pytest.mark.filterwarnings(f"ignore::{SkipTestWarning.__module__}.{SkipTestWarning.__name__}")
@pytest.mark.parametrize(("ours", "theirs"), TWINS, ids=shown)
def test_no_check_of_the_twin_is_left_out(ours: Any, theirs: Any) -> None:
    mine, its = checks(ours), checks(theirs)
    assert set(its) <= set(mine)
    assert len(mine) >= len(set(its))


@pytest.mark.parametrize(("instances", "twin"), LEARNERS, ids=lambda value: shown(value)[:40])
@pytest.mark.filterwarnings(f"ignore::{SkipTestWarning.__module__}.{SkipTestWarning.__name__}")
def test_at_least_as_many_checks_run_as_for_the_twin(instances: list[Any], twin: Any) -> None:
    assert sum(len(checks(instance)) for instance in instances) >= len(checks(twin))


def test_a_value_out_of_range_is_refused_by_name() -> None:
    X, y = load_iris(return_X_y=True)
    for estimator in INSTANCES[:-1]:
        for name in estimator.get_params():
            wrong = clone(estimator).set_params(**{name: object()})
            with pytest.raises(ValueError, match=name):
                wrong.fit(X, y)


def test_importing_learners_needs_no_torch_and_rlkit_no_scikit_learn() -> None:
    script = (
        "import sys, rlkit, rlkit.learners; assert 'sklearn' not in sys.modules;"
        "import rlkit.learners.estimators.forest, rlkit.learners.estimators.text; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_equal_seeds_give_equal_bits() -> None:
    X, y = load_iris(return_X_y=True)
    for estimator in INSTANCES[:-1]:
        if "random_state" not in estimator.get_params():
            continue
        found = [clone(estimator).set_params(random_state=3).fit(X, y).predict(X) for _ in range(2)]
        np.testing.assert_array_equal(*found)
