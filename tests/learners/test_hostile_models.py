"""Saved models of somebody else: nothing that they name is imported but what a closed list has, and no tree crashes."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import places
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.ensemble import RandomForestClassifier as SklearnForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier as SklearnTree

from rlkit.learners.estimators.forest import RandomForestRegressor
from rlkit.learners.estimators.neighbors import UserKNNRecommender
from rlkit.learners.estimators.tree import DecisionTreeClassifier
from rlkit.learners.model_names import KIND, SavingError
from rlkit.learners.persistence import from_state, packages_of, to_state
from rlkit.learners.transformers import brightness, table

TRAP = "trap_module"
BUILD = "rlkit.config.instantiate:build"
COMMAND = {"_target_": "os.system", "command": "touch ran"}

rng = np.random.default_rng(0)
X, Y = rng.random((60, 3)), np.arange(60) % 3

HOSTILE: list[Any] = [
    {KIND: "callable", "value": "os:system"},
    {KIND: "callable", "value": f"{TRAP}:run"},
    {KIND: "callable", "value": BUILD},
    {KIND: "callable", "value": "rlkit.learners.pipeline:by_class"},
    {KIND: "callable", "value": "rlkit.__main__:main"},
    {KIND: "callable", "value": "torch.hub:load"},
    {KIND: "callable", "value": "rlkit.networks.convolutional:nn"},
    {KIND: "callable", "value": "rlkit.learners.transformers:np.load"},
    {KIND: "partial", "callable": BUILD, "value": [[COMMAND, {KIND: "mapping", "value": []}], {}]},
    {KIND: "partial", "callable": f"{TRAP}:run", "value": [[], {}]},
    {KIND: "estimator", "class": f"{TRAP}:run", "params": {}, "fitted": {}},
    {KIND: "estimator", "class": "subprocess:Popen", "params": {"args": "touch ran"}, "fitted": {}},
    {KIND: "estimator", "class": "sklearn.tests.test_base:MyEstimator", "params": {}, "fitted": {}},
    {KIND: "estimator", "class": "sklearn.base:clone", "params": {}, "fitted": {}},
    {KIND: "estimator", "class": "sklearn.pipeline:Pipeline", "params": {"steps": [], "memory": "x"}, "fitted": {}},
    {KIND: "record", "class": "subprocess:CompletedProcess", "value": {}},
    {KIND: "record", "class": "rlkit.runs.request:Request", "value": {}},
    {KIND: "record", "class": f"{TRAP}:run", "value": {}},
    {KIND: "type", "value": "memmap"},
    {KIND: "ufunc", "value": "load"},
    {KIND: "sparse", "format": "csr_array", "shape": [1, 1], "value": {}},
]


@pytest.fixture(autouse=True)
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / f"{TRAP}.py").write_text("open('ran', 'w')\ndef run(*given, **named): open('ran', 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda command: Path("ran").touch())
    yield
    assert not Path("ran").exists()
    assert TRAP not in sys.modules


def put(node: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy with `value` at `path`; tuples stay tuples."""
    if not path:
        return value
    if isinstance(node, tuple):
        return tuple(put(item, path[1:], value) if i == path[0] else item for i, item in enumerate(node))
    changed = copy.copy(node)
    changed[path[0]] = put(node[path[0]], path[1:], value)
    return changed


def models() -> list[BaseEstimator]:
    mixed = np.array([["a", 1.0], ["b", 2.0]] * 30, dtype=object)
    return [
        make_pipeline(FunctionTransformer(brightness), StandardScaler(), SklearnForest(2, max_depth=2)).fit(X, Y),
        make_pipeline(table(), DecisionTreeClassifier(max_depth=2)).fit(mixed, Y % 2),
        UserKNNRecommender(2).fit(sparse.csr_array(np.eye(4) + 1)),
    ]


@pytest.mark.parametrize("number", range(3))
def test_every_field_of_a_model_with_every_kind_of_content(number: int) -> None:
    state = to_state(models()[number])
    for i, path in enumerate(places(state)):
        for turn in range(3):
            hostile = put(state, path, HOSTILE[(i + 7 * turn) % len(HOSTILE)])
            try:
                read = from_state(hostile)
            except SavingError:
                continue
            with suppress(Exception):  # whatever a model raises that lacks a part; nothing may run
                read.predict(X)


@pytest.mark.parametrize("node", HOSTILE, ids=str)
def test_each_kind_of_content_is_refused(node: Any) -> None:
    state = to_state(FunctionTransformer())
    with pytest.raises(SavingError, match=r"^the model [^\n]*$"):
        from_state(put(state, ("params", "func"), node))


