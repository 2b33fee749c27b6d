from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from estimator_contract import conforms
from scipy import sparse
from sklearn.decomposition import TruncatedSVD as TheirSVD
from sklearn.utils.estimator_checks import check_estimator

from rlkit.learners.estimators.factor_kernels import descend, shuffled
from rlkit.learners.estimators.factorization import MatrixFactorization, TruncatedSVD
from rlkit.learners.estimators.recommending import users_of
from rlkit.learners.estimators.settings import SettingError


def planted(users: int = 60, items: int = 40, share: float = 0.5, noise: float = 0.1) -> tuple[Any, Any]:
    """Return ratings of rank 3 with biases around 3.5, some of which are there, and others held out."""
    rng = np.random.default_rng(0)
    full = 3.5 + rng.normal(0, 0.5, (users, 1)) + rng.normal(0, 0.5, items)
    full += rng.normal(size=(users, 3)) @ rng.normal(size=(3, items)) / 2 + noise * rng.normal(size=(users, items))
    chosen = rng.random((users, items))
    known = [np.where((chosen >= low) & (chosen < high), full, 0.0) for low, high in ((0, share), (share, 1))]
    return known[0], known[1]


def objective(model: Any, ratings: Any) -> float:
    """Return what is minimised: squared errors, and the squares of what makes each prediction."""
    users, items = np.nonzero(ratings)
    p, q = model.user_factors_[users], model.item_factors_[items]
    bu, bi = model.user_biases_[users], model.item_biases_[items]
    errors = ratings[users, items] - (model.mean_ + bu + bi + (p * q).sum(1))
    squares = (p * p).sum() + (q * q).sum() + (bu * bu).sum() + (bi * bi).sum()
    return float(errors @ errors + model.regularization * squares)


class TestContract:
    @pytest.mark.parametrize(
        "estimator",
        [
            MatrixFactorization(),
            MatrixFactorization(solver="als", biased=False, n_epochs=3),
            TruncatedSVD(),
            TruncatedSVD(solver="exact"),
        ],
        ids=str,
    )
    def test_scikit_learn_s_checks(self, estimator: Any) -> None:
        conforms(estimator, TheirSVD())

    def test_scikit_learn_s_checks_where_nan_is_missing(self) -> None:
        """NaN need not be refused then, which is one check fewer."""
        results = check_estimator(MatrixFactorization(solver="als", n_epochs=3, missing=np.nan), on_skip=None)
        assert {result["status"] for result in results} <= {"passed", "skipped"}


class TestSteps:
    def test_one_step_by_hand_moves_both_rows_from_the_old_pair(self) -> None:
        p, q, bu, bi = np.array([[1.0, 2.0]]), np.array([[3.0, 1.0]]), np.array([0.5]), np.array([-1.0])
        one = np.zeros(1, np.int64)
        # The prediction is 5 + 0.5 - 1 = 4.5, the error 2; rate 0.1, decay 0.5.
        descend(one, one, one, np.array([6.5]), p, q, bu, bi, 0.1, 0.5, True)
        np.testing.assert_allclose(p, [[1 + 0.1 * (2 * 3 - 0.5), 2 + 0.1 * (2 * 1 - 1)]], rtol=1e-14)
        np.testing.assert_allclose(q, [[3 + 0.1 * (2 * 1 - 1.5), 1 + 0.1 * (2 * 2 - 0.5)]], rtol=1e-14)
        np.testing.assert_allclose([bu[0], bi[0]], [0.5 + 0.1 * (2 - 0.25), -1 + 0.1 * (2 + 0.5)], rtol=1e-14)

    def test_steps_follow_the_gradient_of_the_objective(self) -> None:
        """A tiny step on every rating is half the rate times the negative gradient, by central differences."""
        ratings, _ = planted(6, 5)
        options: dict[str, Any] = {"n_epochs": 1, "random_state": 0, "regularization": 0.3, "init_std": 0.5}
        model = MatrixFactorization(2, learning_rate=1e-12, **options).fit(ratings)
        moved = MatrixFactorization(2, learning_rate=1e-6, **options).fit(ratings)
        for name in ("user_factors_", "item_factors_", "user_biases_", "item_biases_"):
            array, slope = getattr(model, name), np.zeros_like(getattr(model, name))
            for place in np.ndindex(array.shape):
                values = []
                for step in (1e-5, -1e-5):
                    array[place] += step
                    values.append(objective(model, ratings))
                    array[place] -= step
                slope[place] = (values[0] - values[1]) / 2e-5
            np.testing.assert_allclose((getattr(moved, name) - array) / 1e-6, -slope / 2, atol=1e-3)

    def test_an_order_holds_every_rating_once_row_after_row(self) -> None:
        ends = np.array([0, 3, 3, 7, 8])
        rng = np.random.default_rng(0)
        orders = {tuple(shuffled(ends, np.array([2, 0, 3, 1]), rng)) for _ in range(50)}
        assert len(orders) > 30
        for order in orders:
            assert sorted(order[:4]) == [3, 4, 5, 6]
            assert sorted(order[4:7]) == [0, 1, 2]
            assert order[7] == 7

    def test_every_order_of_a_row_is_as_likely(self) -> None:
        rng = np.random.default_rng(0)
        drawn = [tuple(shuffled(np.array([0, 3]), np.array([0]), rng)) for _ in range(6000)]
        counts = np.unique(drawn, axis=0, return_counts=True)[1]
        assert len(counts) == 6
        assert np.abs(counts - 1000).max() < 120


