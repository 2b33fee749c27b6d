"""The contract of a learner: scikit-learn's, and what saving it without pickle needs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from textwrap import shorten
from typing import Any, NamedTuple

import numpy as np

from rlkit.core.types import Array
from rlkit.learners.kinds import kind_of
from rlkit.learners.persistence import from_state, packages_of, to_state
from rlkit.testing.rules import (
    OnResult,
    Result,
    conclude,
    examine,
    global_generators,
    moved_generators,
    require,
    require_equal,
    silent,
    survived,
)

MakeLearner = Callable[[], Any]
"""Builds a new estimator, not fitted, with the same parameters at each call."""


def check_learner(
    make_learner: MakeLearner, *, seed: int = 0, strict: bool = True, on_result: OnResult = silent
) -> list[Result]:
    """Check that an estimator keeps scikit-learn's contract, and can be saved without pickle.

    ::

        check_learner(lambda: MyClassifier(depth=3))

    Args:
        make_learner: builds a new estimator at each call.
        seed: of the rows, and of the estimator where it has a `random_state`.
        strict: raise where a rule is broken; else it is for the caller to read the results.
        on_result: called with each result as soon as it is there.

    Raises:
        ContractError: a rule is broken: one line for each, with the values and the remedy.
    """
    case = LearnerCase(make_learner, seed)
    results = examine(case, ESSENTIAL, RULES, on_result)
    if all(result.passed for result in results):
        results += scikit_learns_checks(make_learner(), on_result)
    return conclude(results, strict=strict)


class TrialData(NamedTuple):
    """Rows that an estimator is tried on."""

    X: Any
    y: Array | None


@dataclass
class LearnerCase:
    """An estimator on small data of its kind."""

    make_learner: MakeLearner
    seed: int

    def make(self) -> Any:
        """Return a new estimator, its `random_state` set where it has one."""
        made = self.make_learner()
        if "random_state" in made.get_params(deep=False):
            made.set_params(random_state=self.seed)
        return made

    @cached_property
    def kind(self) -> str:
        """What it does."""
        return kind_of(self.make())

    @cached_property
    def rows(self) -> TrialData:
        """Rows of its kind: three groups of points, or ratings; nothing is negative, for estimators of counts."""
        rng = np.random.default_rng(self.seed)
        if self.kind == "recommender":
            return TrialData(rng.integers(1, 6, (30, 20)) * (rng.random((30, 20)) < 0.4).astype(np.float64), None)
        if self.kind == "language_model":
            return TrialData(["to be or not to be, " * 10, "that is the question. " * 10], None)
        y = np.arange(60) % 3
        X = np.abs(rng.normal(size=(60, 4)) + 3 * y[:, None])
        return TrialData(X, X @ np.array([1.0, 2.0, 0.0, -1.0]) if self.kind == "regressor" else y)

    def fitted(self) -> Any:
        """Return an estimator fitted to the rows."""
        return self.make().fit(*self.rows)

    def predict(self, learner: Any) -> Array:
        """Return its predictions [n], transformed rows [n, F] or three recommendations [n, 3] of the rows."""
        if self.kind == "recommender":
            return np.asarray(learner.recommend(self.rows.X, 3))
        if self.kind == "language_model":
            return np.array([learner.generate(20, text) for text in self.rows.X])
        found = learner.transform(self.rows.X) if self.kind == "transformer" else learner.predict(self.rows.X)
        return np.asarray(found)


def is_an_estimator(case: LearnerCase) -> None:
    """It has `fit`, `get_params` and `set_params`, and predicts, transforms or recommends."""
    made = case.make_learner()
    for name in ("fit", "get_params", "set_params"):
        require(callable(getattr(made, name, None)), f"{type(made).__name__} has no {name}; extend BaseEstimator")
    wanted = {"recommender": "recommend", "transformer": "transform", "language_model": "generate"}.get(
        case.kind, "predict"
    )
    what = f"{type(made).__name__} has no {wanted}; a {case.kind} needs it"
    require(callable(getattr(made, wanted, None)), what)


def fits_and_predicts(case: LearnerCase) -> None:
    """`fit` returns the estimator itself, and it says something of each row."""
    learner = case.make()
    require(learner.fit(*case.rows) is learner, "fit returned something else; it returns self")
    found = case.predict(learner)
    require(len(found) == len(case.rows.X), f"it said {len(found)} things of {len(case.rows.X)} rows")
    if found.dtype.kind == "f":
        require(bool(np.isfinite(found).all()), "it predicted what is not finite")


def constructor_only_stores(case: LearnerCase) -> None:
    """The constructor keeps its arguments as they are, and nothing else."""
    learner = case.make_learner()
    more = sorted(set(vars(learner)) - set(learner.get_params(deep=False)))
    require(not more, f"the constructor sets {', '.join(more)}; it only stores its arguments, fit does the rest")


def fit_leaves_parameters_alone(case: LearnerCase) -> None:
    """`fit` changes no argument of the constructor, so that it can be cloned and fitted again."""
    learner = case.make()
    before = copy.deepcopy(learner.get_params(deep=False))
    learner.fit(*case.rows)
    for name, value in learner.get_params(deep=False).items():
        same = repr(value) == repr(before[name])
        require(same, f"fit changed {name} from {before[name]!r} to {value!r}; store it as {name}_ instead")


def learned_attributes_end_in_an_underscore(case: LearnerCase) -> None:
    """What `fit` learns is called like `coef_`; what it keeps for itself, like `_tree`."""
    learner = case.fitted()
    learned = set(vars(learner)) - set(learner.get_params(deep=False))
    wrong = sorted(name for name in learned if not name.endswith("_") and not name.startswith("_"))
    require(not wrong, f"fit sets {', '.join(wrong)}; call it {', '.join(f'{name}_' for name in wrong)}")


def rows_are_left_alone(case: LearnerCase) -> None:
    """Neither fitting nor predicting writes into the rows."""
    before = copy.deepcopy(tuple(case.rows))
    case.predict(case.fitted())
    require_equal(before, tuple(case.rows), "the rows were changed; work on a copy")


def global_generators_are_left_alone(case: LearnerCase) -> None:
    """Nothing draws from, or seeds, a generator of the whole process."""
    before = global_generators()
    case.predict(case.fitted())
    moved = moved_generators(before)
    require(not moved, f"{', '.join(moved)} moved; draw from a generator made of random_state")


def equal_seeds_make_equal_models(case: LearnerCase) -> None:
    """The same rows and `random_state` make the same model, to the bit."""
    first, second = (to_state(case.fitted()) for _ in range(2))
    require_equal(first["fitted"], second["fitted"], "two models of the same rows differ")


def predicting_learns_nothing(case: LearnerCase) -> None:
    """Predicting leaves the model as it is."""
    learner = case.fitted()
    before = to_state(learner)
    case.predict(learner)
    require_equal(before, to_state(learner), "predicting changed the model")


def survives_saving(case: LearnerCase) -> None:
    """Written as plain data and read again, it says the same: `rlkit predict` and agents' checkpoints need that."""
    learner = case.fitted()
    with survived(to_state(learner)) as state:
        require_equal(
            case.predict(learner),
            case.predict(from_state(state, packages_of(learner))),
            "read again, it says something else",
        )


ESSENTIAL = (is_an_estimator, fits_and_predicts)
RULES = (
    constructor_only_stores,
    fit_leaves_parameters_alone,
    learned_attributes_end_in_an_underscore,
    rows_are_left_alone,
    global_generators_are_left_alone,
    equal_seeds_make_equal_models,
    predicting_learns_nothing,
    survives_saving,
)


def scikit_learns_checks(learner: Any, on_result: OnResult = silent) -> list[Result]:
    """Return the results of `sklearn.utils.estimator_checks.check_estimator`, one for each of its checks."""
    results = []
    for result in _checked(learner):
        results.append(result)
        on_result(result)
    return results


LONGEST = 300
"""Characters of a complaint, which can hold whole arrays."""


def _checked(learner: Any) -> Iterator[Result]:
    import warnings

    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a check that cares for warnings catches them itself
        logs = check_estimator(learner, on_fail=None, on_skip=None)
    for log in logs:
        error = log["exception"]
        what = "" if error is None else shorten(f"{type(error).__name__}: {error}", LONGEST)
        skipped = log["status"] == "skipped"
        yield Result(log["check_name"], log["status"] == "passed" or skipped, f"skipped: {what}" if skipped else what)
