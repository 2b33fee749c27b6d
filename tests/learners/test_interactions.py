from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_data import plays
from scipy import sparse
from sklearn.metrics import ndcg_score

from rlkit.learners.estimators.factorization import MatrixFactorization, TruncatedSVD
from rlkit.learners.estimators.interactions import interactions, leave_out, ndcg_at_k, precision_at_k, recall_at_k
from rlkit.learners.estimators.neighbors import ItemKNNRecommender, Popularity, UserKNNRecommender
from rlkit.learners.estimators.settings import SettingError


class TestMatrix:
    def test_ids_with_gaps_and_names_are_kept_and_zeros_are_stored(self) -> None:
        made = interactions([7, 2, 7, 2], ["x", "b", "b", "x"], [1.0, 0.0, 3.0, 4.0])
        assert made.users.tolist() == [2, 7]
        assert made.items.tolist() == ["b", "x"]
        assert made.matrix.toarray().tolist() == [[0, 4], [3, 1]]
        assert made.matrix.nnz == 4
        assert made.rows([7]).tolist() == [1]
        assert made.columns(["x", "b"]).tolist() == [1, 0]

    def test_without_values_pairs_are_ones(self) -> None:
        assert interactions([1, 2], [1, 1]).matrix.toarray().tolist() == [[1], [1]]

    def test_a_pair_that_comes_twice_and_columns_of_other_lengths_are_refused(self) -> None:
        with pytest.raises(SettingError, match="a pair that comes twice"):
            interactions([1, 1], [2, 2])
        with pytest.raises(SettingError, match=r"the length of users, items and values is \(2, 2, 1\)"):
            interactions([1, 1], [2, 3], [1.0])

    def test_an_unknown_id_is_named(self) -> None:
        made = interactions([7, 2], [1, 1])
        with pytest.raises(SettingError, match=r"an unknown user is \[9\]"):
            made.rows([7, 9])
        with pytest.raises(SettingError, match=r"an unknown item is \[0\]"):
            made.columns([0])


