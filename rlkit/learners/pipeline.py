"""An estimator by the name of its class, and a pipeline of what comes before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlkit.config import signature
from rlkit.config.injection import locate
from rlkit.core.types import FromRun, UsageError, a_kind


def by_class(estimator: str, random_state: FromRun[int | None], **settings: Any) -> Any:
    """Return an estimator of any package.

    Args:
        estimator: its class, e.g. ``sklearn.svm.SVC``.
        random_state: where it has such a parameter, and not another value by itself.
        settings: its other parameters.

    Raises:
        UsageError: there is no such class, or it has no such parameter.
    """
    if "." not in estimator:
        raise UsageError(f"learner.estimator={estimator} is no class with its module, e.g. sklearn.svm.SVC")
    kind = locate(estimator, "learner")
    wanted = signature.parameters(kind)
    if signature.takes_seed(kind):
        settings = {**settings, "random_state": random_state}
    declared = signature.declared(kind, settings)
    settings = signature.settled(settings, declared)
    signature.refuse_unknown(settings, wanted, kind, "learner")
    signature.check(settings, declared, "learner")
    signature.require(wanted, set(settings), kind, "learner")
    return kind(**settings)


def chained(steps: Mapping[str, Any], learner: Any) -> Any:
    """Return transformers and, behind them, a learner, as one `sklearn.pipeline.Pipeline`.

    Raises:
        UsageError: one of them cannot be fitted.
    """
    from sklearn.pipeline import Pipeline

    for name, step in {**steps, "learner": learner}.items():
        if not callable(getattr(step, "fit", None)):
            raise UsageError(f"{name} is {a_kind(step)}, which has no fit: it is no estimator")
    return Pipeline([*steps.items(), ("learner", learner)])
