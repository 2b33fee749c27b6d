"""What a search has found: tables, plots, and settings that are offered."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rlkit.config.literals import literal
from rlkit.core.files import writing
from rlkit.runs.searching.confirmation import BASE, Confirmed, candidates, confirmed, seeds
from rlkit.runs.searching.journal import FAILED, PARENT, VALUES
from rlkit.runs.searching.locks import held
from rlkit.runs.searching.plots import draw
from rlkit.runs.searching.ranking import by_value
from rlkit.runs.searching.search import Search
from rlkit.runs.searching.training import outcome
from rlkit.runs.searching.tuned_file import Offer, offer

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


class Results(NamedTuple):
    """What a search has found.

    Attributes:
        directory: the search's folder.
        trials: all of them, as plain data: trial, state, value, step, failed, and the values of its settings.
        confirmed: how the best settings did with fresh seeds, the best first.
        offered: where settings that held are, if any did.
    """

    directory: Path
    trials: list[dict[str, Any]]
    confirmed: list[Confirmed]
    offered: Offer | None

    def lines(self) -> Iterator[str]:
        """Yield what a user wants to know."""
        states = Counter(one["state"] for one in self.trials)
        counted = ", ".join(f"{states[state]} {state}" for state in STATES.values() if states[state])
        yield f"{len(self.trials)} trials: {counted}"
        complete = [one for one in self.trials if one["state"] == "complete"]
        if complete:
            best = max(complete, key=lambda one: (one["value"], -one["trial"]))
            yield f"best trial: {best['trial']} with {best['value']:.5g}: {_said(best['settings'])}"
        for one in self.confirmed:
            scores = ", ".join(f"{score:.5g}" for score in one.scores)
            said = f"failed: {one.failed}" if one.failed else f"{one.mean:.5g} ({scores})"
            name = "what you began with" if one.candidate.name == BASE else f"trial {int(one.candidate.name[5:])}"
            yield f"with fresh seeds: {name}: {said}"
        if self.offered is not None:
            yield f"offered: {self.offered.path}   use it: {self.offered.command}"
        elif self.confirmed:
            yield "nothing is offered: with fresh seeds, the settings that you began with are as good"
        yield f"tables and plots: {self.directory}   one page: rlkit report {self.directory}"

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        again = [
            {"settings": one.candidate.name, "values": dict(one.candidate.values), "scores": one.scores}
            for one in self.confirmed
        ]
        offered = None if self.offered is None else str(self.offered.path)
        return {"search": str(self.directory), "trials": self.trials, "confirmed": again, "tuned": offered}


def _said(settings: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={literal(value)}" for key, value in settings.items())


def finish(search: Search) -> Results:
    """Write the tables and plots of a search, offer settings that held, and return what it found."""
    with held(search.lock):
        trials = search.journal.trials()
        rows = [_row(trial) for trial in trials]
        again = confirmed(search, candidates(search))
        _write_trials(search, rows)
        _write_confirmed(search, again)
        draw(search, trials)
        return Results(search.directory, rows, again, offer(search, again))


def results(search: Search) -> Results:
    """Return what a search has found so far; nothing is written."""
    return Results(search.directory, [_row(trial) for trial in search.journal.trials()], [], None)


def _row(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "trial": trial.number,
        "state": STATES.get(trial.state.name, "running"),
        "value": trial.value if trial.state.is_finished() else None,
        "step": trial.last_step,
        "continues": trial.user_attrs.get(PARENT),
        "failed": trial.user_attrs.get(FAILED),
        "settings": dict(trial.user_attrs.get(VALUES, {})),
    }


def _write_trials(search: Search, rows: Sequence[Mapping[str, Any]]) -> None:
    keys = list(search.header.ranges)
    plain = ("trial", "state", "value", "step", "continues", "failed")
    lines = [[*(row[key] for key in plain), *(_cell(row["settings"].get(key)) for key in keys)] for row in rows]
    _write(search.directory / "trials.csv", [*plain, *keys], lines)


def _write_confirmed(search: Search, again: Sequence[Confirmed]) -> None:
    keys = list(search.header.ranges)
    lines = [
        [one.candidate.name, seed, end and end.value, *(_cell(one.candidate.values[key]) for key in keys)]
        for one in again
        for seed in seeds(search)
        for end in [outcome(search, one.candidate.run(seed))]
    ]
    if lines:
        _write(search.directory / "confirmed.csv", ["settings", "seed", "value", *keys], lines)


def _cell(value: Any) -> Any:
    return literal(value) if isinstance(value, list) else value


def _write(path: Path, head: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    with writing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(head)
        writer.writerows(lines)


def best(trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """Return the best trial that came to its end."""
    return next(iter(by_value(trials)), None)
