"""Ranges of settings that a search chooses from, in Hydra's grammar of sweeps.

``choice(32, 64)`` or ``32,64`` are values, ``range(1, 11)`` whole numbers from 1 to 10, ``interval(0.1, 0.4)`` numbers,
``int(interval(8, 512))`` whole ones; ``tag(log, …)`` draws their logarithm evenly, and ``tag(log, one_minus, …)`` that
of what they lack to 1, as for a discount factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from rlkit.config import plugins
from rlkit.config.instantiate import plain
from rlkit.config.literals import literal
from rlkit.core.types import UsageError

LOG, ONE_MINUS = "log", "one_minus"
TAGS = frozenset({LOG, ONE_MINUS})
DIGITS = 4
"""Significant digits of numbers that are drawn: more say nothing, and are hard to read."""


class Dimension(NamedTuple):
    """A setting that a search chooses, and from what."""

    key: str  # dotted
    text: str  # its range, as typed
    choices: tuple[Any, ...] = ()  # values; empty: a number from low to high
    low: float = 0.0
    high: float = 0.0
    step: float | None = None  # of whole numbers
    log: bool = False
    one_minus: bool = False  # low and high are of 1 minus the value

    @property
    def name(self) -> str:
        """What samplers and plots call the number that is drawn."""
        return f"1 - {self.key}" if self.one_minus else self.key

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number."""
        return self.step is not None

    def rounded(self, drawn: Any) -> Any:
        """Return what a sampler drew with few digits, still within the range; a choice as it is."""
        if self.choices or self.is_whole:
            return drawn
        return min(max(float(f"{drawn:.{DIGITS}g}"), self.low), self.high)

    def value(self, drawn: Any) -> Any:
        """Return the setting's value for what a sampler drew."""
        if self.choices:
            return next(choice for choice in self.choices if label(choice) == drawn)
        return round(1 - drawn, 12) if self.one_minus else drawn

    def drawn(self, value: Any) -> Any:
        """Return what a sampler would have drawn for a value; the inverse of `value`."""
        if self.choices:
            return label(value)
        return round(1 - value, 12) if self.one_minus else value

    def two(self) -> tuple[Any, Any]:
        """Return two of its values."""
        if self.choices:
            return self.choices[0], self.choices[1]
        low, high = (int(end) if self.is_whole else end for end in (self.low, self.high))
        return self.value(low), self.value(high)


def label(choice: Any) -> Any:
    """Return a value as Optuna takes it: lists and the like as text."""
    return choice if choice is None or isinstance(choice, bool | int | float | str) else literal(choice)


def dimension(key: str, text: Any, source: str = "") -> Dimension:
    """Return the range that `text` says of a setting.

    Args:
        key: of the setting.
        text: in Hydra's grammar; of a file perhaps a plain list.
        source: the file, for messages; empty: the command line.

    Raises:
        UsageError: it is no range.
    """
    text = ",".join(map(literal, text)) if isinstance(text, list) else str(text)
    where = f"{source}: " if source else ""
    try:
        [override] = OverridesParser.create().parse_overrides([f"{key}={text}"])
    except HydraException as error:
        why = " ".join(str(error).split()).split(" See https")[0]
        raise UsageError(f"{where}cannot read the range {key}={text}: {why}") from error
    made = _of_override(key, text, override)
    if made is None:
        raise UsageError(
            f"{where}{key}={text} is no range to search: write {key}=choice(1,2), {key}=range(1,11), "
            f"{key}=interval(0.1,0.4) or {key}=tag(log,interval(1e-5,1e-2)), each in quotes for the shell"
        )
    _check(made, where)
    return made


def _of_override(key: str, text: str, override: Override) -> Dimension | None:
    sweep: Any = override.value() if override.is_sweep_override() else None
    if isinstance(sweep, ChoiceSweep):
        choices = [Override._convert_value(value) for value in sweep.list]
        return Dimension(key, text, tuple(choices))
    if isinstance(sweep, RangeSweep):
        return _of_range(key, text, sweep)
    if not isinstance(sweep, IntervalSweep):
        return None
    if unknown := sweep.tags - TAGS:
        raise UsageError(f"{key}={text} has the tag {min(unknown)}; there is: {LOG}, {ONE_MINUS}")
    low, high = sweep.start or 0, sweep.end or 0
    if ONE_MINUS in sweep.tags:
        low, high = round(1 - high, 12), round(1 - low, 12)
    step = 1 if isinstance(low, int) and isinstance(high, int) else None
    return Dimension(key, text, (), low, high, step, log=LOG in sweep.tags, one_minus=ONE_MINUS in sweep.tags)