def test_a_partial_of_the_projects_own_build_is_no_function_of_a_model() -> None:
    from rlkit.config.instantiate import build

    with pytest.raises(SavingError, match=r"FunctionTransformer\.func is a partial, which is no plain data"):
        to_state(FunctionTransformer(partial(build, COMMAND, {})))
    with pytest.raises(SavingError, match=r"build, which is no function of a model.*: no file may name it$"):
        from_state(put(to_state(FunctionTransformer()), ("params", "func"), HOSTILE[8]))


class Own(BaseEstimator):  # type: ignore[misc]
    def __init__(self, inner: Any = None):
        self.inner = inner


def test_an_estimator_of_another_package_needs_trust() -> None:
    state = to_state(Own(Own()))
    with pytest.raises(SavingError, match=r"the model names \S+:Own, which is no estimator of .*: trust=\w+$"):
        from_state(state)
    assert isinstance(from_state(state, [Own.__module__]).inner, Own)
    assert packages_of(make_pipeline(StandardScaler(), Own())) == (Own.__module__.partition(".")[0],)


FAR = 2**30
TREES: list[Callable[[], Any]] = [
    lambda: SklearnTree(max_depth=3),
    lambda: SklearnForest(3, max_depth=3),
    lambda: IsolationForest(n_estimators=3, max_samples=20),
    lambda: DecisionTreeClassifier(max_depth=3),
    lambda: RandomForestRegressor(3, max_depth=3),
]


def trees(state: Any) -> list[tuple[Any, ...]]:
    """Return where the states of trees are."""
    named = ("record", "tree")
    return [path for path in places(state) if path[-1] == KIND and at(state, path) in named]


def at(node: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def nodes_of(tree: Any) -> Any:
    """Return the arrays of a tree by the names of rlkit's; those of scikit-learn's are views."""
    if tree[KIND] == "record":
        return tree["value"]
    nodes = tree["value"][3]["nodes"]
    return {"children_left": nodes["left_child"], "children_right": nodes["right_child"], "feature": nodes["feature"]}


@pytest.mark.parametrize("make", TREES, ids=lambda make: type(make()).__name__)
@pytest.mark.parametrize("key", ["children_left", "children_right", "feature"])
def test_a_damaged_tree_is_refused(make: Callable[[], Any], key: str) -> None:
    fitted = make().fit(X, Y)
    state = to_state(fitted)
    assert np.array_equal(from_state(state).predict(X), fitted.predict(X))
    for path in trees(state)[-1:]:
        for value in (FAR, -FAR, -3, 3 if key == "feature" else 0):
            damaged = copy.deepcopy(state)
            nodes_of(at(damaged, path[:-1]))[key][0] = value
            with pytest.raises(SavingError, match="damaged tree"):
                from_state(damaged)


@pytest.mark.parametrize("make", TREES, ids=lambda make: type(make()).__name__)
def test_a_tree_of_other_features_than_its_estimator_is_refused(make: Callable[[], Any]) -> None:
    state = to_state(make().fit(X, Y))
    for number in (2, None, "3", 0):
        with pytest.raises(SavingError, match=r"damaged tree|cannot be read"):
            from_state(put(state, ("fitted", "n_features_in_"), number))


@pytest.mark.parametrize("place", [(0,), (1,), (2,), (3, "node_count"), (3, "nodes"), (3, "values"), (3, "max_depth")])
@pytest.mark.parametrize("value", [FAR, -1, 0, "x", np.zeros(3), np.zeros((2, 1, 3)), None], ids=str)
def test_sizes_of_scikit_learns_trees(place: tuple[Any, ...], value: Any) -> None:
    state = to_state(SklearnTree(max_depth=2).fit(X, Y))
    with pytest.raises(SavingError):
        from_state(put(state, ("fitted", "tree_", "value", *place), value))


@pytest.mark.parametrize("name", ["children_left", "feature", "threshold", "missing_go_to_left", "value"])
def test_arrays_of_rlkits_trees(name: str) -> None:
    state = to_state(DecisionTreeClassifier(max_depth=2).fit(X, Y))
    array = at(state, ("fitted", "tree_", "value", name))
    for value in (array[:1], array[:0], None, "x"):
        with pytest.raises(SavingError):
            from_state(put(state, ("fitted", "tree_", "value", name), value))


def test_columns_are_numbers_or_functions_of_the_list() -> None:
    transformer = ColumnTransformer([("a", "passthrough", [0])]).fit(X)
    assert np.array_equal(from_state(to_state(transformer)).transform(X), transformer.transform(X))
