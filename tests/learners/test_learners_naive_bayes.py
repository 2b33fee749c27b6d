from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.naive_bayes
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine

from rlkit.learners.estimators.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB

KINDS: list[tuple[Any, Any, Any]] = [
    (MultinomialNB, sklearn.naive_bayes.MultinomialNB, load_digits),
    (BernoulliNB, sklearn.naive_bayes.BernoulliNB, load_digits),
    (GaussianNB, sklearn.naive_bayes.GaussianNB, load_digits),
    (GaussianNB, sklearn.naive_bayes.GaussianNB, load_iris),
    (GaussianNB, sklearn.naive_bayes.GaussianNB, load_wine),
    (MultinomialNB, sklearn.naive_bayes.MultinomialNB, load_breast_cancer),
]
COUNTS = [[2, 1, 0], [1, 0, 1], [0, 2, 3]]


def test_a_table_of_counts() -> None:
    """Words are counted with multiplicity: 5 and 5 tokens, a vocabulary of 3, one more of each."""
    model = MultinomialNB().fit(COUNTS, [0, 0, 1])
    np.testing.assert_allclose(np.exp(model.feature_log_prob_), [[0.5, 0.25, 0.25], [0.125, 0.375, 0.5]], rtol=1e-15)
    np.testing.assert_allclose(np.exp(model.class_log_prior_), [2 / 3, 1 / 3])
    assert model.predict_proba([[1, 1, 0]])[0, 0] == pytest.approx(16 / 19, rel=1e-14)
    assert model.predict([[1, 1, 0]]).tolist() == [0]


def test_bayes_rule() -> None:
    """A test that finds 98% of 2%, and 3.9% of all: .5026."""
    rows = np.array([[1], [0], [1], [0]])
    chances = [0.98 * 0.02, 0.02 * 0.02, 0.039 - 0.98 * 0.02, 0.98 - (0.039 - 0.98 * 0.02)]
    model = BernoulliNB(alpha=0).fit(rows, [1, 1, 0, 0], sample_weight=chances)
    assert model.predict_proba([[1]])[0, 1] == pytest.approx(0.98 * 0.02 / 0.039, rel=1e-12)
    assert model.predict_proba([[1]])[0, 1] == pytest.approx(0.5026, abs=5e-5)


@pytest.mark.parametrize(("ours", "theirs", "load"), KINDS)
@pytest.mark.parametrize("weighted", [True, False])
def test_log_probabilities_are_scikit_learns(ours: Any, theirs: Any, load: Any, weighted: bool) -> None:
    X, y = load(return_X_y=True)
    weights = np.random.default_rng(0).uniform(0, 2, len(y)) if weighted else None
    ours, theirs = ours().fit(X, y, weights), theirs()
    if weighted and isinstance(ours, GaussianNB):  # scikit-learn smooths by the variance of the rows without weights
        theirs.set_params(var_smoothing=ours.epsilon_ / X.var(axis=0).max())
    theirs.fit(X, y, weights)
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        ours.predict_joint_log_proba(X), theirs.predict_joint_log_proba(X), rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8, atol=1e-300)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.class_count_, theirs.class_count_, rtol=1e-12)


@pytest.mark.parametrize(("ours", "theirs", "load"), KINDS)
def test_parts_lead_where_the_whole_does(ours: Any, theirs: Any, load: Any) -> None:
    X, y = load(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    classes = [*np.unique(y), 99]
    model = ours()
    for part in np.array_split(np.arange(len(y)), 5):
        model.partial_fit(X[part], y[part], classes=classes)
    whole, twin = ours().fit(X, y), theirs().fit(X, y)
    np.testing.assert_allclose(model.predict_log_proba(X)[:, :-1], whole.predict_log_proba(X), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), whole.predict(X))
    np.testing.assert_array_equal(model.predict(X), twin.predict(X))
    assert not model.predict_proba(X)[:, -1].any()
    with pytest.raises(ValueError, match="y holds 7777, which is none of the classes"):
        model.partial_fit(X, np.full(len(y), 7777))


