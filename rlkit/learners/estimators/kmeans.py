"""K-means clustering (Lloyd, 1982; Arthur & Vassilvitskii, 2007; in mini-batches Sculley, 2010)."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, _fit_context
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import row_norms
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from rlkit.core.ranges import NonNegativeFloat, PositiveInt
from rlkit.core.types import Array
from rlkit.learners.estimators.kmeans_kernel import absorb
from rlkit.learners.estimators.rows import content_order, drawn, row_weights

BLOCK = 4096


class WeightedRows(NamedTuple):
    """What is clustered."""

    X: Any  # [n, d] dense or sparse
    weights: Array  # [n]
    squares: Array  # [n] squared lengths
    order: Array  # [n] int, an order that depends on what the rows hold, where rows are drawn; else empty


class Assignment(NamedTuple):
    """Which rows belong to which center."""

    labels: Array  # [n] int32
    sums: Array  # [k, d] weighted sums of the rows
    mass: Array  # [k] weights of the rows


class Clustering(NamedTuple):
    """What one start led to."""

    centers: Array
    labels: Array
    inertia: float
    n_iter: int


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):
    """Makes the weighted sum of squared distances to the nearest of k centers small.

    A row of weight 3 is the same as three such rows, and the order of the rows does not matter: the draws depend on
    what the rows hold. A center that no row is nearest to moves to the row that is farthest from its own center.

    Args:
        n_clusters: k.
        init: ``k-means++`` (each center the best of 2 + ln k rows drawn by their squared distance to those before),
            ``random`` (rows drawn by weight), or the centers [k, d] to start from.
        n_init: starts, of which the one with the lowest inertia is kept; centers that are given are one start.
        max_iter: passes over the rows, or mini-batches, of one start at most.
        tol: a start ends when the sum of the centers' squared shifts is at most that share of the mean variance of the
            features, which is scikit-learn's rule, or when no row changes its center; 0 leaves only the latter.
        batch_size: rows of a mini-batch, drawn by weight; None for all rows in each pass.
        random_state: seed or generator of what is drawn.

    Attributes:
        cluster_centers_: [k, d].
        labels_: [n] int32, the center of each row that was fitted.
        inertia_: the weighted sum of squared distances.
        n_iter_: passes, or mini-batches, of the best start.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"k-means++", "random"}), "array-like"],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters: PositiveInt = 8,
        init: Literal["k-means++", "random"] | Any = "k-means++",
        n_init: PositiveInt = 10,
        max_iter: PositiveInt = 300,
        tol: NonNegativeFloat = 1e-4,
        batch_size: PositiveInt | None = None,
        random_state: Any = None,
    ):
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit to rows X [n, d], dense or sparse; `y` is ignored.

        Raises:
            ValueError: there are fewer rows than centers, or something is not finite or does not fit together.
        """
        X = validate_data(self, X, accept_sparse="csr", dtype=np.float64, order="C")
        weights = row_weights(sample_weight, X.shape[0])
        if X.shape[0] < self.n_clusters:
            raise ValueError(f"n_samples={X.shape[0]} should be >= n_clusters={self.n_clusters}")
        middle, spread = _mean_and_variance(X, weights)
        given = None if isinstance(self.init, str) else self._given_centers(X) - middle
        order = content_order(X) if given is None or self.batch_size else np.zeros(0, np.intp)
        if not sparse.issparse(X):
            X = X - middle
        rows = WeightedRows(X, weights, row_norms(X, squared=True), order)
        # Blocks are too small for several threads of a matrix product.
        with threadpool_limits(1, user_api="blas"):
            best = self._best(rows, given, self.tol * spread)
        self.cluster_centers_ = best.centers + middle
        self.labels_, self.inertia_, self.n_iter_ = best.labels, best.inertia, best.n_iter
        return self

    def _given_centers(self, X: Any) -> Array:
        centers = check_array(self.init, dtype=np.float64, copy=True, order="C")
        if centers.shape != (self.n_clusters, X.shape[1]):
            raise ValueError(f"init has shape {centers.shape}; give centers [{self.n_clusters}, {X.shape[1]}]")
        return np.asarray(centers)

    def _best(self, rows: WeightedRows, given: Array | None, tol: float) -> Clustering:
        """Return the start with the lowest inertia, the first of those that differ by rounding only."""
        rng, best = check_random_state(self.random_state), None
        for _ in range(1 if given is not None else self.n_init):
            centers = drawn_centers(rows, self.n_clusters, self.init, rng) if given is None else given
            if self.batch_size is None:
                found = lloyd(rows, centers, self.max_iter, tol)
            else:
                found = mini_batches(rows, centers, self.max_iter, tol, self.batch_size, rng)
            if best is None or found.inertia < best.inertia * (1 - 1e-9):
                best = found
        assert best is not None
        return best

    def predict(self, X: Any) -> Array:
        """Return the index [n] int32 of the nearest center of rows X [n, d], the first of equally near ones."""
        check_is_fitted(self)
        X = self._checked(X)
        return assign(_rows(X, None), self.cluster_centers_).labels

    def transform(self, X: Any) -> Array:
        """Return the distances [n, k] of rows X [n, d] to the centers."""
        check_is_fitted(self)
        X = self._checked(X)
        distances = euclidean_distances if sparse.issparse(X) else cdist
        return np.asarray(distances(X, self.cluster_centers_))

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return minus the weighted sum of squared distances of rows X [n, d] to their centers; `y` is ignored."""
        check_is_fitted(self)
        rows = _rows(self._checked(X), sample_weight)
        return -inertia(rows, self.cluster_centers_, assign(rows, self.cluster_centers_).labels)

    def _checked(self, X: Any) -> Any:
        return validate_data(self, X, accept_sparse="csr", dtype=np.float64, order="C", reset=False)

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _rows(X: Any, sample_weight: Any) -> WeightedRows:
    """Return rows of which none is drawn."""
    return WeightedRows(X, row_weights(sample_weight, X.shape[0]), row_norms(X, squared=True), np.zeros(0, np.intp))


