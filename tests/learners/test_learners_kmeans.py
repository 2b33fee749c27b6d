from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn.cluster
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, load_sample_image, make_blobs

from rlkit.learners.estimators.kmeans import KMeans


def test_flat_colours_come_back() -> None:
    """An image of flat colours, as pixels and as colours weighted by their number."""
    colours = np.array([[249, 248, 250], [66, 82, 166], [252, 102, 147], [189, 188, 208], [55, 70, 152]], float)
    counts = np.array([900, 400, 250, 100, 50])
    pixels = np.random.default_rng(0).permutation(np.repeat(colours, counts, axis=0))
    for X, weights in ((pixels, None), (colours, counts)):
        model = KMeans(5, random_state=0).fit(X, sample_weight=weights)
        size = np.bincount(model.labels_, weights, minlength=5)
        order = np.argsort(-size)
        np.testing.assert_allclose(model.cluster_centers_[order], colours, atol=1e-9)
        assert size[order].tolist() == counts.tolist()
        assert model.inertia_ == pytest.approx(0, abs=1e-9)
    found = ["#" + "".join(f"{round(channel):02x}" for channel in center) for center in model.cluster_centers_[order]]
    assert found == ["#f9f8fa", "#4252a6", "#fc6693", "#bdbcd0", "#374698"]


def palette() -> Any:
    return load_sample_image("china.jpg")[::16, ::16].reshape(-1, 3).astype(float)


@pytest.mark.parametrize(
    ("X", "k"),
    [(load_digits().data, 10), (load_iris().data, 3), (palette(), 8)],
    ids=["digits", "iris", "picture"],
)
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_same_start_leads_where_scikit_learns_does(X: Any, k: int, kind: Any, weighted: bool) -> None:
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X)) if weighted else None
    init = X[np.random.default_rng(0).choice(len(X), k, replace=False)]
    theirs = sklearn.cluster.KMeans(k, init=init, n_init=1, tol=0).fit(kind(X), sample_weight=weights)
    ours = KMeans(k, init=init, tol=0).fit(kind(X), sample_weight=weights)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert (ours.n_iter_, ours.inertia_) == (theirs.n_iter_, pytest.approx(theirs.inertia_, rel=1e-9))
    np.testing.assert_array_equal(ours.predict(kind(X)), theirs.predict(kind(X)))
    np.testing.assert_allclose(ours.transform(kind(X)), theirs.transform(kind(X)), rtol=1e-5, atol=1e-4)
    assert ours.score(kind(X), sample_weight=weights) == pytest.approx(-ours.inertia_, rel=1e-9)


def test_tol_is_scikit_learns() -> None:
    X = load_digits().data
    for tol in (1e-4, 1e-2, 1.0):
        theirs = sklearn.cluster.KMeans(10, init=X[:10], n_init=1, tol=tol).fit(X)
        ours = KMeans(10, init=X[:10], tol=tol).fit(X)
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-9, atol=1e-9)


def test_starts_are_good_and_the_best_is_kept() -> None:
    X, _ = make_blobs(600, centers=12, cluster_std=0.3, random_state=0)
    theirs = sklearn.cluster.KMeans(12, n_init=10, random_state=0).fit(X).inertia_
    assert KMeans(12, random_state=0).fit(X).inertia_ == pytest.approx(theirs, rel=1e-6)
    single = [KMeans(12, n_init=1, random_state=seed).fit(X).inertia_ for seed in range(6)]
    plain = [KMeans(12, n_init=1, init="random", random_state=seed).fit(X).inertia_ for seed in range(6)]
    assert np.mean(single) < np.mean(plain)
    best = KMeans(12, n_init=6, init="random", random_state=0).fit(X).inertia_
    assert best < np.mean(plain)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_empty_centres_move_to_the_farthest_rows(kind: Any) -> None:
    X = np.array([[0.0, 0], [1, 0], [0, 1], [40, 0], [0, 60], [0, 60]])
    far = np.array([[0.3, 0.3], [900.0, 900], [901.0, 900]])
    one = KMeans(3, init=far, max_iter=1, tol=0).fit(kind(X))
    assert one.cluster_centers_.tolist() == [pytest.approx([41 / 6, 121 / 6]), [0, 60], [40, 0]]
    whole = KMeans(3, init=far).fit(kind(X))
    np.testing.assert_allclose(whole.cluster_centers_, [[1 / 3, 1 / 3], [0, 60], [40, 0]])
    equal = KMeans(3, init=np.array([[1.0, 1], [9, 9], [8, 8]])).fit(kind(np.ones((4, 2))))
    assert (equal.inertia_, equal.labels_.tolist()) == (0, [0, 0, 0, 0])


def test_mini_batches_come_near_and_reseed() -> None:
    X, _ = make_blobs(3000, centers=6, cluster_std=0.5, random_state=0)
    whole = KMeans(6, random_state=0).fit(X)
    batches = KMeans(6, batch_size=100, max_iter=60, random_state=0).fit(X)
    assert whole.inertia_ < batches.inertia_ < 1.05 * whole.inertia_
    assert batches.n_iter_ <= 60
    lost = KMeans(6, init=np.full((6, 2), 1e4) + np.eye(6, 2), batch_size=500, random_state=0).fit(X)
    assert lost.inertia_ < 5 * whole.inertia_
    assert KMeans(2, batch_size=100, tol=1e9, random_state=0).fit(X).n_iter_ == 1


def test_draws_depend_on_what_rows_hold_not_on_their_order_or_repetition() -> None:
    X = load_iris().data
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 3, len(X))
    order = rng.permutation(np.repeat(np.arange(len(X)), weights))
    for options in ({}, {"init": "random"}, {"batch_size": 20, "max_iter": 15}):
        model = KMeans(4, n_init=2, random_state=1, **options).fit(X, sample_weight=weights)
        repeated = KMeans(4, n_init=2, random_state=1, **options).fit(X[order])
        np.testing.assert_allclose(model.cluster_centers_, repeated.cluster_centers_, rtol=1e-9)


def test_what_cannot_be_is_told() -> None:
    X = load_iris().data
    with pytest.raises(ValueError, match=r"n_samples=2 should be >= n_clusters=3"):
        KMeans(3).fit(X[:2])
    with pytest.raises(ValueError, match=r"init has shape \(2, 4\); give centers \[3, 4\]"):
        KMeans(3, init=X[:2]).fit(X)
    model = KMeans(3, random_state=0).fit(X)
    assert model.get_feature_names_out().tolist() == ["kmeans0", "kmeans1", "kmeans2"]