def test_variances_of_parts_are_pooled() -> None:
    X, y = load_iris(return_X_y=True)
    X += 1e4
    model = GaussianNB(var_smoothing=0)
    for part in (slice(0, 60), slice(60, 61), slice(61, 150)):
        model.partial_fit(X[part], y[part], classes=[0, 1, 2])
    for k in range(3):
        np.testing.assert_allclose(model.var_[k], X[y == k].var(axis=0), rtol=1e-9)
    np.testing.assert_allclose(model.class_prior_, [1 / 3] * 3)


@pytest.mark.parametrize("kind", [MultinomialNB, BernoulliNB])
def test_sparse_rows(kind: Any) -> None:
    X, y = load_digits(return_X_y=True)
    dense, thin = kind().fit(X, y), kind().fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(thin.predict_log_proba(sparse.csr_matrix(X)), dense.predict_log_proba(X), atol=1e-9)


@pytest.mark.parametrize("options", [{"alpha": 0.01}, {"alpha": 3.0, "binarize": 8.0}, {"binarize": None}])
def test_settings_mean_what_they_do_in_scikit_learn(options: dict[str, Any]) -> None:
    X, y = load_digits(return_X_y=True)
    if options.get("binarize", 0) is None:
        X = (X > 4).astype(float)
    priors = np.arange(1, 11) / 55
    ours = BernoulliNB(**options, priors=priors).fit(X, y)
    theirs = sklearn.naive_bayes.BernoulliNB(**options, class_prior=priors).fit(X, y)
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-9, atol=1e-9)
    smooth = GaussianNB(var_smoothing=0.1, priors=priors).fit(X, y)
    twin = sklearn.naive_bayes.GaussianNB(var_smoothing=0.1, priors=priors).fit(X, y)
    np.testing.assert_allclose(smooth.predict_log_proba(X), twin.predict_log_proba(X), rtol=1e-9, atol=1e-9)


def test_what_cannot_be_is_told() -> None:
    with pytest.raises(ValueError, match="Negative values"):
        MultinomialNB().fit([[-1.0]], [0])
    with pytest.raises(ValueError, match=r"binarize=-1 would fill a sparse X"):
        BernoulliNB(binarize=-1.0).fit(sparse.csr_array([[1.0]]), [0])
    with pytest.raises(ValueError, match=r"priors has shape \(2,\); give one for each of the 1 classes"):
        MultinomialNB(priors=[0.5, 0.5]).fit([[1.0]], [0])
    with pytest.raises(ValueError, match=r"priors sum to 0\.9"):
        MultinomialNB(priors=[0.5, 0.4]).fit([[1.0], [2.0]], [0, 1])


def test_constant_features_and_certain_classes() -> None:
    model = GaussianNB().fit([[1.0, 2.0], [1.0, 2.0]], [0, 1])
    np.testing.assert_allclose(model.predict_proba([[1.0, 2.0]]), [[0.5, 0.5]])
    never = MultinomialNB(alpha=0).fit([[1, 0], [0, 1]], [0, 1])
    assert np.exp(never.feature_log_prob_).tolist() == [[1, 0], [0, 1]]


WORDS = np.array([[3, 1, 0], [3, 1, 0], [0, 3, 1], [0, 3, 1]], float)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array])
def test_without_smoothing_only_what_is_there_excludes_a_class(layout: Any) -> None:
    model = MultinomialNB(alpha=0).fit(layout(WORDS), [0, 0, 1, 1])
    b, right = layout([[0, 2, 0], [1, 2, 0], [0, 0, 1]]), np.array([0.25**2, 0.75**2])
    np.testing.assert_allclose(model.predict_proba(b), [right / right.sum(), [1, 0], [0, 1]])
    assert model.predict(b).tolist() == [1, 0, 1]
    assert np.isneginf(model.predict_joint_log_proba(b)).tolist() == [[False, False], [False, True], [True, False]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [MultinomialNB, BernoulliNB])
