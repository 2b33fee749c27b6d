"""Decision trees (Breiman, Friedman, Olshen & Stone, Classification and Regression Trees, 1984)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from rlkit.core.ranges import PositiveInt, Range
from rlkit.core.types import Array
from rlkit.learners.estimators.classes import encoded
from rlkit.learners.estimators.rows import class_weights, counted, row_weights
from rlkit.learners.estimators.tree_growing import (
    CRITERIA,
    FittedTree,
    Targets,
    class_targets,
    columns_of,
    grow,
    number_targets,
)
from rlkit.learners.estimators.tree_kernel import SplitRules

MaxFeatures = int | float | Literal["sqrt", "log2"] | None
MAX_FEATURES = [
    Interval(Integral, 1, None, closed="left"),
    Interval(Real, 0.0, 1.0, closed="right"),
    StrOptions({"sqrt", "log2"}),
    None,
]
SHAPE: dict[str, Any] = {
    "max_depth": [Interval(Integral, 1, None, closed="left"), None],
    "min_samples_split": [Interval(Integral, 2, None, closed="left")],
    "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
    "min_weight_fraction_leaf": [Interval(Real, 0.0, 0.5, closed="both")],
    "max_features": MAX_FEATURES,
    "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
    "random_state": ["random_state"],
}
"""What bounds a tree's growth, alone or in a forest."""


def number_of_features(max_features: MaxFeatures, features: int) -> int:
    """Return how many of the features a split looks at."""
    if max_features is None:
        return features
    if max_features == "sqrt":
        return max(1, int(np.sqrt(features)))
    if max_features == "log2":
        return max(1, int(np.log2(features)))
    if isinstance(max_features, Integral):
        return min(int(max_features), features)
    return max(1, int(max_features * features))