def lloyd(rows: WeightedRows, centers: Array, max_iter: int, tol: float) -> Clustering:
    """Move the centers [k, d] to the means of their rows until they stay, or shift by at most `tol` in squares."""
    labels = np.full(len(rows.weights), -1, np.int32)
    for step in range(max_iter):
        found, changed = _assigned(rows, centers, labels)
        if changed == 0:
            return Clustering(centers, labels, inertia(rows, centers, labels), step + 1)
        moved = means(rows, found, centers)
        shift, centers = float(((moved - centers) ** 2).sum()), moved
        if shift <= tol:
            break
    found = assign(rows, centers)
    return Clustering(centers, found.labels, inertia(rows, centers, found.labels), step + 1)


def mini_batches(rows: WeightedRows, centers: Array, max_iter: int, tol: float, size: int, rng: Any) -> Clustering:
    """Move each of the centers [k, d] to the mean of all rows that were ever assigned to it."""
    total, steps = np.zeros(len(centers)), 0
    while steps < max_iter:
        steps += 1
        chosen = drawn(rows.order, rows.weights, size, rng)
        batch = WeightedRows(rows.X[chosen], np.ones(size), rows.squares[chosen], rows.order[:0])
        found = assign(batch, centers)
        total += found.mass
        share = 1 / np.maximum(total, 1)[:, None]
        moved = centers + (found.sums - found.mass[:, None] * centers) * share
        moved = _reseeded(batch, found.labels, centers, moved, np.flatnonzero(total == 0))
        shift, centers = float(((moved - centers) ** 2).sum()), moved
        if shift <= tol:
            break
    labels = assign(rows, centers).labels
    return Clustering(centers, labels, inertia(rows, centers, labels), steps)


def assign(rows: WeightedRows, centers: Array) -> Assignment:
    """Assign each row to the nearest of the centers [k, d], the first of equally near ones."""
    return _assigned(rows, centers, np.full(len(rows.weights), -1, np.int32))[0]


def _assigned(rows: WeightedRows, centers: Array, labels: Array) -> tuple[Assignment, int]:
    """Change the labels [n] in place; return the assignment and how many of them changed."""
    half_squares = (centers**2).sum(axis=1) / 2
    if sparse.issparse(rows.X):
        before = labels.copy()
        labels[:] = np.argmin(half_squares - rows.X @ centers.T, axis=1)
        places = sparse.csr_array((rows.weights, (labels, np.arange(len(labels)))), shape=(len(centers), len(labels)))
        sums, mass = (places @ rows.X).toarray(), np.bincount(labels, rows.weights, len(centers))
        return Assignment(labels, sums, mass), int((before != labels).sum())
    found = Assignment(labels, np.zeros(centers.shape), np.zeros(len(centers)))
    products, transposed, changed = np.empty((BLOCK, len(centers))), centers.T.copy(), 0
    for start in range(0, len(labels), BLOCK):
        block = rows.X[start : start + BLOCK]
        product = np.dot(block, transposed, out=products[: len(block)])
        within = slice(start, start + len(block))
        changed += absorb(block, rows.weights[within], product, half_squares, labels[within], found.sums, found.mass)
    return found, changed


