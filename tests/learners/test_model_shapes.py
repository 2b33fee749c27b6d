"""Saved models of somebody else whose arrays do not fit together, where compiled code would walk out of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import sklearn.cluster
from scipy import sparse
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer as SklearnVectorizer
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM

from rlkit.learners.estimators.kmeans import KMeans
from rlkit.learners.estimators.text import CountVectorizer
from rlkit.learners.model_names import SavingError
from rlkit.learners.persistence import from_state, to_state

pytestmark = pytest.mark.filterwarnings("ignore")

rng = np.random.default_rng(0)
X, Y = rng.random((60, 3)), np.arange(60) % 3
WORDS = np.array([["a", "x"], ["b", "y"], ["c", "x"]] * 9, dtype=object)
TEXTS = ["good great", "bad poor", "fine"]
FAR = 2**30

WHOLE: dict[str, tuple[Callable[[], Any], Any]] = {
    "ours": (lambda: KMeans(3).fit(X), X),
    "kmeans": (lambda: sklearn.cluster.KMeans(3).fit(X), X),
    "batches": (lambda: sklearn.cluster.MiniBatchKMeans(3).fit(X), X),
    "svc": (lambda: SVC().fit(X, Y), X),
    "chances": (lambda: SVC(probability=True).fit(X, Y), X),
    "sparse": (lambda: SVC().fit(sparse.csr_matrix(X), Y), sparse.csr_matrix(X)),
    "nu": (lambda: NuSVC(nu=0.1).fit(X, Y), X),
    "svr": (lambda: SVR().fit(X, X[:, 0]), X),
    "one": (lambda: OneClassSVM().fit(X), X),
    "kernel": (lambda: SVC(kernel="precomputed").fit(X @ X.T, Y), X @ X.T),
    "hot": (lambda: OneHotEncoder(handle_unknown="ignore").fit(WORDS), WORDS),
    "rare": (lambda: OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist").fit(WORDS), WORDS),
    "drop": (lambda: OneHotEncoder(drop="first").fit(WORDS), WORDS),
    "ordinal": (lambda: OrdinalEncoder().fit(WORDS), WORDS),
    "bins": (lambda: KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf").fit(X), X),
    "words": (lambda: CountVectorizer().fit(TEXTS), TEXTS),
    "counts": (lambda: SklearnVectorizer().fit(TEXTS), TEXTS),
    "dicts": (lambda: DictVectorizer().fit([{"a": 1, "b": 2}]), [{"a": 1, "b": 2}]),
    "near": (lambda: KNeighborsClassifier(3, algorithm="brute").fit(X, Y), X),
    "values": (lambda: KNeighborsRegressor(3, algorithm="brute").fit(X, X[:, 0]), X),
}


def answer(model: Any, rows: Any) -> Any:
    found = model.predict(rows) if hasattr(model, "predict") else model.transform(rows)
    return found.toarray() if sparse.issparse(found) else np.asarray(found)


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_model_is_read(name: str) -> None:
    make, rows = WHOLE[name]
    model = make()
    assert np.array_equal(answer(from_state(to_state(model)), rows), answer(model, rows))


def set_first(value: Any) -> Callable[[Any], Any]:
    def change(array: Any) -> Any:
        changed = copy.deepcopy(array)
        changed[0] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("name", "attribute", "change"),
    [
        *((name, "cluster_centers_", lambda a: a[:, :1]) for name in ("ours", "kmeans", "batches")),
        *((name, "cluster_centers_", lambda a: a[:0]) for name in ("ours", "kmeans", "batches")),
        ("kmeans", "n_features_in_", lambda n: FAR),
        ("svc", "_n_support", set_first(-5)),
        ("svc", "_n_support", set_first(FAR)),
        ("svc", "_n_support", lambda a: a[:1]),
        ("svc", "_n_support", lambda a: np.append(a, a)),
        ("svc", "support_", lambda a: a[:1]),
        ("svc", "support_", set_first(FAR)),
        ("svc", "support_", set_first(-1)),
        ("svc", "support_vectors_", lambda a: a[:, :1]),
        ("svc", "support_vectors_", lambda a: a[:1]),
        ("svc", "_dual_coef_", lambda a: a[:1]),
        ("svc", "_dual_coef_", lambda a: a[:, :1]),
        ("svc", "_intercept_", lambda a: a[:1]),
        ("chances", "_probA", lambda a: a[:1]),
        ("svc", "classes_", lambda a: a[:2]),
        ("sparse", "_effective_probability", lambda a: True),
        ("sparse", "_effective_probability", lambda a: 5),
        ("sparse", "_sparse", lambda a: False),
        ("svc", "_sparse", lambda a: True),
        ("sparse", "_dual_coef_", lambda a: sparse.csr_matrix(a.shape)),
        ("nu", "_dual_coef_", lambda a: a[:, :1]),
        ("svr", "_dual_coef_", lambda a: a[:, :1]),
        ("one", "_n_support", lambda a: a[:1]),
        ("kernel", "support_", set_first(60)),
        ("kernel", "n_features_in_", lambda n: 3),
        ("hot", "_n_features_outs", lambda a: [1, 1]),
        ("hot", "categories_", lambda a: [a[0]]),
        ("hot", "categories_", lambda a: [np.append(a[0], "z"), a[1]]),
        (
            "rare",
            "_default_to_infrequent_mappings",
            lambda a: [set_first(FAR)(a[0]) if a[0] is not None else None, np.array([FAR])],
        ),
        ("words", "vocabulary_", lambda a: {**a, "bad": FAR}),
        ("words", "vocabulary_", lambda a: {**a, "bad": -1}),
        ("words", "vocabulary_", lambda a: {**a, "bad": "1"}),
        ("counts", "vocabulary_", lambda a: {**a, "bad": FAR}),
        ("dicts", "vocabulary_", lambda a: {**a, "a": FAR}),
        ("near", "_y", set_first(FAR)),
        ("near", "_y", set_first(-1)),
        ("near", "_y", lambda a: a[:5]),
        ("near", "_fit_X", lambda a: a[:, :1]),
        ("near", "_fit_X", lambda a: a[:5]),
        ("values", "_y", lambda a: a[:5]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, attribute: str, change: Callable[[Any], Any]) -> None:
    model = WHOLE[name][0]()
    vars(model)[attribute] = change(vars(model)[attribute])
    with pytest.raises(
        SavingError, match=r"^the model holds a (damaged \w+ \(.*\)|\w+ whose \w+ does not fit its other)"
    ):
        from_state(to_state(model))


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [None, "x", 5, [], {}, np.zeros(2), np.array("x")], ids=str)
def test_no_attribute_of_another_kind_ends_the_process(name: str, value: Any) -> None:
    model, rows = WHOLE[name][0](), WHOLE[name][1]
    state = to_state(model)
    for attribute in state["fitted"]:
        hostile = {**state, "fitted": {**state["fitted"], attribute: value}}
        try:
            read = from_state(hostile)
        except SavingError:
            continue
        with suppress(Exception):  # whatever it raises: `FitRun.asked` makes one line of it
            answer(read, rows)
