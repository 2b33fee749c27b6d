"""Fitting a pipeline: hold out, cross-validate, fit, score."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from rlkit.config.run_config import FitRunConfig
from rlkit.core.callback import Callback
from rlkit.core.seeding import Seeds
from rlkit.core.types import Array, Metrics, RunError, UsageError
from rlkit.learners import scores
from rlkit.learners.datasets import Dataset
from rlkit.learners.estimators.epochs import OnEpoch
from rlkit.learners.kinds import kind_of
from rlkit.learners.splits import Split, folds, split
from rlkit.runs.callbacks import Callbacks, notify

HISTORIES: Mapping[str, tuple[str, ...]] = {
    "cost": ("cost_history_", "train_cost_", "loss_curve_"),
    "validation_cost": ("validation_cost_history_", "validation_cost_"),
    "train_rmse": ("train_rmse_",),
    "validation_rmse": ("validation_rmse_",),
}
"""Metrics of each epoch, and the attributes in which estimators record them, ours and scikit-learn's."""

ROWS = 500
"""Rows of metrics.csv that show a history; of longer ones, epochs at even distances and the last."""


class History(NamedTuple):
    """A metric by epoch."""

    epochs: Array  # [n]; 0 for what was there before the first
    values: Array  # [n] float64


class Outcome(NamedTuple):
    """A fitted pipeline and its metrics."""

    pipeline: Any
    kind: str
    split: Split
    seconds: float  # that fitting took
    histories: dict[str, History]
    folds: list[dict[str, float]]  # metrics of each
    metrics: dict[str, float]  # of the whole: ``train/…``, ``test/…``, ``folds/…``

    def rows(self) -> dict[int, dict[str, float]]:
        """Return the rows of metrics.csv by step: an epoch and a fold each, and what is of the whole in the last."""
        table: dict[int, dict[str, float]] = {}
        for name, history in self.histories.items():
            for epoch, value in zip(*thinned(history), strict=True):
                table.setdefault(int(epoch), {})[name] = float(value)
        for number, metrics in enumerate(self.folds, start=1):
            table.setdefault(number, {}).update({f"fold/{name}": value for name, value in metrics.items()})
        table.setdefault(max(table, default=1), {}).update(self.metrics)
        return dict(sorted(table.items()))


def fit(pipeline: Any, kind: str, data: Dataset, config: FitRunConfig, callbacks: Callbacks) -> Outcome:
    """Fit a pipeline, and score it on the rows that it was fitted to and on those held out.

    Args:
        pipeline: not fitted.
        kind: what it does.
        data: what it learns from.
        config: of the run, of which `test_size`, `folds`, `at` and `seed` matter.
        callbacks: of the run.

    Raises:
        UsageError: the rows cannot be split as asked.
        RunError: the estimator refuses them.
    """
    seeds = Seeds(config.seed)

    def on_epoch(epoch: int, epochs: int, metrics: Metrics) -> None:
        notify(callbacks, Callback.epoch, epoch, epochs, metrics)

    def say(line: str) -> None:
        notify(callbacks, Callback.message, line)

    parts = split(data, config.test_size, seeds)
    found = []
    if config.folds:
        for number, part in enumerate(folds(data, parts.train, config.folds, seeds.number("folds")), start=1):
            assert part.test is not None, "a fold holds rows out"
            fold = fitted(pipeline, part, on_epoch, say)
            found.append(scores.scores(kind, fold, part.test))
            say(f"fold {number} of {config.folds}: {described(found[-1])}")
    rows = "texts" if data.texts else f"rows of {parts.train.X.shape[1]:,} columns"
    say(f"fitting {type(pipeline[-1]).__name__} on {parts.train.X.shape[0]:,} {rows}")
    started = time.perf_counter()
    done = fitted(pipeline, parts, on_epoch, say)
    seconds = time.perf_counter() - started
    metrics = {**_metrics(kind, done, parts, config.at), **_over(found)}
    return Outcome(done, kind, parts, seconds, histories(done[-1]), found, metrics)


