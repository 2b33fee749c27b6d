"""A worker of a search: takes what is left to do, one thing after the other, until nothing is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from rlkit.core.types import RunError
from rlkit.runs.searching.confirmation import Candidate, candidates, seeds
from rlkit.runs.searching.journal import LOCKS, VALUES, Proposal
from rlkit.runs.searching.locks import FileLock, held
from rlkit.runs.searching.ranking import is_over
from rlkit.runs.searching.search import SearchFolder
from rlkit.runs.searching.tables import write_trials
from rlkit.runs.searching.training import TrialEnd, keep_outcome, outcome, train_again, train_trial

LOOKS_AGAIN = 0.5
"""Seconds after which a worker that has to wait for others looks again."""

HOPELESS, SAME = 3, 8
"""Failures in a row after which a worker gives up: where nothing else was seen, and where all are the same."""


class Work(NamedTuple):
    """A run that this worker alone may train while it has the lock."""

    lock: FileLock
    number: int | None = None  # of a trial
    candidate: Candidate | None = None
    seed: int = 0


def work(search: SearchFolder, say: Callable[[str], None], *, typed: bool) -> None:
    """Train what is left of a search; return when nothing is.

    Args:
        search: its folder.
        say: shows a line to the user, one for each run that has ended.
        typed: the frozen configuration was typed in this command.

    Raises:
        RunError: one training after the other fails.
        Interrupted: a signal asks to stop; what was being trained goes on from its checkpoint.
    """
    failures: list[str] = []
    trained = 0
    while True:
        found = _take(search)
        if found is None:
            return
        if isinstance(found, float):
            time.sleep(found)
            continue
        with _released(found.lock):
            end = _train(search, found, say, typed=typed)
        with held(search.lock):
            write_trials(search)
        trained += 1
        failures = [*failures, end.failed] if end.failed is not None else []
        if len(failures) >= HOPELESS == trained or (len(failures) >= SAME and len(set(failures[-SAME:])) == 1):
            raise RunError(f"{len(failures)} trials in a row failed, the last one: {failures[-1]}")


def is_done(search: SearchFolder) -> bool:
    """Return whether nothing is left to train."""
    trials = search.journal.trials()
    if len(trials) < search.total or not all(map(is_over, trials)):
        return False
    names = [candidate.run(seed) for candidate in candidates(search) for seed in seeds(search)]
    return all(outcome(search, name) is not None for name in names)


@contextmanager
def _released(lock: FileLock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def _take(search: SearchFolder) -> Work | float | None:
    """Return what this worker is to train, or after how many seconds to look again; None: nothing is left."""
    with held(search.lock):
        trials = search.journal.trials()
        for trial in trials:
            if not is_over(trial) and (lock := _claimed(search, f"trial{trial.number:04d}")) is not None:
                if not is_over(search.journal.trial(trial.number)):
                    return Work(lock, trial.number)  # whoever trained it has died
                lock.release()
        if len(trials) < search.total:
            proposal = search.scheduler.propose(search, trials)
            lock = None if proposal is None else _claimed(search, f"trial{len(trials):04d}")
            return LOOKS_AGAIN if proposal is None or lock is None else _begun(search, proposal, lock)
        if not all(map(is_over, trials)):
            return LOOKS_AGAIN
        return _take_again(search)


def _begun(search: SearchFolder, proposal: Proposal, lock: FileLock) -> Work:
    try:
        return Work(lock, search.journal.begin(proposal))
    except BaseException:
        lock.release()
        raise


def _take_again(search: SearchFolder) -> Work | float | None:
    """Return settings to train again."""
    left = False
    for seed in seeds(search):
        for candidate in candidates(search):
            name = candidate.run(seed)
            if outcome(search, name) is not None:
                continue
            left = True
            if (lock := _claimed(search, name)) is not None:
                if outcome(search, name) is None:
                    return Work(lock, None, candidate, seed)
                lock.release()
    return LOOKS_AGAIN if left else None


def _claimed(search: SearchFolder, name: str) -> FileLock | None:
    lock = FileLock(search.directory / LOCKS / name)
    return lock if lock.claim() else None


def _train(search: SearchFolder, found: Work, say: Callable[[str], None], *, typed: bool) -> TrialEnd:
    if found.candidate is None:
        assert found.number is not None, "it is a trial"
        end = train_trial(search, found.number, typed=typed)
        values = search.journal.trial(found.number).user_attrs[VALUES]
        say(described(f"trial {found.number}", values, end))
        return end
    name = found.candidate.run(found.seed)
    end = train_again(search, found.candidate.values, found.seed, name, typed=typed)
    keep_outcome(search, name, end)
    say(described(f"{found.candidate.name} with seed {found.seed}", {}, end))
    return end


def described(what: str, values: Mapping[str, object], end: TrialEnd) -> str:
    """Return the line for a run that has ended."""
    settings = " ".join(f"{key}={value}" for key, value in values.items()).replace("agent.", "")
    if end.failed is not None:
        return f"{what}: failed: {end.failed}  {settings}".rstrip()
    early = f", pruned at step {end.steps:,}" if end.pruned else ""
    return f"{what}: {end.value:.5g}{early}  {settings}".rstrip()
