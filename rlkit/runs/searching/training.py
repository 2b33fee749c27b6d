"""The runs of a search: a trial, whose evaluations are reported and which may end early, and settings trained again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import TrialObjective
from rlkit.core.callback import Callback
from rlkit.core.checkpoint import Store
from rlkit.core.files import write_whole
from rlkit.core.statistics import EvaluationResult
from rlkit.core.types import Interrupted, RunError, State, UsageError
from rlkit.runs import launch, origin
from rlkit.runs.folder import CHECKPOINTS, training_values
from rlkit.runs.searching.journal import PARENT, VALUES, is_pruned
from rlkit.runs.searching.ranking import value_of
from rlkit.runs.searching.search import FILED, SearchFolder

PRUNED = "pruned: others did better at this step"
EXCHANGED = "the generation has ended"
CALLBACK = "search"


class TrialEnd(NamedTuple):
    """How a trial ended."""

    value: float | None
    steps: int  # agent decisions up to its last evaluation
    pruned: bool = False
    failed: str | None = None


class ReportCallback(Callback):
    """Reports each evaluation of a trial, and ends it where a pruner says so, or its generation is over.

    It runs in the trial's own process, so that the run ends at that very evaluation, with a checkpoint.
    """

    def __init__(
        self, report: Callable[[int, float, Mapping[int, float]], bool], objective: TrialObjective, until: int | None
    ):
        """Report to a search.

        Args:
            report: called with the step, the value, and all values so far by step; returns whether the trial ends.
            objective: what a run is worth.
            until: the step at which it ends in any case; None: at the end of the run.
        """
        self._report = report
        self._objective = objective
        self._until = until
        self._scores: list[float] = []
        self._values: dict[int, float] = {}

    def evaluation(self, evaluation: EvaluationResult) -> str | None:
        """Report the value that the trial has by now."""
        self._scores.append(float(evaluation.mean_return))
        value = value_of(self._scores, self._objective)
        assert value is not None, "there is a score"
        self._values[evaluation.step] = value
        if self._report(evaluation.step, value, self._values):
            return PRUNED
        over = self._until is not None and evaluation.step >= self._until and not evaluation.final
        return EXCHANGED if over else None

    def state_dict(self) -> State:
        """Return the mean returns so far, and what the trial was worth at each step."""
        return {"scores": list(self._scores), "steps": list(self._values), "values": list(self._values.values())}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._scores = list(state["scores"])
        self._values = dict(zip(state["steps"], state["values"], strict=True))


def train_trial(search: SearchFolder, number: int, *, typed: bool) -> TrialEnd:
    """Train a trial, or go on with it, and write down how it ended.

    Raises:
        SystemExit: a signal stopped it; it goes on from its checkpoint.
    """
    started = time.monotonic()
    end = _ended(lambda: _train_trial(search, number, typed=typed))
    search.journal.finish(number, end.value, pruned=end.pruned, failed=end.failed, seconds=time.monotonic() - started)
    return end


def _train_trial(search: SearchFolder, number: int, *, typed: bool) -> TrialEnd:
    trial, directory = search.journal.trial(number), search.folder_of(number)
    values, parent = trial.user_attrs[VALUES], trial.user_attrs[PARENT]
    seed = search.header.seed + number
    config = search.run_of(values, seed, f"{search.header.name}_{number:04d}", directory)
    config = launch.in_group(config, search.header.name, ["search", f"trial {number}"])
    if parent is not None and not directory.exists():
        _continue(search.folder_of(parent), config)
    directory.mkdir(parents=True, exist_ok=True)
    until = search.scheduler.until(search, number)

    def report(step: int, value: float, so_far: Mapping[int, float]) -> bool:
        stopped = _is_pruned(search, number, so_far) if step < config.total_steps else False
        search.journal.report(number, step, value)
        return stopped

    listening = {CALLBACK: ReportCallback(report, search.header.objective, until)}
    reached = max(Store(directory / CHECKPOINTS).steps(), default=0)
    goes_on = parent is not None and (until is None or reached < until)
    run = launch.start_or_resume(config, listening, stored=() if typed else FILED, extended=goes_on, plots=False)
    _require_not_interrupted(run.stopped)
    scores = run.evaluation_means()
    value = value_of([score for _, score in scores], search.header.objective)
    return _valued(value, scores[-1][0] if scores else 0, pruned=run.stopped == PRUNED)


def _is_pruned(search: SearchFolder, number: int, values: Mapping[int, float]) -> bool:
    if not search.scheduler.prunes:
        return False
    trials = search.journal.trials()
    stopped, system = is_pruned(trials, number, values, search.pruner, search.sampler(number))
    search.journal.keep(number, system)
    return stopped


def train_again(search: SearchFolder, values: Mapping[str, Any], seed: int, name: str, *, typed: bool) -> TrialEnd:
    """Train settings with another seed, from its beginning to its end, and return how that ended.

    Raises:
        SystemExit: a signal stopped it; it goes on from its checkpoint.
    """

    def train() -> TrialEnd:
        directory = search.directory / "confirmed" / name
        config = search.run_of(values, seed, f"{search.header.name}_{name}", directory)
        config = launch.in_group(config, search.header.name, ["search", "trained again"])
        directory.mkdir(parents=True, exist_ok=True)
        run = launch.start_or_resume(config, stored=() if typed else FILED)
        _require_not_interrupted(run.stopped)
        scores = run.evaluation_means()
        value = value_of([score for _, score in scores], search.header.objective)
        return _valued(value, scores[-1][0] if scores else 0, pruned=False)

    return _ended(train)


def _require_not_interrupted(stopped: str | None) -> None:
    if stopped in signal.Signals.__members__:
        raise Interrupted(stopped)


def _valued(value: float | None, steps: int, *, pruned: bool) -> TrialEnd:
    if value is None or not isfinite(value):
        return TrialEnd(
            None, steps, failed=f"its value is {value}, which is no number" if value is not None else "no evaluation"
        )
    return TrialEnd(value, steps, pruned)


def _ended(train: Callable[[], TrialEnd]) -> TrialEnd:
    """Return how a training ends, also where it fails: others may do better with other settings."""
    try:
        return train()
    except Exception as error:
        if os.environ.get("RLKIT_TRACEBACK"):
            traceback.print_exc()
        text = " ".join(str(error).split())
        own = isinstance(error, (UsageError, RunError))
        return TrialEnd(None, 0, failed=text if own else f"{type(error).__name__}: {text}")


def _continue(parent: Path, config: TrainRunConfig) -> None:
    """Make a run folder that goes on from another's newest checkpoint, with settings of its own.

    Files of checkpoints are shared, since none is ever changed.
    """
    directory = Path(config.run_dir)
    temporary = directory.with_name(f".tmp-{directory.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.png", "train.log", "wandb*", "tensorboard", CHECKPOINTS)
    shutil.copytree(parent, temporary, ignore=ignored)
    shutil.copytree(parent / CHECKPOINTS, temporary / CHECKPOINTS, copy_function=_linked)
    values = training_values(config)
    write_whole(temporary / origin.FILE, origin.described(values))
    write_whole(temporary / "config.yaml", yaml.safe_dump(values, sort_keys=False))
    temporary.rename(directory)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)  # another file system, or one without links


def outcome_file(search: SearchFolder, name: str) -> Path:
    """Return the file that says how settings did with another seed."""
    return search.directory / "outcomes" / f"{name}.json"


def outcome(search: SearchFolder, name: str) -> TrialEnd | None:
    """Return how settings did with another seed; None: they have not been trained."""
    with suppress(OSError, ValueError, LookupError, TypeError):
        values = json.loads(outcome_file(search, name).read_text())
        return TrialEnd(**{key: values[key] for key in TrialEnd._fields})
    return None


def keep_outcome(search: SearchFolder, name: str, end: TrialEnd) -> None:
    """Write down how settings did with another seed."""
    path = outcome_file(search, name)
    path.parent.mkdir(exist_ok=True)
    write_whole(path, json.dumps(end._asdict()) + "\n")