class TestSplit:
    @given(st.integers(0, 10_000))
    def test_users_with_enough_give_some_away_and_the_parts_make_the_whole(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        matrix = sparse.random_array((20, 15), density=0.4, rng=rng, format="csr")
        matrix.sort_indices()
        kept, given_away = leave_out(matrix, per_user=3, at_least=6, random_state=seed)
        counts = np.diff(matrix.indptr)
        np.testing.assert_array_equal(np.diff(given_away.indptr), np.where(counts >= 6, 3, 0))
        np.testing.assert_array_equal((kept + given_away).toarray(), matrix.toarray())
        assert kept.multiply(given_away).nnz == 0

    def test_more_than_a_user_has_cannot_be_asked_for(self) -> None:
        with pytest.raises(SettingError, match="per_user is 5; it must be from 0 to at_least, which is 4"):
            leave_out(sparse.csr_array((2, 2)), per_user=5, at_least=4)


class TestMetrics:
    RELEVANT = sparse.csr_array(np.array([[1, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]))
    LISTS = np.array([[0, 3, 4], [0, 1, 2], [1, 2, -1]])

    def test_by_hand(self) -> None:
        """The second user has nothing relevant, and does not count."""
        assert precision_at_k(self.LISTS, self.RELEVANT) == pytest.approx((2 / 3 + 1 / 3) / 2)
        assert recall_at_k(self.LISTS, self.RELEVANT) == pytest.approx((2 / 3 + 1) / 2)
        best = 1 + 1 / np.log2(3) + 1 / 2
        assert ndcg_at_k(self.LISTS, self.RELEVANT) == pytest.approx(((1 + 1 / 2) / best + 1 / np.log2(3)) / 2)

    @given(st.integers(0, 10_000), st.integers(1, 8))
    def test_ndcg_is_scikit_learn_s(self, seed: int, k: int) -> None:
        rng = np.random.default_rng(seed)
        truth, scores = rng.random((6, 8)) < 0.4, rng.random((6, 8))
        truth[:, 0] = True
        lists = np.argsort(-scores, 1)[:, :k]
        assert ndcg_at_k(lists, sparse.csr_array(truth)) == pytest.approx(ndcg_score(truth, scores, k=k))


@pytest.fixture(scope="module")
def lastfm() -> Any:
    rows = plays()
    return interactions(*rows.T)


def mapped(function: Any, matrix: Any) -> Any:
    return sparse.csr_array((function(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)


class TestLastFm:
    def test_the_matrix_is_as_it_was_counted(self, lastfm: Any) -> None:
        matrix = lastfm.matrix
        assert matrix.shape == (1892, 17632)
        assert matrix.nnz == 92834
        assert matrix.nnz / np.prod(matrix.shape) == pytest.approx(0.002783, abs=5e-7)
        assert (np.diff(matrix.indptr) == 50).sum() == 1829
        assert (matrix.data == 1).sum() == 636
        top = np.argsort(-matrix.data)[:5]
        users = lastfm.users[np.searchsorted(matrix.indptr, top, side="right") - 1]
        found = zip(users.tolist(), lastfm.items[matrix.indices[top]].tolist(), matrix.data[top].tolist(), strict=True)
        assert list(found) == [
            (1642, 72, 352698),
            (2071, 792, 324663),
            (1094, 511, 320725),
            (1905, 203, 257978),
            (1664, 498, 227829),
        ]

    def test_user_1236_has_the_scaled_plays_of_the_facts(self, lastfm: Any) -> None:
        matrix = lastfm.matrix
        scaled = (matrix.data - matrix.data.min()) / (matrix.data.max() - matrix.data.min())
        [row] = lastfm.rows([1236])
        own = np.sort(scaled[matrix.indptr[row] : matrix.indptr[row + 1]])[::-1][:10]
        facts = [0.196486, 0.052734, 0.043204, 0.042016, 0.029742, 0.029031, 0.025657, 0.021690, 0.021562, 0.020879]
        np.testing.assert_allclose(own, facts, atol=5e-7)

    def precision(self, model: Any, known: Any, held_out: Any) -> float:
        return precision_at_k(model.fit(known).recommend(np.arange(1892), 10), held_out)

    def test_rankings_beat_popularity_twice(self, lastfm: Any) -> None:
        known, held_out = leave_out(lastfm.matrix, random_state=0)
        assert (held_out.nnz, (np.diff(held_out.indptr) > 0).sum()) == (27720, 1848)
        popularity = self.precision(Popularity(), known, held_out)
        assert popularity == pytest.approx(0.102, abs=0.002)
        items = self.precision(ItemKNNRecommender(None), mapped(np.ones_like, known), held_out)
        assert items == pytest.approx(0.244, abs=0.005)
        assert items >= 2 * popularity

    @pytest.mark.slow
    def test_the_other_recommenders_have_the_precision_of_the_facts(self, lastfm: Any) -> None:
        known, held_out = leave_out(lastfm.matrix, random_state=0)
        logs, ones = mapped(np.log1p, known), mapped(np.ones_like, known)
        svd = TruncatedSVD(20, random_state=0)
        assert self.precision(svd, logs, held_out) == pytest.approx(0.212, abs=0.004)
        assert self.precision(svd, ones, held_out) == pytest.approx(0.218, abs=0.004)
        assert self.precision(UserKNNRecommender(None), ones, held_out) == pytest.approx(0.189, abs=0.002)
        assert self.precision(UserKNNRecommender(), logs, held_out) >= 2 * 0.102

    def test_the_error_of_held_out_plays_falls(self, lastfm: Any) -> None:
        logs, held_out_logs = (mapped(np.log1p, part) for part in leave_out(lastfm.matrix, random_state=0))
        factors = MatrixFactorization(10, random_state=0).fit(logs, validation=held_out_logs)
        errors = factors.validation_rmse_
        assert (np.diff(errors[:14]) < 0).all()
        assert min(errors) == pytest.approx(0.801, abs=0.003)
        assert len(errors) == len(factors.train_rmse_) == 20
