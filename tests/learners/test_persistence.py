"""Estimators as plain data: what is read again is the same, and nothing that is read can run code."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from rlkit.core.checkpoint import Store
from rlkit.learners.model_names import KIND, SavingError
from rlkit.learners.persistence import from_state, proven, to_state
from rlkit.learners.transformers import brightness
from rlkit.networks import MLP

X, Y = load_iris(return_X_y=True)


class Points(NamedTuple):
    x: int
    y: Any


class Keeper(BaseEstimator):  # type: ignore[misc]
    """Learns whatever it is given."""

    def __init__(self, kept: Any = None):
        self.kept = kept

    def fit(self, X: Any, y: Any = None) -> Keeper:
        self.learnt_ = X
        return self


def again(estimator: Any, folder: Path) -> Any:
    store = Store(folder)
    store.save(0, to_state(estimator))
    return from_state(store.load(0), [__name__])


@pytest.mark.parametrize(
    "estimator",
    [
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(5, random_state=0),
        RandomForestClassifier(5, random_state=np.random.RandomState(0)),
        LogisticRegression(max_iter=500),
        SVC(probability=False),
        KMeans(3, random_state=0),
        MLPClassifier((4,), max_iter=3, random_state=0),
        make_pipeline(StandardScaler(), Ridge()),
        make_pipeline(FunctionTransformer(brightness), FunctionTransformer(np.log1p), Ridge()),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_estimators_predict_the_same_when_read_again(estimator: Any, tmp_path: Path) -> None:
    fitted = estimator.fit(X, Y)
    read = again(fitted, tmp_path)
    assert type(read) is type(fitted)
    assert np.array_equal(read.predict(X), fitted.predict(X))


def test_words_and_categories_are_read_again(tmp_path: Path) -> None:
    texts = np.array(["a good film", "a bad film", "good"], dtype=object)
    words = make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, ["+", "-", "+"])
    assert again(words, tmp_path).predict(texts).tolist() == ["+", "-", "+"]
    table = np.array([["red", 1.0], ["blue", None], ["red", 3.0]], dtype=object)
    encoder = ColumnTransformer([("colour", OneHotEncoder(handle_unknown="ignore"), [0])]).fit(table)
    read = again(encoder, tmp_path / "b")
    assert np.array_equal(read.transform(table), encoder.transform(table))


VALUES = [
    {"a": 1, "b": [1.5, None, True, "x"]},
    {1: "one", (2, 3): "two"},
    {KIND: "estimator"},
    (1, (2,), []),
    {1, 2},
    frozenset({"a"}),
    slice(1, None, 2),
    np.float32(0.1),
    np.int8,
    np.dtype("<f4"),
    float,
    np.log1p,
    brightness,
    MLP,
    Points(1, [2]),
    [0.1] * 60,
    float("inf"),
]


@pytest.mark.parametrize("value", VALUES)
def test_plain_values_are_read_again(value: Any, tmp_path: Path) -> None:
    read = again(Keeper().fit(value), tmp_path).learnt_
    assert read == value
    assert type(read) is type(value)


def test_arrays_matrices_and_partial_calls_are_read_again(tmp_path: Path) -> None:
    matrix = sparse.csc_array(np.array([[0.0, 2.0], [3.0, 0.0]]))
    matrix.data[0] = 0.0  # an explicit zero is not a missing one
    made = Keeper(partial(MLP, hidden=[3])).fit([matrix, np.array([["a", None]], dtype=object), np.eye(2)])
    read = again(made, tmp_path)
    assert (read.kept.func, read.kept.keywords) == (MLP, {"hidden": [3]})
    assert (type(read.learnt_[0]), read.learnt_[0].nnz) == (sparse.csc_array, 2)
    assert np.array_equal(read.learnt_[0].toarray(), matrix.toarray())
    assert read.learnt_[1].tolist() == [["a", None]]


def test_bytes_between_the_fields_of_a_structured_array_are_zeros() -> None:
    fields = np.dtype([("number", "<f8"), ("flag", "u1")], align=True)
    array = np.frombuffer(bytes(range(1, 2 * fields.itemsize + 1)), fields)
    saved = to_state(Keeper().fit(array))["fitted"]["learnt_"]
    assert np.array_equal(saved, array)
    assert saved.tobytes() != array.tobytes()
    assert saved.view(np.uint8).reshape(2, -1)[:, 9:].sum() == 0


Plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=12,
)


@given(Plain)
def test_any_plain_data_is_read_again(value: Any) -> None:
    assert from_state(to_state(Keeper().fit(value)), [__name__]).learnt_ == value


def test_what_is_no_plain_data_is_refused_by_name() -> None:
    with pytest.raises(SavingError, match=r"Keeper.learnt_\[0\] is an object, which is no plain data: the model"):
        to_state(Keeper().fit([object()]))
    with pytest.raises(SavingError, match=r"Keeper.kept is a function, which is no plain data"):
        to_state(Keeper(lambda: None))
    with pytest.raises(SavingError, match=r"Keeper.learnt_ is the class Path, which is no plain data"):
        to_state(Keeper().fit(Path))


def test_a_model_that_would_predict_differently_is_refused() -> None:
    def predict(model: Any) -> Any:
        return model.predict(X)

    fitted = KNeighborsClassifier(algorithm="kd_tree").fit(X, Y)
    with pytest.raises(SavingError, match=r"read again cannot predict .*left out as no plain data: _tree"):
        proven(fitted, to_state(fitted), predict)
    tree = DecisionTreeClassifier().fit(X, Y)
    state = to_state(tree)
    assert proven(tree, state, predict) is state
    with pytest.raises(SavingError, match="read again predicts differently"):
        proven(tree, to_state(DecisionTreeClassifier(max_depth=1).fit(X, Y)), predict)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {KIND: "estimator", "class": "os:system", "params": {}, "fitted": {}},
            "os:system, which is no estimator of .* no file may",
        ),
        ({KIND: "estimator", "class": "no_such:Thing", "params": {}, "fitted": {}}, "trust=no_such$"),
        ({KIND: "callable", "value": "os:system"}, "which is no function of a model"),
        ({KIND: "partial", "callable": "os:system", "value": [["true"], {}]}, "which is no function of a model"),
        ({KIND: "record", "class": "subprocess:Popen", "value": {}}, "which is no record"),
        ({KIND: "ufunc", "value": "save"}, "which is no function of NumPy on arrays"),
        ({KIND: "type", "value": "load"}, "which is none of numbers"),
        ({KIND: "sparse", "format": "os_system", "shape": [], "value": {}}, "which is no sparse matrix"),
        ({KIND: "rocket"}, "which this version does not know"),
    ],
)
def test_a_state_from_a_stranger_calls_nothing(state: dict[str, Any], message: str) -> None:
    whole = to_state(Keeper())
    with pytest.raises(SavingError, match=message):
        from_state({**whole, "fitted": {"learnt_": state}}, [__name__])