def test_a_row_that_no_class_can_have_gets_the_priors(kind: Any) -> None:
    model = kind(alpha=0, priors=[0.4, 0.6]).fit(WORDS, [0, 0, 1, 1])
    np.testing.assert_allclose(model.predict_proba([[1, 0, 1]]), [[0.4, 0.6]])
    assert model.predict([[1, 0, 1]]).tolist() == [1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("layout", [np.asarray, sparse.csr_array])
def test_without_smoothing_what_is_missing_excludes_a_class_too(layout: Any) -> None:
    X = layout([[1.0, 0, 1], [1, 0, 0], [0, 1, 1], [0, 1, 0]])
    model = BernoulliNB(alpha=0).fit(X, [0, 0, 1, 1])
    assert model.predict_proba(X).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    half = BernoulliNB(alpha=0).fit(layout([[1.0, 0], [1, 1], [0, 1]]), [0, 0, 1])
    np.testing.assert_allclose(half.predict_proba(layout([[1.0, 1], [0, 1]])), [[1, 0], [0, 1]])


@pytest.mark.filterwarnings("error")
def test_a_class_without_a_word_or_a_row() -> None:
    """A class of empty texts excludes every word; a class without rows has a prior of 0."""
    model = MultinomialNB(alpha=0).fit([[2, 1], [0, 0]], [0, 1])
    assert model.predict_proba([[1, 0], [0, 0]]).tolist() == [[1, 0], [0.5, 0.5]]
    for kind in (MultinomialNB, BernoulliNB):
        part = kind(alpha=0).partial_fit([[1, 0], [1, 1]], [0, 0], classes=[0, 1])
        assert part.predict_proba([[1, 1]]).tolist() == [[1, 0]]
    certain = BernoulliNB(priors=[1.0, 0.0]).fit([[1], [0]], [0, 1])
    assert certain.predict_proba([[0]]).tolist() == [[1, 0]]


@pytest.mark.parametrize("kind", [MultinomialNB, BernoulliNB])
def test_without_smoothing_it_is_the_limit_of_little(kind: Any) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 2, (200, 6)).astype(float), rng.integers(0, 3, 200)
    X[y == 1, 2] = 0
    little = kind(alpha=1e-12).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(kind(alpha=0).fit(X, y).predict_proba(X), little, atol=1e-8)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_gaussian_without_smoothing_and_a_constant_feature() -> None:
    model = GaussianNB(var_smoothing=0).fit([[1.0, 2.0], [1.0, 4.0], [1.0, 7.0], [1.0, 8.0]], [0, 0, 1, 1])
    assert model.predict([[1.0, 3.0], [1.0, 7.4]]).tolist() == [0, 1]
    found = model.predict_proba([[1.0, 3.0], [-1e9, 7.5]])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[0], [1, 0], atol=1e-6)


@pytest.mark.parametrize("value", [-1e-9, np.nan, np.inf, "1", None])
def test_smoothing_is_a_finite_number_of_at_least_0(value: Any) -> None:
    for model in (MultinomialNB(alpha=value), BernoulliNB(alpha=value), GaussianNB(var_smoothing=value)):
        with pytest.raises(ValueError, match=r"must be a float in the range \[0.0, inf\)"):
            model.fit([[1.0], [0.0]], [0, 1])


@pytest.mark.parametrize("X", [[[2.0], [0.0]], [[-1.0], [1.0]]])
def test_features_that_are_no_zeros_and_ones_need_a_threshold(X: Any) -> None:
    with pytest.raises(ValueError, match=r"X goes from .* to .*; with binarize=None it is from 0 to 1"):
        BernoulliNB(binarize=None).fit(X, [0, 1])