class TestMatrixFactorization:
    @pytest.mark.parametrize("solver", ["sgd", "als"])
    def test_planted_ratings_are_found_again(self, solver: str) -> None:
        known, held_out = planted()
        options: dict[str, Any] = {"regularization": 0.02, "n_epochs": 150, "learning_rate": 0.02, "random_state": 0}
        model = MatrixFactorization(3, solver=solver, **options).fit(known, validation=held_out)
        assert len(model.train_rmse_) == len(model.validation_rmse_) == 150
        assert model.validation_rmse_[-1] < 0.25
        assert model.validation_rmse_[-1] < 0.4 * model.validation_rmse_[0]
        users, items = np.nonzero(held_out)
        predicted = model.inverse_transform(model.transform(known))[users, items]
        assert np.sqrt(((predicted - held_out[users, items]) ** 2).mean()) < 0.25

    def test_recorded_errors_are_those_of_the_factors(self) -> None:
        known, held_out = planted()
        model = MatrixFactorization(3, random_state=0).fit(known, validation=held_out)
        rows = np.column_stack((model.user_factors_, model.user_biases_))
        for ratings, recorded in ((known, model.train_rmse_), (held_out, model.validation_rmse_)):
            users, items = np.nonzero(ratings)
            errors = model.inverse_transform(rows)[users, items] - ratings[users, items]
            assert recorded[-1] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-12)

    @pytest.mark.parametrize("biased", [True, False])
    def test_alternating_least_squares_never_raises_the_objective(self, biased: bool) -> None:
        known, _ = planted()
        found = [
            objective(MatrixFactorization(4, solver="als", biased=biased, n_epochs=n, random_state=0).fit(known), known)
            for n in range(1, 9)
        ]
        assert (np.diff(found) <= 1e-9).all()
        assert found[-1] < 0.9 * found[0]

    def test_gradient_descent_comes_close_to_the_same_objective(self) -> None:
        known, _ = planted()
        options: dict[str, Any] = {"random_state": 0, "regularization": 0.1}
        als = MatrixFactorization(3, solver="als", n_epochs=200, **options).fit(known)
        sgd = MatrixFactorization(3, n_epochs=600, learning_rate=0.01, **options).fit(known)
        assert objective(sgd, known) == pytest.approx(objective(als, known), rel=0.03)

    @pytest.mark.parametrize("biased", [True, False])
    def test_users_are_folded_in_at_the_exact_minimum(self, biased: bool) -> None:
        known, _ = planted()
        model = MatrixFactorization(3, biased=biased, random_state=0).fit(known)
        newcomer = np.zeros((1, 40))
        newcomer[0, [1, 5, 9, 20]] = [5, 4, 1, 2]
        [found] = model.transform(newcomer)
        rated = np.flatnonzero(newcomer[0])
        design = model.item_factors_[rated]
        design = np.column_stack((design, np.ones(4))) if biased else design
        target = newcomer[0, rated] - model.mean_ - model.item_biases_[rated]
        expected = np.linalg.solve(design.T @ design + 0.05 * 4 * np.eye(design.shape[1]), design.T @ target)
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        np.testing.assert_array_equal(model.transform(np.zeros((1, 40))), np.zeros((1, 3 + biased)))
        assert len(model.get_feature_names_out()) == 3 + biased
        nobody = model.inverse_transform(np.zeros((1, 3 + biased)))
        np.testing.assert_allclose(nobody[0], model.mean_ + model.item_biases_)

    def test_without_regularisation_the_shortest_solution_is_taken(self) -> None:
        known, _ = planted()
        model = MatrixFactorization(5, biased=False, regularization=0.0, random_state=0).fit(known)
        newcomer = np.zeros((1, 40))
        newcomer[0, 3] = 2.0
        expected = np.linalg.pinv(model.item_factors_[3:4]) @ [2.0]
        np.testing.assert_allclose(model.transform(newcomer)[0], expected, rtol=1e-9)

    def test_a_stored_zero_is_a_rating_and_an_absent_one_is_missing(self) -> None:
        users, items = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 2])
        stored = sparse.csr_array((np.array([0.0, 4.0, 0.0, 4.0]), (users, items)), shape=(2, 3))
        model = MatrixFactorization(2, random_state=0).fit(stored)
        assert model.ratings_.nnz == 4
        assert model.mean_ == 2.0
        dense = MatrixFactorization(2, random_state=0).fit(stored.toarray())
        assert dense.ratings_.nnz == 2
        assert dense.mean_ == 4.0
        marked = np.full((2, 3), np.nan)
        marked[users, items] = [0, 4, 0, 4]
        same = MatrixFactorization(2, missing=np.nan, random_state=0).fit(marked)
        np.testing.assert_array_equal(same.user_factors_, model.user_factors_)
        np.testing.assert_array_equal(same.transform(marked), model.transform(stored))

    def test_dense_and_sparse_matrices_are_the_same_ratings(self) -> None:
        known, _ = planted()
        dense = MatrixFactorization(3, random_state=0).fit(known)
        for kind in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
            model = MatrixFactorization(3, random_state=0).fit(kind(known))
            np.testing.assert_array_equal(model.item_factors_, dense.item_factors_)
            np.testing.assert_array_equal(model.transform(kind(known)), dense.transform(known))

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"solver": "svd"}, "solver is 'svd'; it must be one of sgd, als"),
            ({"n_components": 0}, "n_components is 0; it must be at least 1"),
            ({"n_epochs": 0}, "n_epochs is 0"),
            ({"learning_rate": 0}, "learning_rate is 0; it must be positive"),
            ({"regularization": -1}, "regularization is -1; it must be at least 0"),
            ({"init_std": 0}, "init_std is 0"),
            ({"learning_rate": 1e9}, "the errors grew without bound"),
        ],
    )
    def test_what_cannot_be_is_refused_in_one_line(self, options: dict[str, Any], words: str) -> None:
        with np.errstate(all="ignore"), pytest.raises(SettingError, match=words) as caught:
            MatrixFactorization(**options).fit(planted()[0])
        assert "\n" not in str(caught.value)

    def test_a_validation_matrix_of_another_shape_is_refused(self) -> None:
        with pytest.raises(SettingError, match="the validation matrix's shape"):
            MatrixFactorization().fit(planted()[0], validation=np.ones((2, 2)))