def fitted(pipeline: Any, parts: Split, on_epoch: OnEpoch, say: Callable[[str], None]) -> Any:
    """Return a fitted copy of a pipeline.

    Args:
        pipeline: not fitted.
        parts: what it learns from, and the held-out rows that a learner may watch.
        on_epoch: called after each epoch of such a learner.
        say: called with each warning.

    Raises:
        RunError: the estimator refuses the rows.
    """
    from sklearn.base import clone

    fresh = clone(pipeline)
    before, learner, train = fresh[:-1], fresh[-1], parts.train
    takes = inspect.signature(learner.fit).parameters
    watched: dict[str, Any] = {"on_epoch": on_epoch} if "on_epoch" in takes else {}
    with _complaints(type(learner).__name__, say):
        X = before.fit_transform(train.X, train.y) if len(before) else train.X
        if "validation" in takes:
            watched |= _validation(before, learner, parts)
        learner.fit(X, train.y, **watched)
    return fresh


def _validation(before: Any, learner: Any, parts: Split) -> dict[str, Any]:
    """Return held-out rows for a learner that records their cost, unless it would choose by them."""
    test = parts.test
    if test is None or learner.get_params(deep=False).get("early_stopping"):
        return {}
    X = before.transform(test.X) if len(before) else test.X
    if test.y is None:
        return {"validation": X}
    if kind_of(learner) != "classifier" or parts.train.y is None:
        return {"validation": (X, test.y)}
    # A class without a row to learn from has no cost: its probability is not computed.
    known = np.isin(test.y, parts.train.y)
    return {"validation": (X[known], test.y[known])} if known.any() else {}


@contextmanager
def _complaints(name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Show warnings as lines of the run, each once, and turn an estimator's complaint about the rows into one line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except (UsageError, RunError):
            raise
        except (ValueError, TypeError) as error:
            raise RunError(f"{name} cannot be fitted: {' '.join(str(error).split())}") from error
        finally:
            for line in dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught):
                say(f"{name}: {line}")


def _metrics(kind: str, fitted: Any, parts: Split, at: int) -> dict[str, float]:
    if kind == "recommender":
        return _recommender_metrics(fitted[-1], parts, at)
    metrics = _named("train", scores.scores(kind, fitted, parts.train))
    return metrics | (_named("test", scores.scores(kind, fitted, parts.test)) if parts.test is not None else {})


def _recommender_metrics(learner: Any, parts: Split, at: int) -> dict[str, float]:
    known = parts.train.X
    metrics = {"train/rmse": scores.rating_error(learner, known, known)}
    if parts.test is None:
        return metrics
    metrics["test/rmse"] = scores.rating_error(learner, known, parts.test.X)
    recommended = learner.recommend(np.arange(known.shape[0]), at)
    metrics |= _named("test", scores.ranking(recommended, parts.test.X, at))
    return metrics | _named("popularity", scores.ranking(scores.popular(known, at), parts.test.X, at))


def _named(part: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{part}/{name}": value for name, value in metrics.items()}


def _over(found: list[dict[str, float]]) -> dict[str, float]:
    """Return mean and standard deviation (over k − 1) of each metric that every fold has."""
    if not found:
        return {}
    metrics: dict[str, float] = {}
    for name in found[0]:
        values = np.array([fold.get(name, np.nan) for fold in found])
        if np.isfinite(values).all():
            metrics |= {f"folds/{name}_mean": float(values.mean()), f"folds/{name}_std": float(values.std(ddof=1))}
    return metrics


def histories(learner: Any) -> dict[str, History]:
    """Return what an estimator recorded of each epoch; where there is one value more, the first is before training."""
    attributes = vars(learner)
    found = {}
    for name, known in HISTORIES.items():
        recorded = next((attributes[attribute] for attribute in known if attributes.get(attribute) is not None), ())
        values = np.asarray(recorded, np.float64)
        if values.ndim == 1 and len(values) and np.isfinite(values).all():
            start = 0 if np.ravel(attributes.get("n_iter_", -1)).tolist() == [len(values) - 1] else 1
            found[name] = History(np.arange(start, start + len(values)), values)
    return found


def thinned(history: History) -> History:
    """Return `ROWS` of a history at most, the first and the last among them."""
    kept = np.unique(np.linspace(0, len(history.values) - 1, ROWS).round().astype(int))
    return History(history.epochs[kept], history.values[kept])


def described(metrics: Mapping[str, float]) -> str:
    """Return metrics in a line, means with their standard deviations."""
    spread = {name.removesuffix("_std"): value for name, value in metrics.items() if name.endswith("_std")}
    parts = []
    for name, value in metrics.items():
        base = name.removesuffix("_mean")
        if base in spread and base != name:
            parts.append(f"{base} {value:.5g} ± {spread[base]:.2g}")
        elif not name.endswith("_std"):
            parts.append(f"{name} {value:.5g}")
    return ", ".join(parts)