class TreeInput(BaseEstimator):
    """What trees and forests have in common: the rows they take, and the rules they grow by."""

    max_depth: PositiveInt | None
    min_samples_split: Annotated[int, Range(2)]
    min_samples_leaf: PositiveInt
    min_weight_fraction_leaf: Annotated[float, Range(0, 0.5)]
    max_features: MaxFeatures
    max_leaf_nodes: Annotated[int, Range(2)] | None
    criterion: str

    def _fitting_rows(self, X: Any, y: Any, sample_weight: Any) -> tuple[Array, Array, Array]:
        """Return the rows [n, d], the targets as given, and the weights [n], without rows of weight zero."""
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=np.float64, ensure_all_finite="allow-nan", multi_output=True
        )
        weights, [X, y] = counted(row_weights(sample_weight, len(y)), _dense(X), y)
        if np.isinf(X).any():
            raise ValueError("X holds infinity; a feature is finite, or NaN where it is missing")
        return X, y, weights

    def _rows(self, X: Any) -> Array:
        check_is_fitted(self)
        return _dense(
            validate_data(
                self, X, accept_sparse="csr", dtype=np.float64, ensure_all_finite="allow-nan", reset=False, order="C"
            )
        )

    def _rules(self, features: int, random: bool, weight: float) -> SplitRules:
        return SplitRules(
            criterion=CRITERIA[self.criterion],
            random=random,
            max_features=number_of_features(self.max_features, features),
            max_depth=2**31 if self.max_depth is None else self.max_depth,
            max_leaves=self.max_leaf_nodes or 0,
            min_split=self.min_samples_split,
            min_leaf=self.min_samples_leaf,
            min_weight=self.min_weight_fraction_leaf * weight,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.target_tags.multi_output = True
        return tags


class Regression(RegressorMixin):
    """Of trees and forests that predict numbers."""

    n_outputs_: int
    _target_shape: tuple[int, ...]

    def _targets(self, y: Array) -> tuple[Targets, Array]:
        """Return the targets, and factors [n] of the rows' weights."""
        y = np.asarray(y, np.float64)
        self._target_shape = y.shape[1:]
        targets = number_targets(y.reshape(len(y), -1))
        self.n_outputs_ = targets.channels
        return targets, np.ones(len(y))

    def predict(self, X: Any) -> Array:
        """Return the predictions [n] or [n, t] for rows X [n, d]."""
        values = self._values(X)
        return np.asarray(values[:, :, 0].reshape((len(values), *self._target_shape)))


class Classification(ClassifierMixin):
    """Of trees and forests that predict classes."""

    classes_: Any
    n_classes_: Any
    n_outputs_: int
    class_weight: Any

    def _targets(self, y: Array) -> tuple[Targets, Array]:
        """Return the targets, and factors [n] of the rows' weights."""
        encoded(y)
        columns = [np.unique(column, return_inverse=True) for column in y.reshape(len(y), -1).T]
        classes = [column[0] for column in columns]
        numbers = [len(found) for found in classes]
        self.n_outputs_ = len(classes)
        self.classes_ = classes if y.ndim == 2 else classes[0]
        self.n_classes_ = numbers if y.ndim == 2 else numbers[0]
        return class_targets(np.stack([column[1] for column in columns], axis=1), numbers), class_weights(
            self.class_weight, y
        )

    def predict(self, X: Any) -> Array:
        """Return the most probable classes [n] or [n, t] for rows X [n, d]; of equally probable ones the first."""
        best = self._values(X).argmax(axis=2)
        if not isinstance(self.classes_, list):
            return np.asarray(self.classes_[best[:, 0]])
        return np.stack([found[column] for found, column in zip(self.classes_, best.T, strict=True)], axis=1)

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities [n, k] of the classes for rows X [n, d], or a list of them for several outputs."""
        values = self._values(X)
        if not isinstance(self.classes_, list):
            return values[:, 0]
        return [values[:, i, :number] for i, number in enumerate(self.n_classes_)]

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of what `predict_proba` returns, -inf where a probability is 0."""
        found = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return [np.log(one) for one in found] if isinstance(found, list) else np.log(found)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class _DecisionTree(TreeInput):
    """One tree."""

    splitter: str
    random_state: Any
    tree_: FittedTree

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to rows X [n, d], dense or sparse (made dense), NaN where missing, and targets y [n] or [n, t].

        Raises:
            ValueError: something is infinite or does not fit together.
        """
        X, y, weights = self._fitting_rows(X, y, sample_weight)
        targets, factors = self._targets(y)
        weights = weights * factors
        rules = self._rules(X.shape[1], self.splitter == "random", weights.sum())
        self.max_features_ = rules.max_features
        seed = check_random_state(self.random_state).randint(2**31)
        self.tree_ = grow(columns_of(X, ranked=not rules.random), targets, weights, rules, seed)
        return self

    def _values(self, X: Any) -> Array:
        rows = self._rows(X)
        return self.tree_.predict(rows)

    def apply(self, X: Any) -> Array:
        """Return the index [n] in `tree_` of the leaf that each row of X [n, d] ends in."""
        rows = self._rows(X)
        return self.tree_.apply(rows)

    def get_depth(self) -> int:
        """Return the number of splits above the deepest leaf."""
        check_is_fitted(self)
        return self.tree_.max_depth

    def get_n_leaves(self) -> int:
        """Return the number of leaves."""
        check_is_fitted(self)
        return self.tree_.n_leaves

    @property
    def feature_importances_(self) -> Array:
        """How much each feature [d] lowers the weighted impurity; they sum to 1, or to 0 without any split."""
        check_is_fitted(self)
        return self.tree_.importances(self.n_features_in_)


class DecisionTreeRegressor(Regression, _DecisionTree):
    """A tree whose leaves predict the mean of their rows.

    Every value of every feature is a candidate, the threshold halfway to the next one; the first of equally good ones
    is kept, features in order. Where values are missing, both sides are tried for them; a value that is missing only in
    prediction goes with most of the node's rows.

    Args:
        criterion: what the two sides' weighted mean is made small of: ``squared_error`` (the variance) or ``std``, the
            standard deviation with one degree of freedom less than the sum of weights.
        splitter: ``best``, or ``random``: one threshold drawn for each feature, missing values on a side at random
            (Geurts, Ernst & Wehenkel, 2006).
        max_depth: splits above a leaf at most.
        min_samples_split: a node of fewer rows is not split.
        min_samples_leaf: rows on either side of a split at least, not counting their weights.
        min_weight_fraction_leaf: the share of all weight on either side of a split at least.
        max_features: how many features a split looks at, drawn for each split: a number, a share, ``sqrt``, ``log2`` or
            all (None); those that are constant in a node do not count.
        max_leaf_nodes: leaves at most; the split that gains most comes first.
        random_state: seed or generator of what is drawn.

    Attributes:
        tree_: the tree (`rlkit.learners.estimators.tree_growing.FittedTree`), arrays as of scikit-learn's.
        max_features_: how many features a split looks at.
        n_outputs_: number of targets.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "criterion": [StrOptions({"squared_error", "std"})],
        "splitter": [StrOptions({"best", "random"})],
        **SHAPE,
    }

    def __init__(
        self,
        criterion: Literal["squared_error", "std"] = "squared_error",
        splitter: Literal["best", "random"] = "best",
        max_depth: PositiveInt | None = None,
        min_samples_split: Annotated[int, Range(2)] = 2,
        min_samples_leaf: PositiveInt = 1,
        min_weight_fraction_leaf: Annotated[float, Range(0, 0.5)] = 0.0,
        max_features: MaxFeatures = None,
        max_leaf_nodes: Annotated[int, Range(2)] | None = None,
        random_state: Any = None,
    ):
        self.criterion = criterion
        self.splitter = splitter
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.max_leaf_nodes = max_leaf_nodes
        self.random_state = random_state


class DecisionTreeClassifier(Classification, _DecisionTree):
    """A tree whose leaves predict the classes of their rows; all else is as in `DecisionTreeRegressor`.

    Args:
        criterion: ``gini`` or ``entropy``.
        splitter, max_depth, min_samples_split, min_samples_leaf, min_weight_fraction_leaf, max_features,
            max_leaf_nodes, random_state: as in `DecisionTreeRegressor`.
        class_weight: factors of the rows' weights as in scikit-learn: a dict from class to factor, or ``balanced``.

    Attributes:
        classes_: [k] labels in order, or a list of them for several outputs; n_classes_ their number.
        tree_, max_features_, n_outputs_: as in `DecisionTreeRegressor`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "criterion": [StrOptions({"gini", "entropy"})],
        "splitter": [StrOptions({"best", "random"})],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        **SHAPE,
    }

    def __init__(
        self,
        criterion: Literal["gini", "entropy"] = "gini",
        splitter: Literal["best", "random"] = "best",
        max_depth: PositiveInt | None = None,
        min_samples_split: Annotated[int, Range(2)] = 2,
        min_samples_leaf: PositiveInt = 1,
        min_weight_fraction_leaf: Annotated[float, Range(0, 0.5)] = 0.0,
        max_features: MaxFeatures = None,
        max_leaf_nodes: Annotated[int, Range(2)] | None = None,
        class_weight: Any = None,
        random_state: Any = None,
    ):
        self.criterion = criterion
        self.splitter = splitter
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.max_leaf_nodes = max_leaf_nodes
        self.class_weight = class_weight
        self.random_state = random_state


def _dense(X: Any) -> Array:
    return np.asarray(X.toarray() if sparse.issparse(X) else X)
