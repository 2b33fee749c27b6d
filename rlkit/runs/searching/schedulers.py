"""What is trained next in a search: independent trials, or a population that is trained together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import lcm
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from rlkit.config.run_config import TrainRunConfig
from rlkit.config.search_space import Dimension
from rlkit.core.ranges import PositiveFloat, PositiveInt, Probability, Range
from rlkit.core.seeding import Seeds
from rlkit.core.types import UsageError
from rlkit.runs.searching.journal import Proposal, proposed
from rlkit.runs.searching.ranking import by_value, is_over

if TYPE_CHECKING:
    import numpy as np
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

    from rlkit.runs.searching.search import Header


class SearchedRuns(Protocol):
    """What schedulers need of a search; `rlkit.runs.searching.search.Search` is one."""

    @property
    def header(self) -> Header:
        """Its own settings."""

    @property
    def config(self) -> TrainRunConfig:
        """The configuration of a run."""

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """The settings that are searched."""

    @property
    def distributions(self) -> dict[str, Any]:
        """The same as Optuna has them."""

    @property
    def combinations(self) -> int | None:
        """How many a grid has; None for other samplers."""

    def sampler(self, number: int) -> BaseSampler:
        """As in `SearchFolder`."""

    def pruner(self) -> BasePruner:
        """As in `SearchFolder`."""

    def settled(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """As in `SearchFolder`."""


class Independent:
    """Each trial is trained from the beginning, with settings of its own."""

    prunes = True
    """Whether a pruner may end trials."""

    def check(self, search: SearchedRuns) -> None:
        """Accept every search."""

    def total(self, search: SearchedRuns) -> int:
        """Return how many trials there will be."""
        return min(search.header.trials, search.combinations or search.header.trials)

    def propose(self, search: SearchedRuns, trials: Sequence[FrozenTrial]) -> Proposal | None:
        """Return the next trial after `trials`; None where it has to wait for those that run."""
        return drawn_by_sampler(search, trials)

    def until(self, search: SearchedRuns, number: int) -> int | None:
        """Return the step at which a trial ends; None: at the end of its run."""
        return None

    def finalists(self, search: SearchedRuns, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials whose settings may be the best."""
        return list(trials)


