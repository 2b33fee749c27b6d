"""A sweep's folder: what each of its jobs trains, frozen before the first one starts, and how each has ended.

``sweep.yaml`` holds YAML documents: the first lists the jobs, and each of the others is the configuration of one. The
folder of each run is made when the sweep is frozen, and marked by a ``sweep.json`` as this sweep's own.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from rlkit.config.run_config import TrainRunConfig, findable, requested
from rlkit.config.trust import Trust, require_trusted
from rlkit.core.files import write_whole
from rlkit.core.types import UsageError
from rlkit.runs import launch, origin
from rlkit.runs.folder import (
    PlainLoader,
    parsed,
    placed,
    run_config,
    training_config,
    training_name,
    training_values,
    wait_until_free,
)

if TYPE_CHECKING:
    from rlkit.config.compose import Choices
    from rlkit.runs.run import Run

FILE = "sweep.yaml"
MARK = "sweep.json"
"""The file that marks the folder of a run as that of a job."""

OUTCOMES = "outcomes"
SEPARATOR = "\n---\n"
FILED = ("logger", "callback")
"""Nodes that send to other places."""

PATIENCE = 20.0
"""Seconds that the processes of a sweep that was killed may take to end, which launchers have on other machines."""

WORD = re.compile(r"[^\x00-\x1f\x7f-\x9f]*")


class Job(NamedTuple):
    """A job of a sweep."""

    number: int
    words: list[str]  # those that it does not share with the others
    run_dir: str | None  # None: it was refused when the sweep started
    refused: str | None

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"[{' '.join(word.lstrip('+') for word in self.words)}]"


class JobOutcome(NamedTuple):
    """How a job ended: with a run, whose objective this is, or with an error."""

    objective: float | None = None
    stopped: str | None = None
    failed: str | None = None
    usage: bool = False  # the error is a mistake in the command


class Sweep:
    """The folder of a sweep.

    Attributes:
        directory: the folder.
    """

    def __init__(self, directory: Path):
        """Open the folder of a sweep, which may be somebody else's.

        Raises:
            UsageError: there is none.
        """
        self.directory = directory
        try:
            self._documents = (directory / FILE).read_text().split(SEPARATOR)
        except (OSError, ValueError) as error:
            raise UsageError(f"there is no sweep {directory} (no {FILE} in it)") from error

    @cached_property
    def _header(self) -> dict[str, Any]:
        path = self.directory / FILE
        try:
            header = yaml.load(self._documents[0], PlainLoader)
            ids, jobs = header["sweep"], header["jobs"]
            texts = [
                ids,
                *(text for job in jobs for text in (*job["words"], job["run_dir"] or "", job["refused"] or "")),
            ]
            if len(jobs) + 1 != len(self._documents) or not all(map(WORD.fullmatch, texts)):
                raise ValueError("its jobs do not fit")
        except (yaml.YAMLError, LookupError, TypeError, ValueError, RecursionError) as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise UsageError(f"{path} is not a sweep of rlkit's: {why}") from error
        return dict(header)

    @property
    def jobs(self) -> list[Job]:
        """All jobs.

        Raises:
            UsageError: the file is not one of rlkit's.
        """
        return [
            Job(number, list(job["words"]), job["run_dir"], job["refused"])
            for number, job in enumerate(self._header["jobs"])
        ]

    def outcome(self, number: int) -> JobOutcome | None:
        """Return how a job has ended; None: it has not."""
        try:
            values = json.loads(self._outcome_file(number).read_text())
            return JobOutcome(**{key: values[key] for key in JobOutcome._fields})
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def keep(self, number: int, outcome: JobOutcome) -> None:
        """Write how a job has ended."""
        path = self._outcome_file(number)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, json.dumps(outcome._asdict()) + "\n")

    def forget(self, number: int) -> None:
        """Delete how a job has ended, before it is tried once more."""
        self._outcome_file(number).unlink(missing_ok=True)

    def unfinished(self) -> list[int]:
        """Return the jobs to start or to go on with: all but those with a run that has ended by itself."""
        return [job.number for job in self.jobs if job.refused is None and not self.is_finished(job.number)]

    def is_finished(self, number: int) -> bool:
        """Return whether a job's run has ended by itself."""
        outcome = self.outcome(number)
        return outcome is not None and outcome.failed is None

    def train(self, number: int, trust: Trust, *, typed: bool) -> Run:
        """Train a job's run, or go on with it.

        Args:
            number: of the job.
            trust: what its configuration may name, beside rlkit's own.
            typed: the configuration was typed in the command that started this job, so that it may name anything.

        Raises:
            UsageError: something that the run needs is missing, or does not fit.
            RunError: something failed on the way.
        """
        path = self.directory / FILE
        config = run_config(TrainRunConfig, self.values(number), self.directory)
        directory = Path(config.run_dir)
        self._require_own(directory, number)
        with _left_free(directory):
            if (directory / "config.yaml").exists():
                wait_until_free(directory, PATIENCE)
                path, config = directory / "config.yaml", replace(training_config(directory), run_dir=str(directory))
            else:
                config = launch.in_group(config, self.directory.name, self.jobs[number].words)
            values = training_values(config)
            _allow(values, path, trust, typed=typed)
            return launch.start_or_resume(config, stored=() if typed else FILED)

    def prepared(self, number: int, trust: Trust, *, typed: bool) -> TrainRunConfig:
        """Return the configuration of a job that something else than rlkit trains, into the job's folder.

        Args:
            number: as in `train`.
            trust: as in `train`.
            typed: as in `train`.

        Raises:
            UsageError: it names what it may not, or the folder is another's.
        """
        config = run_config(TrainRunConfig, self.values(number), self.directory)
        self._require_own(Path(config.run_dir), number)
        _allow(self.values(number), self.directory / FILE, trust, typed=typed)
        return config

    def values(self, number: int) -> dict[str, Any]:
        """Return the configuration of a job as plain data.

        Raises:
            UsageError: it is none.
        """
        return parsed(self._documents[number + 1], self.directory / FILE)

    def _require_own(self, directory: Path, number: int) -> None:
        """Check that a run's folder is this job's, and make it again where it is gone.

        Raises:
            UsageError: it is another's, or lies somewhere else than a new one could.
        """
        mark = _marked(self._header["sweep"], number)
        beside = directory.resolve().parent.parent == self.directory.resolve().parent.parent
        below = not directory.is_absolute() and ".." not in directory.parts
        if not directory.exists() and (below or beside):
            directory.mkdir(parents=True)
            (directory / MARK).write_text(mark)
        try:
            own = (directory / MARK).read_text() == mark
        except (OSError, ValueError):
            own = False
        if not own:
            raise UsageError(f"{directory} is not the folder of this sweep's run: its {MARK} is missing or another's")

    def _outcome_file(self, number: int) -> Path:
        return self.directory / OUTCOMES / f"{number}.json"