def _of_range(key: str, text: str, sweep: RangeSweep) -> Dimension:
    start, stop, step = sweep.start, sweep.stop, sweep.step
    if not all(isinstance(number, int) for number in (start, stop, step)):
        raise UsageError(f"{key}={text} is a range of whole numbers; for others, {key}=interval(0.1,0.4)")
    values = range(int(start or 0), int(stop or 0), int(step))
    if len(values) < 2:
        raise UsageError(f"{key}={text} holds {len(values)} values; a search chooses from two or more")
    return Dimension(key, text, (), values[0], values[-1], values.step)


def _check(made: Dimension, where: str) -> None:
    said = f"{where}{made.key}={made.text}"
    if made.choices:
        if len({literal(choice) for choice in made.choices}) < max(2, len(made.choices)):
            raise UsageError(f"{said} is no choice: a search chooses from two values or more, all different")
    elif not made.low < made.high:
        raise UsageError(f"{said} is an empty range; its first number must be the lower one")
    elif made.log and made.low <= 0:
        raise UsageError(f"{said} begins at {made.low:g}; the logarithm is of numbers above 0")


def places(config: DictConfig, one: Dimension) -> list[str]:
    """Return the dotted keys of a composed configuration that have a setting's value: itself, and what refers to it.

    Raises:
        UsageError: something is computed from the setting, so that it would not follow.
    """
    first, second = one.two()
    found = list(_places(_with(config, one.key, first), _with(config, one.key, second), first, second, ""))
    if None in found:
        raise UsageError(f"{one.key} cannot be searched: other values are computed from it; search over those")
    return [place for place in found if place is not None]


def _with(config: DictConfig, key: str, value: Any) -> Any:
    other = config.copy()
    OmegaConf.update(other, key, value, merge=False, force_add=True)
    return plain(other)


def _places(one: Any, two: Any, first: Any, second: Any, path: str) -> Iterator[str | None]:
    """Yield where two configurations differ as `first` and `second` do, and None for each other difference."""
    if one == two:
        return
    if one == first and two == second:
        yield path
    elif isinstance(one, Mapping) and isinstance(two, Mapping) and one.keys() == two.keys():
        for key in one:
            yield from _places(one[key], two[key], first, second, f"{path}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for i, pair in enumerate(zip(one, two, strict=True)):
            yield from _places(*pair, first, second, f"{path}.{i}")
    else:
        yield None


def at(values: Any, place: str) -> Any:
    """Return the value of plain data at a dotted key.

    Raises:
        LookupError: there is none.
    """
    for key in place.split("."):
        values = values[int(key)] if isinstance(values, list) else values[key]
    return values


def put(values: Any, place: str, value: Any) -> None:
    """Replace a value of plain data, in place.

    Raises:
        LookupError: there is none at this dotted key.
    """
    inner, _, key = place.rpartition(".")
    node = at(values, inner) if inner else values
    at(node, key)
    node[int(key) if isinstance(node, list) else key] = value


def parted_ranges(words: Sequence[str]) -> tuple[list[str], dict[str, Dimension], set[str]]:
    """Return the words of a command line that are single values, the ranges typed, and the keys that words fix.

    Raises:
        UsageError: a word cannot be read, or is no range.
    """
    fixed: list[str] = []
    ranges: dict[str, Dimension] = {}
    keys: set[str] = set()
    for word in words:
        try:
            [override] = OverridesParser.create().parse_overrides([word])
        except HydraException:
            fixed.append(word)  # the composition reports the error
            continue
        key = override.key_or_group
        if override.is_sweep_override():
            if override.package is not None or plugins.entries(key):
                raise UsageError(f"{word}: a search is over values, not over files; choose one {key}=")
            ranges[key] = dimension(key, word.partition("=")[2])
        else:
            fixed.append(word)
            keys.add(key)
    return fixed, ranges, keys
