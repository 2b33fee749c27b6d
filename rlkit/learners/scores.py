"""Metrics of a fitted estimator on rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.datasets.dataset import Rows

CHUNK = 256
"""Users whose ratings of all items are in memory at once."""
SILHOUETTE_ROWS = 2000
"""Rows that a silhouette is computed of, which takes the distances of all pairs."""


def scores(kind: str, pipeline: Any, rows: Rows) -> dict[str, float]:
    """Return the metrics of a classifier, regressor, clusterer or language model on rows.

    Precision, recall and F1 are means over the classes, each of which counts alike; a class that was never predicted
    has precision 0.
    """
    table = {"classifier": classification, "regressor": regression, "clusterer": clustering, "language_model": language}
    return table[kind](pipeline, rows)


def classification(pipeline: Any, rows: Rows) -> dict[str, float]:
    """Return accuracy, precision, recall and F1, and the mean log loss where there are probabilities."""
    from sklearn.metrics import accuracy_score, log_loss, precision_recall_fscore_support

    assert rows.y is not None, "classification has a target"
    predicted = pipeline.predict(rows.X)
    means = precision_recall_fscore_support(rows.y, predicted, average="macro", zero_division=0.0)
    found = {"accuracy": float(accuracy_score(rows.y, predicted))}
    found |= {name: float(value) for name, value in zip(("precision", "recall", "f1"), means[:3], strict=True)}
    # Of a single class scikit-learn computes no loss.
    known = len(pipeline.classes_) > 1 and bool(np.isin(rows.y, pipeline.classes_).all())
    if known and (probabilities := probabilities_of(pipeline, rows.X)) is not None:
        found["log_loss"] = float(log_loss(rows.y, probabilities, labels=pipeline.classes_))
    return found


def probabilities_of(pipeline: Any, X: Any) -> Array | None:
    """Return the probabilities [n, classes] of a classifier that has them."""
    predict = getattr(pipeline, "predict_proba", None)
    return None if predict is None else np.asarray(predict(X))


def regression(pipeline: Any, rows: Rows) -> dict[str, float]:
    """Return RMSE, mean absolute error and R2 (one less the squared errors over those of the mean)."""
    assert rows.y is not None, "regression has a target"
    error = rows.y - pipeline.predict(rows.X)
    spread = float(((rows.y - rows.y.mean()) ** 2).sum())
    found = {"rmse": float(np.sqrt((error**2).mean())), "mae": float(np.abs(error).mean())}
    return found if spread == 0 else {**found, "r2": float(1 - (error**2).sum() / spread)}


def clustering(pipeline: Any, rows: Rows) -> dict[str, float]:
    """Return the clusters, the mean squared distance to their means, the silhouette, and how like classes they are.

    The mean squared distance is to the mean of the rows in the same cluster. The silhouette (Rousseeuw, 1987) is that
    of evenly spaced rows, 2,000 at most; the adjusted Rand index (Hubert and Arabie, 1985) is for y that are classes.
    """
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    X = np.asarray(pipeline[:-1].transform(rows.X) if len(pipeline) > 1 else rows.X, np.float64)
    labels, cluster = np.unique(pipeline.predict(rows.X), return_inverse=True)
    means = np.stack([X[cluster == i].mean(0) for i in range(len(labels))])
    found = {"clusters": float(len(labels)), "squared_distance": float(((X - means[cluster]) ** 2).sum(1).mean())}
    some = np.unique(np.linspace(0, len(X) - 1, SILHOUETTE_ROWS).astype(int))
    if 1 < len(np.unique(cluster[some])) < len(some):
        found["silhouette"] = float(silhouette_score(X[some], cluster[some]))
    if rows.y is not None and rows.y.dtype.kind in "OUSiub":
        found["adjusted_rand"] = float(adjusted_rand_score(rows.y, cluster))
    return found


def language(pipeline: Any, rows: Rows) -> dict[str, float]:
    """Return the bits that a character takes, and the perplexity: among how many equally likely ones it would be."""
    bits = float(pipeline.score(rows.X))
    return {"bits_per_character": bits, "perplexity": float(2**bits)}


def rating_error(learner: Any, known: Any, rated: Any) -> float:
    """Return the RMSE of the predicted ratings of users, given those `known`, where they are `rated`.

    Args:
        learner: a fitted recommender.
        known: CSR [users, items] of what is known of them.
        rated: CSR [users, items] of what is to be predicted.
    """
    squares = 0.0
    for start in range(0, rated.shape[0], CHUNK):
        rows = slice(start, start + CHUNK)
        predicted = np.asarray(learner.inverse_transform(learner.transform(known[rows])))
        part = rated[rows].tocoo()
        squares += float(((predicted[part.coords] - part.data) ** 2).sum())
    return float(np.sqrt(squares / max(rated.nnz, 1)))


def ranking(recommended: Array, relevant: Any, at: int) -> dict[str, float]:
    """Return precision, recall and NDCG of the first `at` recommendations, means over users with something held out.

    Args:
        recommended: [users, at] items, the best first; −1 for none.
        relevant: CSR [users, items] of what is held out, each as relevant as the other.
        at: how many count: precision divides by it, the ideal order of NDCG has as many as there are up to it.
    """
    from rlkit.learners.estimators.interactions import ndcg_at_k, precision_at_k, recall_at_k

    if not relevant.nnz:
        return {}
    measures = {"precision": precision_at_k, "recall": recall_at_k, "ndcg": ndcg_at_k}
    return {f"{name}_at_{at}": measure(recommended[:, :at], relevant) for name, measure in measures.items()}


def popular(known: Any, at: int) -> Array:
    """Return the items [users, at] that most users have, but for those that each has: the baseline of rankings."""
    from rlkit.learners.estimators.neighbors import Popularity

    return Popularity().fit(known).recommend(np.arange(known.shape[0]), at)