class TestRecommend:
    def test_the_best_unseen_items_come_first_and_nothing_seen_ever(self) -> None:
        known, _ = planted()
        model = MatrixFactorization(3, random_state=0).fit(known)
        scores = model.inverse_transform(model.transform(known))
        found = model.recommend(np.arange(60), 5)
        assert found.shape == (60, 5)
        for user in range(60):
            unseen = np.flatnonzero(known[user] == 0)
            expected = unseen[np.argsort(-scores[user, unseen], kind="stable")[:5]]
            np.testing.assert_array_equal(found[user], expected)
        np.testing.assert_array_equal(model.recommend(known[:3], 5), found[:3])
        np.testing.assert_array_equal(model.recommend(sparse.csr_array(known[:3]), 5), found[:3])

    def test_what_is_excluded_is_the_caller_s_choice(self) -> None:
        known, held_out = planted()
        model = MatrixFactorization(3, random_state=0).fit(known)
        everything = model.recommend([0], 40, exclude=None)[0]
        assert sorted(everything) == list(range(40))
        unheld = model.recommend([0], 40, exclude=held_out[:1])[0]
        assert set(unheld) - {-1} == set(np.flatnonzero(held_out[0] == 0))
        assert (unheld == -1).sum() == (held_out[0] != 0).sum()

    @pytest.mark.parametrize(
        ("n", "exclude", "words"),
        [(0, None, "n is 0"), (1, "none", "exclude is 'none'"), (1, np.ones((2, 2)), "exclude's shape")],
    )
    def test_what_cannot_be_is_refused(self, n: int, exclude: Any, words: str) -> None:
        with pytest.raises(SettingError, match=words):
            MatrixFactorization(random_state=0).fit(planted()[0]).recommend([0], n, exclude=exclude)

    def test_rows_of_ratings(self) -> None:
        assert users_of(sparse.csr_array(np.array([[0, 1, 1], [0, 0, 0], [1, 0, 0]]))).tolist() == [0, 0, 2]