def _allow(values: dict[str, Any], path: Path, trust: Trust, *, typed: bool) -> None:
    """Refuse what a configuration may not name, unless it was typed; then let it be found."""
    if typed:
        findable(values)
    else:
        require_trusted(values, path, trust, folders=origin.source_folders(Path(values["run_dir"])))


def _marked(sweep: str, number: int) -> str:
    return json.dumps({"sweep": sweep, "job": number}) + "\n"


@contextmanager
def _left_free(directory: Path) -> Iterator[None]:
    """Delete a run's folder if it fails before it has begun, so that the fixed command can have its name."""
    try:
        yield
    except Exception:
        if not (directory / "config.yaml").exists():
            shutil.rmtree(directory, ignore_errors=True)
        raise


class Asked(NamedTuple):
    """What a job of a new sweep asks for."""

    words: list[str]  # those that it does not share with the others
    composed: tuple[Any, Choices] | Exception  # its configuration, or why it has none


def frozen(directory: Path, jobs: Sequence[Asked], *, explicit: bool) -> Sweep:
    """Make the folders of a sweep and of its runs, and freeze what they train.

    Args:
        directory: the sweep's folder; a number is added where it is there.
        jobs: all that the sweep consists of.
        explicit: the folder was typed; then it must not be a sweep's.

    Raises:
        UsageError: it is, or all jobs have the same mistake.
    """
    sweep = secrets.token_hex(8)
    entries: list[dict[str, Any]] = []
    documents: list[Mapping[str, Any]] = []
    made: list[Path] = []
    errors: list[Exception] = []
    try:
        for number, job in enumerate(jobs):
            try:
                config = _placed(job)
            except Exception as error:
                errors.append(error)
                entries.append({"words": job.words, "run_dir": None, "refused": " ".join(str(error).split())})
                documents.append({})
                continue
            made.append(Path(config.run_dir))
            (made[-1] / MARK).write_text(_marked(sweep, number))
            launch.agree_to_places({key: getattr(config, key) for key in FILED})
            entries.append({"words": job.words, "run_dir": config.run_dir, "refused": None})
            documents.append(training_values(config))
        if not made and len({str(error) for error in errors}) == 1:
            raise errors[0]
        place = _claimed(directory, explicit=explicit)
        texts = [yaml.safe_dump(part, sort_keys=False) for part in ({"sweep": sweep, "jobs": entries}, *documents)]
        write_whole(place / FILE, SEPARATOR.join(text.rstrip("\n") for text in texts) + "\n")
    except BaseException:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
        raise
    return Sweep(place)


def _placed(job: Asked) -> TrainRunConfig:
    """Return the configuration of a job's run, whose folder is made."""
    if isinstance(job.composed, Exception):
        raise job.composed
    asked = requested(TrainRunConfig, *job.composed)
    name, directory = placed(asked.name, asked.run_dir, training_name(asked, job.words))
    return replace(asked, name=name, run_dir=str(directory))


def _claimed(directory: Path, *, explicit: bool) -> Path:
    """Make the folder of a new sweep.

    Raises:
        UsageError: it is there and was typed, or it cannot be made.
    """
    if explicit:
        if (directory / FILE).exists():
            raise UsageError(
                f"{directory} holds a sweep: resume_sweep={directory} goes on; another folder takes a new one"
            )
        directory.mkdir(parents=True, exist_ok=True)
        return directory
    number = 1
    while True:
        place = directory if number == 1 else directory.with_name(f"{directory.name}-{number}")
        with suppress(FileExistsError):
            place.mkdir(parents=True)
            return place
        number += 1
