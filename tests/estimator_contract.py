"""scikit-learn's own checks of an estimator, counted beside those of its twin there."""

from __future__ import annotations

from typing import Any

from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

# Checks that need what is not installed here: pandas, or array API support switched on.
NEEDS = ("pandas is not installed", "SCIPY_ARRAY_API is not set", "does not have a decision_function")


def conforms(estimator: Any, twin: Any) -> None:
    """Assert that every check passes, and that no fewer are run than for `twin`."""
    results = check_estimator(estimator, on_skip=None)
    for result in results:
        lacks = any(need in str(result["exception"]) for need in NEEDS)
        assert result["status"] == "passed" or (result["status"] == "skipped" and lacks), result
    assert len(results) >= len(list(estimator_checks_generator(twin)))