def means(rows: WeightedRows, found: Assignment, centers: Array) -> Array:
    """Return the centers' new places [k, d]: the means of their rows, with those of no weight re-seeded."""
    moved = found.sums / np.where(found.mass > 0, found.mass, 1)[:, None]
    return _reseeded(rows, found.labels, centers, moved, np.flatnonzero(found.mass == 0))


def _reseeded(rows: WeightedRows, labels: Array, centers: Array, moved: Array, empty: Array) -> Array:
    """Return the places `moved`, but the empty centers at different rows, those farthest from their centers."""
    if not len(empty):
        return moved
    distances = np.where(rows.weights > 0, squared_distances(rows, centers, labels), 0)
    chosen: list[Array] = []
    for row in np.argsort(-distances, kind="stable"):
        if len(chosen) == len(empty) or distances[row] == 0:
            break
        place = _dense(rows.X[[row]])[0]
        if not any(np.array_equal(place, other) for other in chosen):
            chosen.append(place)
    moved[empty] = centers[empty]
    if chosen:
        moved[empty[: len(chosen)]] = chosen
    return moved


def squared_distances(rows: WeightedRows, centers: Array, labels: Array) -> Array:
    """Return the squared distances [n] of the rows to their centers."""
    if not sparse.issparse(rows.X):
        return np.asarray(row_norms(rows.X - centers[labels], squared=True))
    own = np.asarray(rows.X.multiply(centers[labels]).sum(axis=1)).ravel()
    return np.asarray(np.maximum(rows.squares - 2 * own + (centers**2).sum(axis=1)[labels], 0))


def inertia(rows: WeightedRows, centers: Array, labels: Array) -> float:
    """Return the weighted sum of the rows' squared distances to their centers, row `labels` [n] of `centers` [k, d]."""
    return float(rows.weights @ squared_distances(rows, centers, labels))


def drawn_centers(rows: WeightedRows, number: int, init: str, rng: Any) -> Array:
    """Return different rows [number, d], as long as there are any, drawn by weight, with k-means++ by distance too.

    Of k-means++, each is the best of a few that are drawn by their squared distance to the nearest one before.
    """
    trials = 2 + int(np.log(number)) if init == "k-means++" else 1
    chosen = [int(drawn(rows.order, rows.weights, 1, rng)[0])]
    nearest = _from_rows(rows, np.array(chosen))[0]
    while len(chosen) < number:
        potential = rows.weights * (nearest if init == "k-means++" else nearest > 0)
        candidates = drawn(rows.order, potential if potential.any() else rows.weights, trials, rng)
        distances = np.minimum(nearest, _from_rows(rows, candidates))
        best = int(np.argmin(distances @ rows.weights))
        chosen.append(int(candidates[best]))
        nearest = distances[best]
    return _dense(rows.X[chosen])


def _from_rows(rows: WeightedRows, chosen: Array) -> Array:
    """Return the squared distances [chosen, n] of all rows to some of them, 0 where only rounding keeps them apart."""
    products = rows.X[chosen] @ rows.X.T
    products = products.toarray() if sparse.issparse(products) else products
    sums = rows.squares[chosen][:, None] + rows.squares
    found = sums - 2 * products
    return np.where(found > 1e-12 * sums, found, 0)


def _mean_and_variance(X: Any, weights: Array) -> tuple[Any, float]:
    """Return what dense rows are centered on, for accuracy, and the mean of the features' variances."""
    if sparse.issparse(X):
        return 0.0, float(np.mean(mean_variance_axis(X, axis=0, weights=weights)[1]))
    middle = weights @ X / weights.sum()
    return middle, float(np.mean(weights @ (X - middle) ** 2) / weights.sum())


def _dense(X: Any) -> Array:
    return np.asarray(X.toarray() if sparse.issparse(X) else X)
