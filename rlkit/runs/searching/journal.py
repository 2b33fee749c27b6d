"""The trials of a search, in a journal file of Optuna's that any number of workers share."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlkit.core.types import RunError, UsageError
from rlkit.runs.searching.locks import FileLock, held

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

FILE = "journal.log"
NAME = "search"
"""The study's name in the journal, of which brackets of Hyperband depend: the same in every search."""

LOCKS = "locks"
"""The folder of a search's locks, one for each run."""

VALUES, PARENT, FAILED, SECONDS = "values", "parent", "failed", "seconds"
"""What a trial keeps beside Optuna's own: its settings, the trial that it continues, why it failed, its seconds."""


class Proposal(NamedTuple):
    """A trial to begin."""

    drawn: Mapping[str, Any]  # by the names of the dimensions
    distributions: Mapping[str, Any]  # Optuna's
    values: Mapping[str, Any]  # the settings, by their keys
    parent: int | None = None  # the trial whose run it continues
    system: Mapping[str, Any] = {}  # what a sampler keeps


def require_optuna() -> None:
    """Refuse a search without Optuna, and keep its lines for programmers away from the user.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UsageError("rlkit search needs Optuna: pip install optuna") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextmanager
def quiet() -> Iterator[None]:
    """Drop warnings that are for who calls Optuna: of classes that are new, or arguments that are old."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Journal:
    """Reads and writes trials; each change is one line of the file, so that a kill leaves it out or has it whole."""

    def __init__(self, directory: Path):
        """Open the journal in a search's folder, or begin one.

        Raises:
            UsageError: Optuna is not installed.
            RunError: the file is not one of Optuna's.
        """
        require_optuna()
        from optuna.storages.journal import JournalFileBackend, JournalStorage

        path, locks = directory / FILE, directory / LOCKS
        lock = FileLock(locks / "journal")
        with held(lock):
            _mend(path)
        try:
            self._storage = JournalStorage(JournalFileBackend(str(path), lock))  # type: ignore[arg-type]
            with held(FileLock(locks / "study")):
                self._study = _study_in(self._storage)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise RunError(f"{path} is no journal of a search: {' '.join(str(error).split())[:200]}") from error

    def trials(self) -> list[FrozenTrial]:
        """Return all trials by their number."""
        return self._storage.get_all_trials(self._study, deepcopy=False)

    def trial(self, number: int) -> FrozenTrial:
        """Return a trial."""
        return self._storage.get_trial(self._id(number))

    def begin(self, proposal: Proposal) -> int:
        """Add a trial that is running, and return its number."""
        attributes = {VALUES: dict(proposal.values), PARENT: proposal.parent}
        trial = _running(proposal.drawn, proposal.distributions, attributes, proposal.system)
        return self._storage.get_trial(self._storage.create_new_trial(self._study, trial)).number

    def report(self, number: int, step: int, value: float) -> None:
        """Add the value of a trial after an evaluation, unless it is there: a run that is resumed makes it again."""
        if step not in self.trial(number).intermediate_values:
            self._storage.set_trial_intermediate_value(self._id(number), step, value)

    def keep(self, number: int, system: Mapping[str, Any]) -> None:
        """Add what a pruner keeps of a trial."""
        known = self.trial(number).system_attrs
        for key, value in system.items():
            if known.get(key) != value:
                self._storage.set_trial_system_attr(self._id(number), key, value)

    def finish(
        self, number: int, value: float | None, *, pruned: bool = False, failed: str | None = None, seconds: float = 0.0
    ) -> None:
        """End a trial with its value, or with why it failed."""
        from optuna.trial import TrialState

        identity = self._id(number)
        self._storage.set_trial_user_attr(identity, SECONDS, round(seconds, 3))
        if failed is not None or value is None:
            self._storage.set_trial_user_attr(identity, FAILED, failed or "it made no evaluation")
            self._storage.set_trial_state_values(identity, TrialState.FAIL)
            return
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        self._storage.set_trial_state_values(identity, state, [value])

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study, number)


def _mend(path: Path) -> None:
    """Cut off a last line that is not whole, as a full disk or a loss of power may leave it."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
            os.fsync(file.fileno())


def _study_in(storage: BaseStorage) -> int:
    from optuna.study import StudyDirection

    known = {study.study_name: study._study_id for study in storage.get_all_studies()}
    return known[NAME] if NAME in known else storage.create_new_study([StudyDirection.MAXIMIZE], NAME)


def _running(
    drawn: Mapping[str, Any], distributions: Mapping[str, Any], user: Mapping[str, Any], system: Mapping[str, Any]
) -> FrozenTrial:
    from optuna.trial import FrozenTrial, TrialState

    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(tz=UTC),
        datetime_complete=None,
        params=dict(drawn),
        distributions=dict(distributions),
        user_attrs=dict(user),
        system_attrs=dict(system),
        intermediate_values={},
    )


def proposed(
    trials: Sequence[FrozenTrial], distributions: Mapping[str, Any], sampler: BaseSampler, pruner: BasePruner
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a sampler draws after `trials`, and what it keeps with it, without changing anything.

    A sampler writes one number after the other: in a copy, so that the journal gets all or none.
    """
    study = _copy(trials, sampler, pruner)
    with quiet():
        asked = study.ask(dict(distributions))
    return dict(asked.params), dict(study.trials[-1].system_attrs)


def is_pruned(
    trials: Sequence[FrozenTrial],
    number: int,
    values: Mapping[int, float],
    pruner: Callable[[], BasePruner],
    sampler: BaseSampler,
) -> tuple[bool, dict[str, Any]]:
    """Return whether a pruner stops a trial, and what it keeps of it: a function of its arguments alone.

    A run that was killed makes evaluations again that the journal has already, and later ones are there by then. So
    nothing but `values` counts of this trial, from the first one on.

    Args:
        trials: all of the search.
        number: of the trial.
        values: its values by step, up to the evaluation that is looked at.
        pruner: makes one.
        sampler: of the study; pruners may ask for it.
    """
    own = trials[number]
    fresh = _running(own.params, own.distributions, own.user_attrs, {})
    one = pruner()
    study = _copy([*trials[:number], fresh, *trials[number + 1 :]], sampler, one)
    identity = study.trials[number]._trial_id
    stopped = False
    with quiet():
        for step, value in values.items():
            study._storage.set_trial_intermediate_value(identity, step, value)
            stopped = one.prune(study, study._storage.get_trial(identity))
    return bool(stopped), dict(study._storage.get_trial(identity).system_attrs)


def _copy(trials: Sequence[FrozenTrial], sampler: BaseSampler, pruner: BasePruner) -> Study:
    """Return a study in memory with the same trials by the same numbers."""
    from optuna import Study
    from optuna.storages import InMemoryStorage
    from optuna.study import StudyDirection

    storage = InMemoryStorage()
    storage.create_new_study([StudyDirection.MAXIMIZE], NAME)
    study = Study(NAME, storage, sampler, pruner)
    study.add_trials(trials)
    return study


def importances(trials: Sequence[FrozenTrial]) -> dict[str, float]:
    """Return the share of the variance of values that each setting explains: fANOVA (Hutter et al., 2014)."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.pruners import NopPruner
    from optuna.samplers import RandomSampler

    study = _copy(trials, RandomSampler(seed=0), NopPruner())
    with quiet():
        return get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
