"""Matrix factorization: by gradient descent or alternating least squares, and the truncated singular decomposition.

A user x item matrix may be dense or sparse. In a dense one `missing` (0 by default) says that there is no rating, which
may be NaN; in a sparse one what is not stored is missing, and a stored 0 is a rating of 0.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted

from rlkit.core.ranges import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, Range
from rlkit.core.resources import require_memory
from rlkit.core.types import Array
from rlkit.learners.estimators.epochs import OnEpoch, report_epoch
from rlkit.learners.estimators.factor_kernels import descend, shuffled
from rlkit.learners.estimators.rating_pairs import CenteredRatings, Factors, solved, with_ones
from rlkit.learners.estimators.recommending import Recommender, ratings_of
from rlkit.learners.estimators.settings import choose, generator, require


class MatrixFactorization(Recommender):
    """Ratings as ``mean + user bias + item bias + user factors . item factors`` (Koren, Bell & Volinsky, 2009).

    What is minimized over the ratings that there are, and over those of 0 that are drawn with `negatives`, is
    ``sum((r - prediction)**2 + regularization * s)``, s being the squares of the factors and biases that make the
    prediction: a user with twice the ratings is regularized twice as much. `transform` finds the exact minimum for each
    user, given the items, and over all items that might be drawn; so users who were not there in `fit` are folded in.
    One without ratings gets zeros, which predicts the items' biases.

    Attributes:
        user_factors_: [U, K] float64, as `fit` left them.
        item_factors_: [I, K].
        user_biases_: [U]; zeros where not `biased`.
        item_biases_: [I]; zeros where not `biased`.
        mean_: of the ratings, and of zeros where there are `negatives`; 0 where not `biased`.
        train_rmse_: after each epoch, of the ratings learned from.
        validation_rmse_: the same of the validation matrix; empty without one.
        ratings_: `csr_array` [U, I] of the ratings that were learned from.
    """

    def __init__(
        self,
        n_components: PositiveInt = 20,
        *,
        solver: str = "sgd",
        biased: bool = True,
        regularization: NonNegativeFloat = 0.05,
        learning_rate: PositiveFloat = 0.01,
        n_epochs: PositiveInt = 20,
        init_std: NonNegativeFloat = 0.1,
        negatives: NonNegativeInt = 0,
        missing: Annotated[float, Range(or_nan=True)] = 0.0,
        random_state: Any = None,
    ):
        """Keep the arguments.

        Args:
            n_components: K, how many factors.
            solver: sgd, a step for each rating, users and each user's ratings in an order drawn again every epoch
                (Funk, 2006), or als, which solves
                for all users and then for all items (Zhou et al., 2008).
            biased: with a mean and biases.
            regularization: of factors and biases, for each rating.
            learning_rate: of sgd.
            n_epochs: passes over the ratings.
            init_std: standard deviation of the normal numbers that factors start from.
            negatives: of sgd: items that a user has not rated, drawn for each rating in every epoch and learned as
                ratings of 0 (negative sampling; Pan et al., 2008). Without any, nothing is learned of what users pass
                over: errors of ratings are least, and what is recommended is what few have rated, and those highly.
            missing: what says in a dense matrix that there is no rating: a number or NaN.
            random_state: None, an integer, a `RandomState` or a `Generator`.
        """
        self.n_components = n_components
        self.solver = solver
        self.biased = biased
        self.regularization = regularization
        self.learning_rate = learning_rate
        self.n_epochs = n_epochs
        self.init_std = init_std
        self.negatives = negatives
        self.missing = missing
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, validation: Any = None, on_epoch: OnEpoch | None = None) -> Self:
        """Learn the factors.

        Args:
            X: [U, I] ratings, dense or sparse.
            y: ignored.
            validation: [U, I] other ratings of the same users, whose error is recorded.
            on_epoch: is called with the errors after each epoch.

        Raises:
            SettingError: an argument of the constructor that cannot be, or a learning rate with which errors grow
                without bound.
        """
        epoch = self._checked()
        ratings = self._ratings(X, reset=True)
        rng = generator(self.random_state)
        self.mean_ = float(ratings.data.mean()) / (1 + self.negatives) if self.biased and ratings.nnz else 0.0
        factors = self._initial(ratings.shape, rng)
        pairs = CenteredRatings.of(ratings, self.mean_)
        held_out = (
            None if validation is None else CenteredRatings.of(self._validation(validation, ratings.shape), self.mean_)
        )
        self.train_rmse_, self.validation_rmse_ = [], []
        for _ in range(self.n_epochs):
            factors = epoch(pairs, factors, rng)
            self.train_rmse_.append(pairs.rmse(factors))
            require(
                bool(np.isfinite(self.train_rmse_[-1])),
                "learning_rate",
                self.learning_rate,
                "lower for these ratings, or their scale smaller (log1p of counts): the errors grew without bound",
            )
            if held_out is not None:
                self.validation_rmse_.append(held_out.rmse(factors))
            errors = {"train_rmse": self.train_rmse_, "validation_rmse": self.validation_rmse_}
            report_epoch(on_epoch, len(self.train_rmse_), self.n_epochs, **errors)
        self.user_factors_, self.item_factors_, self.user_biases_, self.item_biases_ = factors
        self.ratings_, self._n_features_out = ratings, self.n_components + bool(self.biased)
        return self

    def inverse_transform(self, X: Any) -> Array:
        """Return predicted ratings [B, I] float64 of users [B, K + 1] as `transform` gives them, the bias last."""
        check_is_fitted(self)
        rows = check_array(X, dtype=np.float64)
        return np.asarray(self.mean_ + self.item_biases_ + rows @ with_ones(self.item_factors_, self.biased).T)

    def _represent(self, ratings: Any) -> Array:
        pairs = CenteredRatings.of(ratings, self.mean_)
        items = self.item_factors_, self.item_biases_
        return solved(pairs, *items, self.regularization, self.biased, self.negatives, -self.mean_)

    def _checked(self) -> Any:
        require(self.n_components >= 1, "n_components", self.n_components, "at least 1")
        require(self.n_epochs >= 1, "n_epochs", self.n_epochs, "at least 1")
        require(self.learning_rate > 0, "learning_rate", self.learning_rate, "positive")
        require(self.regularization >= 0, "regularization", self.regularization, "at least 0")
        require(self.init_std > 0, "init_std", self.init_std, "positive")
        require(self.negatives >= 0, "negatives", self.negatives, "at least 0")
        drawn = self.solver == "sgd" or not self.negatives
        require(drawn, "negatives", self.negatives, "0 with als, which draws none")
        return choose("solver", self.solver, {"sgd": self._descend, "als": self._alternate})

    def _initial(self, shape: tuple[int, int], rng: np.random.Generator) -> Factors:
        what = f"{self.n_components:,} factors of {shape[0]:,} users and {shape[1]:,} items"
        require_memory(24 * self.n_components * sum(shape), what, "set {n_components} lower")
        users, items = (rng.normal(0.0, self.init_std, (n, self.n_components)) for n in shape)
        return Factors(users, items, np.zeros(shape[0]), np.zeros(shape[1]))

    def _descend(self, pairs: CenteredRatings, factors: Factors, rng: np.random.Generator) -> Factors:
        pairs = pairs.with_unrated(self.negatives, -self.mean_, rng) if self.negatives else pairs
        descend(
            shuffled(pairs.ends(), rng.permutation(pairs.shape[0]), rng),
            pairs.users,
            pairs.items,
            pairs.ratings,
            *factors,
            float(self.learning_rate),
            float(self.regularization),
            bool(self.biased),
        )
        return factors

    def _alternate(self, pairs: CenteredRatings, factors: Factors, rng: np.random.Generator) -> Factors:
        for side in (False, True):
            given = factors.users if side else factors.items
            biases = factors.user_biases if side else factors.item_biases
            rows = solved(pairs.turned() if side else pairs, given, biases, self.regularization, self.biased)
            own, bias = (rows[:, :-1], rows[:, -1]) if self.biased else (rows, np.zeros(len(rows)))
            changed = {"items": own, "item_biases": bias} if side else {"users": own, "user_biases": bias}
            factors = factors._replace(**{name: np.ascontiguousarray(array) for name, array in changed.items()})
        return factors

    def _validation(self, validation: Any, shape: tuple[int, int]) -> Any:
        matrix = check_array(validation, accept_sparse="csr", ensure_all_finite=False)
        require(matrix.shape == shape, "the validation matrix's shape", matrix.shape, f"{shape}, as the ratings'")
        return ratings_of(matrix, self.missing)


class TruncatedSVD(Recommender):
    """The best approximation of rank K: ``U diag(S) Vt`` of the matrix, with missing ratings as 0 and nothing centered.

    `transform` gives ``X V``, and `inverse_transform` multiplies by ``Vt``. Where the matrix has fewer than K rows or
    columns, K is as many.

    Attributes:
        components_: [K, I] float64 Vt, with orthonormal rows; the largest number of each is positive.
        singular_values_: [K] S, largest first.
        explained_variance_: [K] variance of each column of ``X V``.
        explained_variance_ratio_: [K] the same over the sum of the variances of the columns of X.
        ratings_: `csr_array` [U, I] of the ratings that were learned from.
    """

    def __init__(
        self,
        n_components: PositiveInt = 20,
        *,
        solver: str = "randomized",
        n_oversamples: NonNegativeInt = 10,
        n_iter: NonNegativeInt = 5,
        missing: Annotated[float, Range(or_nan=True)] = 0.0,
        random_state: Any = None,
    ):
        """Keep the arguments.

        Args:
            n_components: K.
            solver: randomized, which finds the range of the matrix by products with random vectors (Halko, Martinsson
                & Tropp, 2011, algorithms 4.4 and 5.1), or exact, by the eigenvectors of ``X Xt`` or ``Xt X``, whichever
                is smaller; singular values below a hundred millionth of the largest are lost there.
            n_oversamples: of randomized: random vectors beyond K.
            n_iter: of randomized: power iterations, each of which sharpens the fall of the singular values.
            missing: what says in a dense matrix that there is no rating: a number or NaN.
            random_state: None, an integer, a `RandomState` or a `Generator`.
        """
        self.n_components = n_components
        self.solver = solver
        self.n_oversamples = n_oversamples
        self.n_iter = n_iter
        self.missing = missing
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Decompose ratings X [U, I], dense or sparse; `y` is ignored.

        Raises:
            SettingError: an argument of the constructor that cannot be.
        """
        require(self.n_components >= 1, "n_components", self.n_components, "at least 1")
        require(self.n_oversamples >= 0, "n_oversamples", self.n_oversamples, "at least 0")
        require(self.n_iter >= 0, "n_iter", self.n_iter, "at least 0")
        decompose = choose("solver", self.solver, {"randomized": self._randomized, "exact": self._exact})
        self.ratings_ = self._ratings(X, reset=True)
        values, rows = decompose(self.ratings_, min(self.n_components, *self.ratings_.shape))
        signs = np.sign(np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], 1))
        self.singular_values_, self.components_ = values, rows * np.where(signs == 0, 1.0, signs)
        self.explained_variance_ = self._represent(self.ratings_).var(0)
        total = (self.ratings_.multiply(self.ratings_).mean(0) - self.ratings_.mean(0) ** 2).sum()
        self.explained_variance_ratio_ = self.explained_variance_ / (total or 1.0)
        self._n_features_out = len(values)
        return self

    def inverse_transform(self, X: Any) -> Array:
        """Return predicted ratings [B, I] float64 of users [B, K]."""
        check_is_fitted(self)
        return np.asarray(check_array(X, dtype=np.float64) @ self.components_)

    def _represent(self, ratings: Any) -> Array:
        return np.asarray(ratings @ self.components_.T)

    def _randomized(self, matrix: Any, k: int) -> tuple[Array, Array]:
        """Return singular values [k] and right vectors [k, I]."""
        width = min(k + self.n_oversamples, *matrix.shape)
        basis = matrix @ generator(self.random_state).standard_normal((matrix.shape[1], width))
        for _ in range(self.n_iter):
            basis = matrix @ np.linalg.qr(matrix.T @ np.linalg.qr(basis)[0])[0]
        _, values, rows = np.linalg.svd((matrix.T @ np.linalg.qr(basis)[0]).T, full_matrices=False)
        return values[:k], rows[:k]

    def _exact(self, matrix: Any, k: int) -> tuple[Array, Array]:
        wide = matrix.shape[1] > matrix.shape[0]
        gram = (matrix @ matrix.T if wide else matrix.T @ matrix).toarray()
        vectors = np.linalg.eigh(gram)[1][:, : -k - 1 : -1].T
        if wide:
            # What is left of a direction that the matrix does not have is noise, made orthogonal to the others here.
            vectors = np.linalg.qr(matrix.T @ vectors.T)[0].T
        return np.linalg.norm(matrix @ vectors.T, axis=0), vectors
