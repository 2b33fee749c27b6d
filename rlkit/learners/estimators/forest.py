"""Many random trees, whose mean varies less than each (Breiman, 2001; Geurts, Ernst & Wehenkel, 2006)."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from rlkit.core.ranges import PositiveInt, Range
from rlkit.core.resources import require_memory
from rlkit.core.types import Array
from rlkit.learners.estimators.rows import content_order, drawn, number_of_rows
from rlkit.learners.estimators.tree import SHAPE, Classification, MaxFeatures, Regression, TreeInput
from rlkit.learners.estimators.tree_growing import FittedTree, columns_of, grow

FOREST: dict[str, Any] = {
    "n_estimators": [Interval(Integral, 1, None, closed="left")],
    "bootstrap": ["boolean"],
    "max_samples": [
        Interval(Integral, 1, None, closed="left"),
        Interval(Real, 0.0, 1.0, closed="right"),
        None,
    ],
    "n_jobs": [Integral, None],
    **SHAPE,
}


class _BaseForest(TreeInput):
    """Grows trees side by side on one set of sorted columns."""

    random_thresholds: ClassVar[bool] = False

    n_estimators: PositiveInt
    bootstrap: bool
    max_samples: int | float | None
    n_jobs: int | None
    random_state: Any
    trees_: list[FittedTree]

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit to rows X [n, d], dense or sparse (made dense), NaN where missing, and targets y [n] or [n, t].

        Raises:
            ValueError: something is infinite or does not fit together.
        """
        X, y, weights = self._fitting_rows(X, y, sample_weight)
        targets, factors = self._targets(y)
        rules = self._rules(X.shape[1], self.random_thresholds, (weights * factors).sum())
        columns = columns_of(X, ranked=not rules.random)
        # A node of a tree has about 100 bytes, and a tree at most two for each row.
        nodes = self.n_estimators * min(2 * len(y), 2 ** min(60, self.max_depth or 60))
        require_memory(100 * nodes, f"a forest of {self.n_estimators:,} trees", "set {n_estimators} lower")
        seeds = check_random_state(self.random_state).randint(2**31, size=self.n_estimators)
        order = content_order(X, targets.numbers) if self.bootstrap else np.zeros(0)
        self.trees_ = list(
            self._in_parallel(
                delayed(grow)(columns, targets, self._sample(order, weights, seed) * factors, rules, seed)
                for seed in seeds
            )
        )
        return self

    def _sample(self, order: Array, weights: Array, seed: int) -> Array:
        """Return the weights [n] of the rows in one tree: how often each was drawn, where rows are drawn."""
        if not self.bootstrap:
            return weights
        size = number_of_rows(weights)
        if isinstance(self.max_samples, Integral):
            size = int(self.max_samples)
        elif self.max_samples is not None:
            size = max(1, round(size * self.max_samples))
        return np.bincount(drawn(order, weights, size, check_random_state(seed)), minlength=len(weights)).astype(float)

    def _in_parallel(self, tasks: Any) -> Iterator[Any]:
        """Yield what the tasks return, in their order."""
        yield from Parallel(n_jobs=self.n_jobs, prefer="threads", return_as="generator")(tasks)

    def _values(self, X: Any) -> Array:
        """Return the means [n, outputs, classes] over the trees, added up in their order."""
        rows, total = self._rows(X), np.zeros(())
        for values in self._in_parallel(delayed(tree.predict)(rows) for tree in self.trees_):
            total = total + values
        return np.asarray(total / len(self.trees_))

    def apply(self, X: Any) -> Array:
        """Return the index [n, trees] of the leaf of each tree of `trees_` that each row of X [n, d] ends in."""
        rows = self._rows(X)
        return np.stack(list(self._in_parallel(delayed(tree.apply)(rows) for tree in self.trees_)), axis=1)

    @property
    def feature_importances_(self) -> Array:
        """How much each feature [d] lowers the weighted impurity, the mean over trees; their sum is 1, or 0."""
        check_is_fitted(self)
        found = np.mean([tree.importances(self.n_features_in_) for tree in self.trees_], axis=0)
        return np.asarray(found / found.sum() if found.sum() > 0 else found)