class PopulationBased:
    """Runs that are trained together: after each interval the worst take over the best (Jaderberg et al., 2017).

    A member of a generation is a trial. It goes on by ``resume=`` from a copy of the run of its own past, or, where it
    was among the worst, of that of one of the best, with settings that are changed a little.
    """

    prunes = False

    def __init__(
        self,
        size: Annotated[int, Range(2)],
        every: PositiveInt | None,
        quantile: Annotated[float, Range(0, 0.5, open_below=True)],
        factors: list[PositiveFloat],
        resample: Probability,
        changes: list[str],
    ):
        """Describe the exchanges.

        Args:
            size: runs that are trained together.
            every: steps between exchanges; None: a tenth of the run, in whole evaluations and checkpoints.
            quantile: share of the runs that is replaced, and of those that replace them.
            factors: by one of which a number is multiplied.
            resample: probability that a setting is drawn anew from its range.
            changes: settings of agents that can change within a run.
        """
        self._size = size
        self._every = every
        self._quantile = quantile
        self._factors = factors
        self._resample = resample
        self._changes = changes

    def check(self, search: SearchedRuns) -> None:
        """Refuse an interval after which a run could not go on.

        Raises:
            UsageError: it is no multiple of the periods, or longer than a run.
        """
        config, every = search.config, self._interval(search)
        for key, period in (("eval.every", config.eval.every), ("checkpoint.every", config.checkpoint.every)):
            if not period or every % period:
                raise UsageError(
                    f"scheduler.every is {every}; it must be a multiple of {key}, which is {period}: "
                    f"set {key} so that it divides it"
                )
        if every >= config.total_steps:
            raise UsageError(
                f"scheduler.every is {every}, and total_steps {config.total_steps}: there is nothing to exchange; "
                "set a smaller one, or smaller eval.every and checkpoint.every"
            )

    def total(self, search: SearchedRuns) -> int:
        """Return how many trials there will be: the members of all generations."""
        return self._size * self._generations(search)

    def propose(self, search: SearchedRuns, trials: Sequence[FrozenTrial]) -> Proposal | None:
        """Return the next trial after `trials`; None where the generation before it has not ended."""
        number = len(trials)
        generation, member = divmod(number, self._size)
        if generation == 0:
            return drawn_by_sampler(search, trials)
        before = trials[(generation - 1) * self._size : generation * self._size]
        if not all(map(is_over, before)):
            return None
        return self._descendant(search, before, member, number)

    def until(self, search: SearchedRuns, number: int) -> int | None:
        """Return the step at which a trial ends; None: at the end of its run."""
        generation = number // self._size + 1
        return None if generation == self._generations(search) else generation * self._interval(search)

    def finalists(self, search: SearchedRuns, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the trials whose settings may be the best: those of the last generation."""
        return list(trials[-self._size :])

    def _interval(self, search: SearchedRuns) -> int:
        if self._every is not None:
            return self._every
        config = search.config
        period = lcm(max(1, config.eval.every), max(1, config.checkpoint.every))
        return max(1, round(config.total_steps / 10 / period)) * period

    def _generations(self, search: SearchedRuns) -> int:
        return max(1, -(-search.config.total_steps // self._interval(search)))

    def _descendant(self, search: SearchedRuns, before: Sequence[FrozenTrial], member: int, number: int) -> Proposal:
        """Return the trial that continues that of the same member, or one of the best where it is among the worst."""
        ranked = by_value(before)
        count = max(1, round(self._quantile * self._size))
        rng = Seeds(search.header.seed).generator("exchange", number)
        parent = before[member]
        if not ranked:
            raise UsageError("all runs of a generation failed: the lines of its trials say why")
        if parent in ranked[: self._size - count]:
            drawn = dict(parent.params)
        else:
            parent = ranked[int(rng.integers(min(count, len(ranked))))]
            drawn = {name: self._changed(one, parent.params[name], rng) for name, one in search.dimensions.items()}
        return Proposal(drawn, search.distributions, search.settled(drawn), parent.number)

    def _changed(self, one: Dimension, drawn: Any, rng: np.random.Generator) -> Any:
        """Return another value of a setting that can change within a run, the same of one that cannot."""
        if not one.key.startswith("agent.") or one.key.rpartition(".")[2] not in self._changes:
            return drawn
        anew = rng.random() < self._resample
        place, factor = rng.random(), self._factors[int(rng.integers(len(self._factors)))]
        if one.choices:
            return _neighbor(one, drawn, place, anew=anew)
        if anew:
            number = one.low * (one.high / one.low) ** place if one.log else one.low + (one.high - one.low) * place
        else:
            number = drawn * factor
        if one.is_whole:
            step = one.step or 1
            steps = round((number - one.low) / step)
            return int(min(max(one.low + steps * step, one.low), one.high))
        return one.rounded(number)


def _neighbor(one: Dimension, drawn: Any, place: float, *, anew: bool) -> Any:
    from rlkit.config.search_space import label

    choices = [label(choice) for choice in one.choices]
    if anew:
        return choices[int(place * len(choices))]
    other = choices.index(drawn) + (1 if place < 0.5 else -1)
    return choices[min(max(other, 0), len(choices) - 1)]


def drawn_by_sampler(search: SearchedRuns, trials: Sequence[FrozenTrial]) -> Proposal:
    """Return a trial with settings that the search's sampler draws after `trials`."""
    drawn, system = proposed(trials, search.distributions, search.sampler(len(trials)), search.pruner())
    rounded = {name: one.rounded(drawn[name]) for name, one in search.dimensions.items()}
    return Proposal(rounded, search.distributions, search.settled(rounded), None, system)
