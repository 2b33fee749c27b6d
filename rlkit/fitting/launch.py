"""A fit run from its command line to its folder: data, pipeline, metrics, model, predictions, plots."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rlkit.config import instantiate
from rlkit.config.run_config import FitRunConfig, requested
from rlkit.config.typed import plain_data
from rlkit.core.callback import CLOCK, Callback, RunInfo
from rlkit.core.checkpoint import Store
from rlkit.core.files import write_whole
from rlkit.core.resources import checked_device
from rlkit.core.seeding import Seeds
from rlkit.core.types import RunError, UsageError
from rlkit.fitting.about import about
from rlkit.fitting.predicting import predict_own
from rlkit.fitting.run import FINAL_METRICS, MODEL, FitRun
from rlkit.fitting.session import Outcome, described, fit
from rlkit.fitting.stopping import explained_stops
from rlkit.learners.datasets import Dataset
from rlkit.learners.datasets.load import load_data
from rlkit.learners.kinds import require_fit
from rlkit.learners.persistence import packages_of, proven, to_state
from rlkit.learners.pipeline import chained
from rlkit.runs.callbacks import Callbacks, ending, joined, notify
from rlkit.runs.folder import fit_name, locked, placed, write_folder
from rlkit.runs.origin import identity
from rlkit.runs.request import Request, require_loggers, traceback_kept

TABLES = ("metrics", "timings")


SCORED = 10_000
"""Characters of a text on which a language model that was read again is compared."""


def start(request: Request) -> FitRun:
    """Fit as `request` asks, in a new run folder.

    Raises:
        UsageError: something that the run needs is missing, or does not fit.
        RunError: the data cannot be read or downloaded, or the learner refuses it.
    """
    asked = requested(FitRunConfig, request.config, request.choices)
    _check(asked)
    notes: list[str] = []
    data = load_data(asked.data, asked.seed, notes.append)
    pipeline = make_pipeline(asked, data)
    kind = require_fit(pipeline, data)
    config = _placed(asked)
    directory = Path(config.run_dir)
    write_folder(directory, plain_data(config))
    try:
        return _fit(config, data, pipeline, kind, notes)
    except UsageError:
        # Nothing was learned: the mistake is fixed and the same command typed again.
        if not (directory / FINAL_METRICS).exists():
            shutil.rmtree(directory)
        raise


def _placed(config: FitRunConfig) -> FitRunConfig:
    from rlkit.config.compose import swept

    name, directory = placed(config.name, config.run_dir, fit_name(config, swept()), resumes=False)
    return replace(config, name=name, run_dir=str(directory))


def _check(config: FitRunConfig) -> None:
    checked_device(config.device)
    require_loggers(config.logger)


def make_pipeline(config: FitRunConfig, data: Dataset) -> Any:
    """Build the transformers of `prepare` and the learner, as one `sklearn.pipeline.Pipeline`.

    Constructors can ask (`rlkit.config.injection` says how) for `task` (of the data), `random_state` (a number of
    their own, from the run's seed), `image_shape` (channels, height, width; None where rows are not images) and
    `device` (which may be auto). An estimator whose `random_state` is None gets one without asking.

    Raises:
        UsageError: a class cannot be imported, or does not take its options.
    """
    context: instantiate.Context = {
        "task": lambda path: data.task,
        "random_state": Seeds(config.seed).number,
        "image_shape": lambda path: data.image_shape,
        "device": lambda path: config.device,
    }
    steps = instantiate.build(config.prepare, context, "prepare")
    return chained(steps, instantiate.build(config.learner, context, "learner"))


def _fit(config: FitRunConfig, data: Dataset, pipeline: Any, kind: str, notes: list[str]) -> FitRun:
    from threadpoolctl import threadpool_limits

    directory = Path(config.run_dir)
    with ExitStack() as stack:
        stack.enter_context(locked(directory))
        stack.enter_context(traceback_kept(directory / "train.log"))
        stack.enter_context(threadpool_limits(config.threads))
        callbacks = joined(instantiate.build(config.logger, {}, "logger"))
        stack.enter_context(ending(callbacks, [None]))

        def say(line: str) -> None:
            notify(callbacks, Callback.message, line)

        values, own = plain_data(config), identity(directory)
        info = RunInfo(config.name, directory, own, values, 0, 1, tables=TABLES, verb="fit", say=say)
        notify(callbacks, Callback.start, info)
        for line in (f"fitting {config.name} in {directory}", *notes):
            say(line)
        with explained_stops(directory, say):
            outcome = fit(pipeline, kind, data, config, callbacks)
            _finish(config, data, outcome, callbacks, say)
    return FitRun(directory, packages_of(outcome.pipeline))


def _finish(
    config: FitRunConfig, data: Dataset, outcome: Outcome, callbacks: Callbacks, say: Callable[[str], None]
) -> None:
    """Log the metrics, save the model, write predictions and draw; then say what there is."""
    directory, rows = Path(config.run_dir), outcome.rows()
    for step, metrics in rows.items():
        notify(callbacks, Callback.metrics, step, metrics)
    write_whole(directory / FINAL_METRICS, json.dumps(outcome.metrics, indent=1) + "\n")
    notify(callbacks, Callback.metrics, max(rows), {f"{CLOCK}fit_seconds": outcome.seconds})
    for part in ("train", "test", "popularity", "folds"):
        metrics = {
            name.removeprefix(f"{part}/"): value for name, value in outcome.metrics.items() if name.startswith(part)
        }
        if metrics:
            say(f"{part}: {described(metrics)}")
    try:
        save(directory, data, outcome)
    except RunError as error:
        say(f"no model: {error}")
    with _without(say, "encoder"):
        _save_encoder(directory, outcome.pipeline)
    with _without(say, "predictions"):
        for path in predict_own(directory, data, outcome, config.at):
            say(f"predictions: {path}")
    if config.plots:
        from rlkit.fitting.plots import draw

        drawn: list[Path] = []
        with _without(say, "plots"):
            drawn += draw(directory, data, outcome)
        for path in drawn:
            notify(callbacks, Callback.media, max(rows), path)
    say(f"run folder: {directory}")


@contextmanager
def _without(say: Callable[[str], None], what: str) -> Iterator[None]:
    """Go on where a file cannot be written: the model is there."""
    try:
        yield
    except (OSError, RunError) as error:
        say(f"no {what}: {error}")


def save(directory: Path, data: Dataset, outcome: Outcome) -> None:
    """Write the fitted pipeline, checked to predict the same when it is read again.

    Raises:
        SavingError: something in it is not plain data.
        RunError: the disk is full or cannot be written.
    """
    some = outcome.split.train.X[:100]
    if outcome.kind == "language_model":
        some = [text[:SCORED] for text in some]
    predict = partial(_predict_few, outcome.kind, some)
    state = proven(outcome.pipeline, to_state(outcome.pipeline), predict)
    Store(directory / MODEL).save(0, {"model": state, "about": about(data)})


def _save_encoder(directory: Path, pipeline: Any) -> None:
    """Write the weights that agents can start from, where the learner has a torso."""
    learner = pipeline[-1]
    if hasattr(learner, "encoder_state_dict"):
        from rlkit.networks.weights import FILE, save_encoder

        save_encoder(directory / FILE, learner.encoder_state_dict(), float(learner.scale_), len(pipeline) - 1)


def _predict_few(kind: str, some: Any, pipeline: Any) -> Any:
    if kind == "language_model":
        return pipeline.score(some)
    return pipeline[-1].recommend(some, 1) if kind == "recommender" else pipeline.predict(some)