class TestTruncatedSVD:
    @pytest.mark.parametrize("solver", ["randomized", "exact"])
    @pytest.mark.parametrize("shape", [(50, 30), (30, 50)])
    @pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
    def test_it_is_numpy_s_decomposition(self, solver: str, shape: tuple[int, int], kind: Any) -> None:
        matrix = np.random.default_rng(0).normal(size=shape) * 0.8 ** np.arange(shape[1])
        u, s, vt = np.linalg.svd(matrix)
        model = TruncatedSVD(4, solver=solver, random_state=0).fit(kind(matrix))
        np.testing.assert_allclose(model.singular_values_, s[:4], rtol=1e-7)
        signs = np.sign((model.components_ * vt[:4]).sum(1))
        np.testing.assert_allclose(model.components_, signs[:, None] * vt[:4], atol=1e-5)
        np.testing.assert_allclose(model.transform(kind(matrix)), signs * u[:, :4] * s[:4], atol=1e-4)
        best = u[:, :4] * s[:4] @ vt[:4]
        np.testing.assert_allclose(model.inverse_transform(model.transform(kind(matrix))), best, atol=1e-4)

    def test_variances_are_scikit_learn_s(self) -> None:
        matrix = np.random.default_rng(0).normal(size=(40, 20))
        ours = TruncatedSVD(5, solver="exact").fit(matrix)
        theirs = TheirSVD(5, algorithm="arpack").fit(matrix)
        np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-9)
        np.testing.assert_allclose(ours.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-9)

    def test_the_largest_number_of_a_component_is_positive_whatever_the_seed(self) -> None:
        matrix = np.random.default_rng(0).normal(size=(40, 20))
        for seed in range(4):
            components = TruncatedSVD(5, random_state=seed).fit(matrix).components_
            assert (components[np.arange(5), np.abs(components).argmax(1)] > 0).all()
            np.testing.assert_allclose(components @ components.T, np.eye(5), atol=1e-10)

    def test_a_matrix_of_lower_rank_has_zeros_at_the_end(self) -> None:
        matrix = np.outer(np.arange(1.0, 6), np.arange(1.0, 8))
        for solver in ("randomized", "exact"):
            model = TruncatedSVD(3, solver=solver, random_state=0).fit(matrix)
            np.testing.assert_allclose(model.singular_values_[1:] / model.singular_values_[0], 0, atol=1e-7)
            np.testing.assert_allclose(model.inverse_transform(model.transform(matrix)), matrix, atol=1e-6)
        assert TruncatedSVD(30).fit(matrix).components_.shape == (5, 7)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"n_components": 0}, "n_components is 0"),
            ({"solver": "full"}, "solver is 'full'; it must be one of randomized, exact"),
            ({"n_iter": -1}, "n_iter is -1"),
            ({"n_oversamples": -1}, "n_oversamples is -1"),
        ],
    )
    def test_what_cannot_be_is_refused(self, options: dict[str, Any], words: str) -> None:
        with pytest.raises(SettingError, match=words):
            TruncatedSVD(**options).fit(planted()[0])
