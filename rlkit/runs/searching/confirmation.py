"""The best settings of a search, trained again with seeds that no trial had: only what holds then is offered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rlkit.config.literals import literal
from rlkit.config.search_space import at
from rlkit.runs.searching.journal import VALUES
from rlkit.runs.searching.ranking import by_value
from rlkit.runs.searching.search import SearchFolder
from rlkit.runs.searching.training import outcome

BASE = "before"
"""The name of the settings that the search began with."""


class Candidate(NamedTuple):
    """Settings that are trained again."""

    name: str
    values: Mapping[str, Any]

    def run(self, seed: int) -> str:
        """Return the name of a training of them."""
        return f"{self.name}_s{seed}"


class Confirmed(NamedTuple):
    """How settings did with fresh seeds."""

    candidate: Candidate
    scores: list[float]  # one a seed
    failed: str | None  # why one of its runs did, if one did

    @property
    def mean(self) -> float:
        """The mean over seeds; minus infinity where a run failed."""
        return float("-inf") if self.failed is not None or not self.scores else sum(self.scores) / len(self.scores)


def candidates(search: SearchFolder) -> list[Candidate]:
    """Return the settings to train again: those that the search began with, and the best others of its trials."""
    if not search.header.confirm.settings:
        return []
    found = [Candidate(BASE, before(search))]
    known = {literal(dict(found[0].values))}
    for trial in by_value(search.scheduler.finalists(search, search.journal.trials())):
        values = trial.user_attrs[VALUES]
        if len(found) <= search.header.confirm.settings and literal(dict(values)) not in known:
            known.add(literal(dict(values)))
            found.append(Candidate(f"trial{trial.number:04d}", values))
    return found if len(found) > 1 else []


def before(search: SearchFolder) -> dict[str, Any]:
    """Return the values of the searched settings in the configuration that the search began with."""
    return {key: at(search.values, one["places"][0]) for key, one in search.header.ranges.items()}


def seeds(search: SearchFolder) -> list[int]:
    """Return seeds that no trial had."""
    first = search.header.seed + search.total
    return list(range(first, first + search.header.confirm.seeds))


def confirmed(search: SearchFolder, found: Sequence[Candidate]) -> list[Confirmed]:
    """Return how the candidates did, the best first; of equals, those that the search began with."""
    return sorted((_confirmed(search, one) for one in found), key=lambda one: -one.mean)


def _confirmed(search: SearchFolder, candidate: Candidate) -> Confirmed:
    ends = [outcome(search, candidate.run(seed)) for seed in seeds(search)]
    failed = [end.failed if end else "it was not trained" for end in ends if end is None or end.failed is not None]
    scores = [end.value for end in ends if end is not None and end.value is not None]
    return Confirmed(candidate, scores, failed[0] if failed else None)
