"""Checks of fitted arrays in saved models that compiled code walks through without looking at their bounds.

What NumPy computes with raises an error of its own where shapes do not fit; compiled code reads or writes beyond them.
Trees have `rlkit.learners.model_trees`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import sparse

from rlkit.learners.model_names import SavingError

Attributes = Mapping[str, Any]


def check_shapes(estimator: Any) -> None:
    """Check the fitted arrays of an estimator against each other.

    Raises:
        SavingError: they do not fit together.
    """
    fitted = vars(estimator)
    for attribute, check in CHECKS.items():
        if attribute in fitted:
            try:
                holds = check(estimator, fitted)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise SavingError(f"the model holds a damaged {attribute} ({error}); fit it again") from error
            if not holds:
                name = type(estimator).__name__
                raise SavingError(
                    f"the model holds a {name} whose {attribute} does not fit its other parts; fit it again"
                )


def _centers(estimator: Any, fitted: Attributes) -> bool:
    centers = fitted["cluster_centers_"]
    features = fitted.get("n_features_in_")
    return isinstance(centers, np.ndarray) and centers.ndim == 2 and len(centers) > 0 and centers.shape[1] == features


def _support_vectors(estimator: Any, fitted: Attributes) -> bool:
    """Check a support vector machine of libsvm, with n vectors and k classes; regressions count as two."""
    counts, support = fitted["_n_support"], fitted["support_"]
    n, k = len(support), len(counts)
    pairs = k * (k - 1) // 2
    shapes = {"_dual_coef_": (k - 1, n), "dual_coef_": (k - 1, n), "_intercept_": (pairs,), "intercept_": (pairs,)}
    fits = all(fitted[name].shape == shape for name, shape in shapes.items())
    has_chances = fitted.get("_effective_probability", False)
    known = ((pairs,),) if has_chances else ((0,), (pairs,))
    of_pairs = type(has_chances) is bool and all(fitted[name].shape in known for name in ("_probA", "_probB"))
    of_classes = "classes_" not in fitted or (len(fitted["classes_"]) == k and int(np.sum(counts)) == n)
    is_precomputed = estimator.kernel == "precomputed"
    vectors = is_precomputed or fitted["support_vectors_"].shape == (n, fitted["n_features_in_"])
    rows = int(fitted["shape_fit_"][0])
    within = n == 0 or bool(0 <= support.min() <= support.max() < rows)
    columns = not is_precomputed or fitted["n_features_in_"] == rows
    ends = k >= 2 and counts.ndim == 1 and support.ndim == 1 and bool((counts >= 0).all())
    return _layout(fitted, (k - 1) * n) and fits and of_pairs and of_classes and vectors and within and columns and ends


def _layout(fitted: Attributes, coefficients: int) -> bool:
    """Check that vectors and coefficients are sparse if the machine says so, and that no coefficient is left out."""
    vectors, weights, is_sparse = fitted["support_vectors_"], fitted["_dual_coef_"], fitted["_sparse"]
    if "_impl" in fitted or type(is_sparse) is not bool:
        return False
    if is_sparse:
        return sparse.issparse(vectors) and sparse.issparse(weights) and weights.data.shape == (coefficients,)
    return isinstance(vectors, np.ndarray) and isinstance(weights, np.ndarray)


def _one_hot(estimator: Any, fitted: Attributes) -> bool:
    """Check an encoder of categories, whose columns are computed again."""
    if len(fitted["categories_"]) != fitted["n_features_in_"]:
        return False
    if "_n_features_outs" not in fitted:
        return not hasattr(estimator, "_compute_n_features_outs")
    mappings = fitted.get("_default_to_infrequent_mappings", [None] * len(fitted["categories_"]))
    outs = estimator._compute_n_features_outs()
    inner = (mapping is None or 0 <= mapping.min() <= mapping.max() < len(mapping) for mapping in mappings)
    return list(outs) == list(fitted["_n_features_outs"]) and all(inner)


def _vocabulary(estimator: Any, fitted: Attributes) -> bool:
    columns = list(fitted["vocabulary_"].values())
    return all(isinstance(column, (int, np.integer)) for column in columns) and sorted(columns) == [
        *range(len(columns))
    ]


def _neighbors(estimator: Any, fitted: Attributes) -> bool:
    """Check that what is known of neighbors is there for each, and that their classes are."""
    rows, known = fitted["_fit_X"], fitted.get("_y")
    if rows.ndim != 2 or rows.shape != (fitted["n_samples_fit_"], fitted["n_features_in_"]):
        return False
    if known is None:
        return True
    if "classes_" not in fitted or isinstance(fitted["classes_"], list):
        return len(known) == len(rows)
    return known.shape[0] == len(rows) and bool(0 <= known.min() <= known.max() < len(fitted["classes_"]))


CHECKS: Mapping[str, Callable[[Any, Attributes], bool]] = {
    "cluster_centers_": _centers,
    "_n_support": _support_vectors,
    "categories_": _one_hot,
    "vocabulary_": _vocabulary,
    "_fit_X": _neighbors,
}
"""By the attribute that an estimator of the kind has."""
