"""What a search has found: tables, plots, and settings that are offered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rlkit.config.literals import literal
from rlkit.runs.searching.confirmation import BASE, Confirmed, candidates, confirmed
from rlkit.runs.searching.locks import held
from rlkit.runs.searching.plots import draw
from rlkit.runs.searching.search import SearchFolder
from rlkit.runs.searching.tables import STATES, write_confirmed, write_trials
from rlkit.runs.searching.tuned_file import Offer, offer


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


def finish(search: SearchFolder) -> Results:
    """Write the tables and plots of a search, offer settings that held, and return what it found."""
    with held(search.lock):
        rows = write_trials(search)
        again = confirmed(search, candidates(search))
        write_confirmed(search, again)
        draw(search, search.journal.trials())
        return Results(search.directory, rows, again, offer(search, again))
