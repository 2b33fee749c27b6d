"""The folder of a fit run: its configuration, its metrics, its fitted model, and predictions for new rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rlkit.config.run_config import FitRunConfig
from rlkit.config.trust import packages
from rlkit.core.checkpoint import CheckpointError, Store
from rlkit.core.csv_tables import read_table
from rlkit.core.files import read_bytes
from rlkit.core.types import Array, RunError, State, UsageError, a_kind
from rlkit.fitting.about import checked_about
from rlkit.learners.kinds import kind_of
from rlkit.learners.model_names import SavingError
from rlkit.learners.persistence import from_state
from rlkit.runs.folder import fit_name, is_file, read_config, run_config
from rlkit.runs.run import Run

T = TypeVar("T")

MODEL = "model"
"""The folder of the model in the run folder; it is a checkpoint, of which there is one."""

FINAL_METRICS = "metrics.json"
"""The file of the metrics of the fitted model in the run folder."""


class FitRun:
    """A fit run's folder.

    Attributes:
        directory: the folder.
        values: config.yaml as plain data.
        config: the same, typed.
        tables: the CSV files that are attributes, without their suffix.
    """

    tables: tuple[str, ...] = ("metrics",)

    def __init__(self, directory: Path | str, trust: Any = None):
        """Open the folder of a fit run.

        Args:
            directory: the folder.
            trust: a package, or a list of them, whose classes the model may name (`rlkit.learners.persistence`).

        Raises:
            UsageError: it is not there, or not of `rlkit fit`.
        """
        self.directory = Path(directory)
        self._trust = packages(trust)
        self.values = read_config(self.directory)
        if "learner" not in self.values:
            raise UsageError(f"{directory} is a run of rlkit train; rlkit eval and rlkit play take it")
        self.config = run_config(FitRunConfig, self.values, self.directory)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.config.name

    @property
    def default_name(self) -> str:
        """The name of the run unless one is set."""
        return fit_name(self.config)

    @cached_property
    def metrics(self) -> dict[str, Array]:
        """Columns of metrics.csv, [rows] float64 each; NaN where a row does not have the metric."""
        return read_table(self.directory / "metrics.csv")

    @cached_property
    def final_metrics(self) -> dict[str, float]:
        """The metrics of the fitted model: ``train/accuracy``, ``test/accuracy``, ``folds/accuracy_mean`` and so on.

        Empty where fitting did not end.

        Raises:
            UsageError: the file holds something else.
        """
        path = self.directory / FINAL_METRICS
        if not path.exists():
            return {}
        try:
            return {str(name): float(value) for name, value in json.loads(read_bytes(path)).items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            raise UsageError(f"{path} holds no metrics: {error}") from error

    @property
    def has_model(self) -> bool:
        """Whether the fitted model was saved."""
        return bool(Store(self.directory / MODEL).steps())

    @cached_property
    def _state(self) -> State:
        try:
            return dict(Store(self.directory / MODEL).load_newest()[1])
        except (CheckpointError, TypeError, ValueError) as error:
            raise SavingError(
                f"{self.directory} holds no model that can be read: {error} (train.log says why)"
            ) from error

    @cached_property
    def model(self) -> Any:
        """The fitted pipeline: what `prepare` did, and the learner, `model[-1]`.

        Raises:
            SavingError: it was not saved, or cannot be read.
        """
        from sklearn.pipeline import Pipeline

        model = from_state(self._state.get("model", {}), self._trust, self.directory / MODEL)
        if not isinstance(model, Pipeline) or not model.steps:
            raise SavingError(f"{self.directory / MODEL} holds {a_kind(model)}, which is no pipeline")
        return model

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What is known of the data: task, features, target, classes, image_shape, items.

        Raises:
            SavingError: the model was not saved, or this part of it is damaged.
        """
        return checked_about(self._state.get("about"))

    def predict(self, X: Any) -> Array:
        """Return predictions [n] for rows X [n, d], texts [n] or images [n, channels * height * width].

        Classes come by their names where they have some.

        Raises:
            SavingError: the model was not saved, or cannot be read.
            UsageError: it is a recommender; `model[-1].recommend` is for those.
            RunError: the rows are not what the model takes, or the model does not fit together.
        """
        if self.about["task"] == "recommendation":
            raise UsageError(f"{self.name} recommends: run.model[-1].recommend(users) takes ratings")
        classes = self.about["classes"] if kind_of(self.model[-1]) == "classifier" else ()
        return named(self.asked(lambda model: model.predict(X)), classes)

    def asked(self, question: Callable[[Any], T]) -> T:
        """Return what `question` makes of the model, whatever it is made of.

        Raises:
            SavingError: the model was not saved, or cannot be read.
            RunError: the model raised an error.
        """
        model = self.model
        try:
            return question(model)
        except (UsageError, RunError):
            raise
        except Exception as error:  # whatever an estimator of somebody else raises
            what = " ".join(str(error).split())
            raise RunError(
                f"the model in {self.directory / MODEL} cannot predict these rows: {type(error).__name__}: {what}"
            ) from error


def opened(directory: Path | str, trust: Any = None, **objects: Any) -> Run | FitRun:
    """Return the run in a folder, of `rlkit train` or of `rlkit fit`; it may name classes of the packages `trust`.

    `objects` are ``env`` and ``wrappers`` of `rlkit.runs.run.Run`.

    Raises:
        UsageError: there is none.
    """
    if is_file(path := Path(directory)) or "learner" not in read_config(path):
        return Run(path, trust, **objects)  # a file may be a shared run
    return FitRun(path, trust)


def named(predicted: Array, classes: Any) -> Array:
    """Return the names [n] of classes for their numbers [n] int64; values as they are where `classes` is empty.

    Raises:
        SavingError: there is a number without a class.
    """
    found = np.asarray(predicted)
    if not len(classes) or found.dtype.kind not in "iu":
        return found
    if found.size and not 0 <= found.min() <= found.max() < len(classes):
        raise SavingError(f"the model predicts class {found.max()}, and it knows {len(classes)} by name; fit it again")
    names: Array = np.array(classes)
    return np.asarray(names[found.astype(int)])
