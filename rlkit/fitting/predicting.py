"""The predictions of a fitted model for rows, as CSV files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core.files import write_whole
from rlkit.core.types import Array, UsageError
from rlkit.fitting.predictions import Input, read_input, read_ratings, write_csv
from rlkit.fitting.run import FitRun, named
from rlkit.fitting.session import Outcome
from rlkit.learners.datasets import Dataset
from rlkit.learners.scores import probabilities_of

SHOWN_USERS = 1000
"""Users of the data set whose recommendations are written."""

SAMPLE, CONTINUED = 1000, 200
"""Characters of a language model's own, and of what it adds to a line."""


def predict_own(directory: Path, data: Dataset, outcome: Outcome, at: int) -> list[Path]:
    """Write the predictions that the data set itself asks for, and return their files.

    ``predictions.csv`` has those of held-out rows beside the truth, or the recommendations of the first thousand users;
    ``sample.txt`` has what a language model writes. ``submission.csv`` has those of rows whose target is not known, by
    their ids.

    Raises:
        RunError: one cannot be written.
    """
    pipeline, test = outcome.pipeline, outcome.split.test
    if outcome.kind == "recommender":
        users = data.extra["users"][:SHOWN_USERS]
        found = pipeline[-1].recommend(np.arange(len(users)), at)
        return [_recommendations(directory / "predictions.csv", users, found, data.extra["items"], data.items)]
    if outcome.kind == "language_model":
        return [_sample(directory / "sample.txt", pipeline[-1])]
    written = []
    if test is not None and test.y is not None:
        predicted = named(pipeline.predict(test.X), _classes(outcome.kind, data.classes))
        rows = zip(named(test.y, data.classes), predicted, strict=True)
        written.append(write_csv(directory / "predictions.csv", (data.target, "predicted"), rows))
    if data.unlabeled is not None and data.ids is not None:
        name, ids = data.ids
        predicted = named(pipeline.predict(data.unlabeled.X), _classes(outcome.kind, data.classes))
        rows = zip(ids, predicted, strict=True)
        written.append(write_csv(directory / "submission.csv", (name, data.target), rows))
    return written


def _sample(path: Path, model: Any) -> Path:
    write_whole(path, model.generate(SAMPLE) + "\n")
    return path


def _classes(kind: str, classes: Sequence[str]) -> Sequence[str]:
    """Return the names of what is predicted: the numbers of clusters have none."""
    return classes if kind == "classifier" else ()


def predict_file(run: FitRun, path: str, out: Path, *, array: str, probabilities: bool, at: int) -> int:
    """Write the predictions for the rows of a file or folder, and return how many.

    Args:
        run: whose model it is.
        path: what `read_input` reads; for a recommender, lines of user, item and value; for a language model, lines
            that it goes on with.
        out: the CSV file.
        array: the array of an ``.npz`` file.
        probabilities: a column for the probability of each class, too.
        at: recommendations for each user.

    Raises:
        UsageError: the rows do not fit the model, or `out` cannot be written.
        SavingError: the model was not saved, or cannot be read.
    """
    about = run.about
    if about["task"] == "recommendation":
        ratings = about["ratings"]
        users, known = read_ratings(path, ratings)
        found = run.asked(lambda model: model[-1].recommend(known, at))
        _recommendations(out, users, found, ratings["items"], ratings["names"], "out")
        return len(users)
    rows_in = read_input(path, about, array)
    if about["task"] == "language":
        said = run.asked(lambda model: [model[-1].generate(CONTINUED, text) for text in rows_in.X])
        write_csv(out, ("row", "text", "continued"), zip(rows_in.ids[1], rows_in.X, said, strict=True), "out")
        return len(said)
    columns, header = _columns(run, rows_in, probabilities)
    write_csv(out, header, zip(*columns, strict=True), "out")
    return len(columns[0])


def _columns(run: FitRun, rows_in: Input, probabilities: bool) -> tuple[list[Any], list[str]]:
    name, ids = rows_in.ids
    target = run.about["target"] if run.about["task"] != "clustering" else "cluster"
    columns, header = [ids, run.predict(rows_in.X)], [name, target]
    if not probabilities:
        return columns, header
    found = run.asked(lambda model: probabilities_of(model, rows_in.X))
    if found is None:
        raise UsageError(f"{type(run.model[-1]).__name__} has no probabilities; leave probabilities=true out")
    names = named(run.model.classes_, run.about["classes"])
    return [*columns, *found.T], [*header, *(f"P({label})" for label in names)]


def _recommendations(
    path: Path,
    users: Sequence[Any] | Array,
    found: Array,
    items: Sequence[Any] | Array,
    names: Sequence[str],
    key: str = "",
) -> Path:
    rows = (
        (user, rank, items[item], names[item])
        for user, row in zip(users, found, strict=True)
        for rank, item in enumerate(row, start=1)
        if item >= 0
    )
    return write_csv(path, ("user", "rank", "item", "name"), rows, key)
