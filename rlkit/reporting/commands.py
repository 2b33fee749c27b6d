"""The command that makes a run again, found from its config.yaml and tried out by composing it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml
from omegaconf import OmegaConf

from rlkit.config import instantiate
from rlkit.config.compose import composed
from rlkit.config.literals import literal
from rlkit.config.own_words import word_of
from rlkit.config.trust import Trust, require_allowed
from rlkit.core.types import UsageError
from rlkit.reporting.groups import flat

OWN = ("seed", "name", "run_dir", "output")
"""Keys that each run has for itself: the seed is appended, the others do not change what is learned."""

RECORDS = ("choices", "resume", "resume_sweep", "empty_replay", "trust", "from_run", "follows", "ranks")
"""Keys that say how a configuration came about; no command sets them again."""


class RunCommand(NamedTuple):
    """The words after the verb, and a note where they are not exact."""

    verb: str
    words: list[str]
    note: str = ""

    def line(self, seed: int) -> str:
        """Return the command line for a seed, for a shell."""
        return " ".join([f"rlkit {self.verb}", *map(shlex.quote, self.words), f"seed={seed}"])


class Composed(NamedTuple):
    """What words compose to."""

    config: dict[str, Any]
    choices: Mapping[str, str]
    derived: tuple[str, ...]  # the keys whose values refer to others, each with a dot at its end

    def refers(self, key: str) -> bool:
        """Return whether a key's value refers to another, or is part of one that does."""
        return f"{key}.".startswith(self.derived)

    def is_within(self, key: str) -> bool:
        """Return whether a key is part of a node that refers to another."""
        return key.startswith(self.derived)


class Commands:
    """Finds the commands of runs; what was composed once is not composed again."""

    def __init__(self, trust: Trust = ()) -> None:
        """Show commands that name only what a file may name, packages in `trust` included."""
        self._trust = trust
        self._composed: dict[tuple[str, ...], Composed] = {}
        self._found: dict[str, RunCommand] = {}

    def line(self, values: Mapping[str, Any]) -> tuple[str, str]:
        """Return the command line that makes a run again, and a note where it is not exact."""
        key = yaml.safe_dump({key: value for key, value in values.items() if key not in OWN})
        if key not in self._found:
            self._found[key] = self._find(values)
        return self._found[key].line(values["seed"]), self._found[key].note

    def _find(self, values: Mapping[str, Any]) -> RunCommand:
        verb, pair = ("fit", ("learner", "data")) if "learner" in values else ("train", ("agent", "env"))
        words = [word_of(group, values["choices"], values.get(group)) for group in pair]
        if values["choices"].get("experiment") not in (None, "None"):
            words.insert(0, f"experiment={values['choices']['experiment']}")
        try:
            # Who reads the page may paste the command.
            require_allowed(values, "config.yaml", self._trust)
            words += _required(values, verb, words)
            words += _choices(values, self._compose(verb, words))
            # What refers to another value is right when that one is; only then is it looked at for its own sake.
            # Within a node that refers to another, nothing can be set.
            words += _overrides(values, there := self._compose(verb, words), there.refers)
            words += _overrides(values, there := self._compose(verb, words), there.is_within)
            left = _overrides(values, self._compose(verb, words), lambda key: False)
        except UsageError as error:
            return RunCommand(verb, words, f"not exact here: {error}")
        return RunCommand(verb, words, f"not exact: {', '.join(left)} would be needed, too" if left else "")

    def _compose(self, verb: str, words: Sequence[str]) -> Composed:
        key = (verb, *words)
        if key not in self._composed:
            config, choices = composed(verb, words)
            raw = OmegaConf.to_container(config, resolve=False)
            derived = tuple(f"{path}." for path, value in flat(raw) if isinstance(value, str) and "${" in value)
            self._composed[key] = Composed(instantiate.plain(config), choices, derived)
        return self._composed[key]


def _required(values: Mapping[str, Any], verb: str, words: Sequence[str]) -> list[str]:
    """Return the words for what the chosen files leave open."""
    there, _ = composed(verb, words, complete=False)
    wanted = _leaves(values)
    return [f"{key}={literal(wanted[key])}" for key in sorted(OmegaConf.missing_keys(there)) if key in wanted]


def _choices(values: Mapping[str, Any], there: Composed) -> list[str]:
    """Return the words that choose the same files where they are not chosen by themselves."""
    wanted = values["choices"]
    different = [group for group in wanted if wanted[group] != there.choices.get(group, "None")]
    found = [word_of(group, wanted, values.get(group)) for group in different]
    if set(values["logger"]) != set(there.config["logger"]):
        found.append(f"logger=[{','.join(values['logger'])}]")
    return found


def _overrides(values: Mapping[str, Any], there: Composed, besides: Callable[[str], bool]) -> list[str]:
    """Return the words that make up for what is different from `values`, but for keys that are `besides` the point."""
    has, wanted = _leaves(there.config), _leaves(values)
    found = []
    for key in dict.fromkeys([*has, *wanted]):
        if besides(key):
            continue
        if key not in wanted:
            found.append(f"~{key}")
        elif key not in has or has[key] != wanted[key]:
            found.append(f"{'' if key in has else '+'}{key}={literal(wanted[key])}")
    return found


def _leaves(values: Mapping[str, Any]) -> dict[str, Any]:
    return dict(flat({key: value for key, value in values.items() if key not in (*OWN, *RECORDS)}))
