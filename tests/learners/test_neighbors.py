from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from estimator_contract import conforms
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.neighbors import KNeighborsTransformer

from rlkit.learners.estimators.neighbors import ItemKNNRecommender, Popularity, UserKNNRecommender
from rlkit.learners.estimators.settings import SettingError

SMALL = np.array([[5.0, 3, 0, 1], [4, 0, 0, 1], [1, 1, 0, 5], [0, 1, 5, 4]])


def random_ratings(seed: int, users: int = 12, items: int = 9) -> Any:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((users, items)) < 0.5, rng.integers(1, 6, (users, items)), 0).astype(float)


def kept(similarities: Any, k: int | None) -> Any:
    """Return the k largest positive numbers of each row, the first of equals, and zeros."""
    found = np.zeros_like(similarities)
    for row, similarity in zip(found, similarities, strict=True):
        best = np.argsort(-similarity, kind="stable")[: k or len(similarity)]
        row[best] = np.maximum(similarity[best], 0)
    return found


def prepared(ratings: Any, similarity: str) -> Any:
    if similarity == "binary_cosine":
        return (ratings != 0).astype(float)
    if similarity == "adjusted_cosine":
        rated = ratings != 0
        means = ratings.sum(1) / np.maximum(rated.sum(1), 1)
        return np.where(rated, ratings - means[:, None], 0.0)
    return ratings


class TestContract:
    @pytest.mark.parametrize(
        "estimator",
        [
            UserKNNRecommender(),
            ItemKNNRecommender(),
            UserKNNRecommender(None, prediction="mean", similarity="adjusted_cosine"),
            ItemKNNRecommender(prediction="mean", similarity="binary_cosine"),
            Popularity(),
            Popularity("mean"),
        ],
        ids=str,
    )
    def test_scikit_learn_s_checks(self, estimator: Any) -> None:
        conforms(estimator, KNeighborsTransformer())


KINDS = st.sampled_from(["cosine", "binary_cosine", "adjusted_cosine"])


class TestUsers:
    @given(st.integers(0, 10_000), st.sampled_from([1, 3, None]), KINDS)
    def test_it_is_the_naive_sum_over_similar_users(self, seed: int, k: int | None, similarity: str) -> None:
        ratings, others = random_ratings(seed), random_ratings(seed + 1, users=4)
        model = UserKNNRecommender(k, similarity=similarity).fit(ratings)
        rows = prepared(others, similarity)
        expected = kept(np.round(cosine_similarity(rows, prepared(ratings, similarity)), 12), k)
        weights = model.transform(others).toarray()
        # Of equal similarities rounding may prefer another one.
        np.testing.assert_allclose(np.sort(weights), np.sort(expected), atol=1e-9)
        np.testing.assert_allclose(model.inverse_transform(weights), weights @ ratings, atol=1e-9)

    def test_means_are_over_the_neighbours_that_have_a_rating(self) -> None:
        model = UserKNNRecommender(prediction="mean").fit(SMALL)
        weights = np.array([[0.5, 0, 0.5, 0], [0.0, 1, 0, 0]])
        np.testing.assert_allclose(model.inverse_transform(weights), [[3, 2, 0, 3], [4, 0, 0, 1]])

    def test_a_fitted_user_is_its_own_nearest(self) -> None:
        found = UserKNNRecommender(1).fit(SMALL).transform(SMALL)
        np.testing.assert_allclose(found.toarray(), np.eye(4), atol=1e-12)


class TestItems:
    @given(st.integers(0, 10_000), st.sampled_from([1, 3, None]), KINDS)
    def test_it_is_the_naive_sum_over_similar_items(self, seed: int, k: int | None, similarity: str) -> None:
        ratings = random_ratings(seed)
        model = ItemKNNRecommender(k, similarity=similarity).fit(ratings)
        similarities = cosine_similarity(prepared(ratings, similarity).T)
        np.fill_diagonal(similarities, 0)
        expected = kept(np.round(similarities, 12), k).T
        np.testing.assert_allclose(np.sort(model.similarity_.toarray(), 0), np.sort(expected, 0), atol=1e-9)
        np.testing.assert_array_equal(model.similarity_.diagonal(), 0)
        predicted = model.inverse_transform(model.transform(ratings))
        np.testing.assert_allclose(predicted, ratings @ model.similarity_.toarray(), atol=1e-9)

    def test_means_are_over_the_items_that_are_rated(self) -> None:
        model = ItemKNNRecommender(prediction="mean").fit(SMALL)
        similarity = model.similarity_.toarray()
        [predicted] = model.inverse_transform(np.array([[0.0, 2, 0, 4]]))
        for item in (0, 2):
            share = similarity[[1, 3], item]
            assert predicted[item] == pytest.approx((2 * share[0] + 4 * share[1]) / share.sum())
        np.testing.assert_array_equal(model.inverse_transform(np.zeros((1, 4))), np.zeros((1, 4)))

    def test_a_stored_zero_counts_in_a_mean(self) -> None:
        stored = sparse.csr_array((np.array([0.0, 4.0]), (np.array([0, 0]), np.array([1, 3]))), shape=(1, 4))
        model = ItemKNNRecommender(prediction="mean").fit(SMALL)
        assert model.inverse_transform(stored)[0, 0] < 4.0 == model.inverse_transform(stored.toarray())[0, 0]


class TestPopularity:
    @pytest.mark.parametrize(
        ("by", "popularity"),
        [("count", [3, 3, 1, 4]), ("sum", [10, 5, 5, 11]), ("mean", [10 / 3, 5 / 3, 5, 11 / 4])],
    )
    def test_everyone_is_told_the_same(self, by: str, popularity: list[float]) -> None:
        model = Popularity(by).fit(SMALL)
        np.testing.assert_allclose(model.popularity_, popularity)
        np.testing.assert_allclose(model.inverse_transform(model.transform(SMALL)), [popularity] * 4)

    def test_it_recommends_what_is_unseen(self) -> None:
        assert Popularity().fit(SMALL).recommend([0, 1], 2).tolist() == [[2, -1], [1, 2]]


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (UserKNNRecommender(0), "n_neighbors is 0; it must be at least 1, or None for all"),
        (ItemKNNRecommender(similarity="euclid"), "similarity is 'euclid'; it must be one of cosine, binary_cosine"),
        (ItemKNNRecommender(prediction="median"), "prediction is 'median'; it must be one of sum, mean"),
        (Popularity("fame"), "by is 'fame'; it must be one of count, sum, mean"),
    ],
)
def test_what_cannot_be_is_refused(estimator: Any, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        estimator.fit(SMALL)