class RandomForestRegressor(Regression, _BaseForest):
    """The mean of trees that are grown on rows drawn separately for each.

    A row of weight 3 is the same as three such rows, and the order of the rows does not matter: the draws depend on
    what the rows hold. Whole weights are repetitions; with others, as many rows are drawn as there are.

    Args:
        n_estimators: number of trees.
        criterion, max_depth, min_samples_split, min_samples_leaf, min_weight_fraction_leaf, max_features,
            max_leaf_nodes: as in `DecisionTreeRegressor`.
        bootstrap: whether rows are drawn, with replacement; else each tree has all of them.
        max_samples: how many are drawn: a number, a share, or as many as there are (None).
        n_jobs: threads, as in joblib; the result does not depend on it.
        random_state: seed or generator of all that is drawn.

    Attributes:
        trees_: the trees (`rlkit.learners.estimators.tree_growing.FittedTree`).
        n_outputs_: number of targets.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"criterion": [StrOptions({"squared_error", "std"})], **FOREST}

    def __init__(
        self,
        n_estimators: PositiveInt = 100,
        criterion: Literal["squared_error", "std"] = "squared_error",
        max_depth: PositiveInt | None = None,
        min_samples_split: Annotated[int, Range(2)] = 2,
        min_samples_leaf: PositiveInt = 1,
        min_weight_fraction_leaf: Annotated[float, Range(0, 0.5)] = 0.0,
        max_features: MaxFeatures = 1.0,
        max_leaf_nodes: Annotated[int, Range(2)] | None = None,
        bootstrap: bool = True,
        max_samples: int | float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ):
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.max_leaf_nodes = max_leaf_nodes
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.n_jobs = n_jobs
        self.random_state = random_state


class ExtraTreesRegressor(RandomForestRegressor):
    """The mean of trees whose thresholds are drawn at random; rows are not, unless `bootstrap` says so.

    Args and attributes are those of `RandomForestRegressor`.
    """

    random_thresholds: ClassVar[bool] = True

    def __init__(
        self,
        n_estimators: PositiveInt = 100,
        criterion: Literal["squared_error", "std"] = "squared_error",
        max_depth: PositiveInt | None = None,
        min_samples_split: Annotated[int, Range(2)] = 2,
        min_samples_leaf: PositiveInt = 1,
        min_weight_fraction_leaf: Annotated[float, Range(0, 0.5)] = 0.0,
        max_features: MaxFeatures = 1.0,
        max_leaf_nodes: Annotated[int, Range(2)] | None = None,
        bootstrap: bool = False,
        max_samples: int | float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ):
        super().__init__(
            n_estimators=n_estimators,
            criterion=criterion,
            max_depth=max_depth,
            min_samples_split=min_samples_split,
            min_samples_leaf=min_samples_leaf,
            min_weight_fraction_leaf=min_weight_fraction_leaf,
            max_features=max_features,
            max_leaf_nodes=max_leaf_nodes,
            bootstrap=bootstrap,
            max_samples=max_samples,
            n_jobs=n_jobs,
            random_state=random_state,
        )


class RandomForestClassifier(Classification, _BaseForest):
    """The mean of the probabilities of trees that are grown on rows drawn separately for each.

    Args:
        criterion: ``gini`` or ``entropy``.
        class_weight: factors of the rows' weights as in scikit-learn: a dict from class to factor, or ``balanced``;
            they do not change how often a row is drawn.
        n_estimators, max_depth, min_samples_split, min_samples_leaf, min_weight_fraction_leaf, max_features,
            max_leaf_nodes, bootstrap, max_samples, n_jobs, random_state: as in `RandomForestRegressor`.

    Attributes:
        classes_: [k] labels in order, or a list of them for several outputs; n_classes_ their number.
        trees_, n_outputs_: as in `RandomForestRegressor`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "criterion": [StrOptions({"gini", "entropy"})],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
        **FOREST,
    }

    def __init__(
        self,
        n_estimators: PositiveInt = 100,
        criterion: Literal["gini", "entropy"] = "gini",
        max_depth: PositiveInt | None = None,
        min_samples_split: Annotated[int, Range(2)] = 2,
        min_samples_leaf: PositiveInt = 1,
        min_weight_fraction_leaf: Annotated[float, Range(0, 0.5)] = 0.0,
        max_features: MaxFeatures = "sqrt",
        max_leaf_nodes: Annotated[int, Range(2)] | None = None,
        bootstrap: bool = True,
        max_samples: int | float | None = None,
        class_weight: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ):
        self.n_estimators = n_estimators
        self.criterion = criterion
        self.max_depth = max_depth
        self.min_samples_split = min_samples_split
        self.min_samples_leaf = min_samples_leaf
        self.min_weight_fraction_leaf = min_weight_fraction_leaf
        self.max_features = max_features
        self.max_leaf_nodes = max_leaf_nodes
        self.bootstrap = bootstrap
        self.max_samples = max_samples
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.random_state = random_state
