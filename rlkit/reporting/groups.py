"""Runs that differ only in their seed as groups, and what sets the groups apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rlkit.reporting.columns import AnyRun, last_step

IGNORED_KEYS = ("seed", "name", "run_dir", "output", "logger", "video", "plots", "from_run", "follows")
"""Keys in which the runs of a group may differ, or that do not change what is learned."""

PARTS = ("network", "distribution", "replay")
"""Nodes that agents refer to."""

NOTHING = "–"
SHOWN_IN_LABELS = 2


class Group(NamedTuple):
    """Runs of one configuration."""

    label: str
    number: int  # counts the groups of a report from 0, and gives the color
    runs: list[Any]  # `rlkit.runs.run.Run`, or `rlkit.fitting.run.FitRun` where a learner was fitted; one of each seed
    copies: Sequence[tuple[Any, Any]] = ()  # runs that do not count, each with the one that counts for its seed

    @property
    def fitted(self) -> bool:
        """Whether the runs are of `rlkit fit`."""
        return "learner" in self.values

    @property
    def values(self) -> Mapping[str, Any]:
        """The configuration as plain data; that of the others differs in the keys `IGNORED_KEYS` alone."""
        values: Mapping[str, Any] = self.runs[0].values
        return values

    @property
    def seeds(self) -> list[int]:
        """The seed of each run."""
        return [run.values["seed"] for run in self.runs]


def grouped(runs: Sequence[AnyRun], config: Callable[[AnyRun], str] = lambda run: settings(run.values)) -> list[Group]:
    """Return the groups in the order of their first runs; their runs in the order of seeds, each seed once.

    A seed that is there twice, as a copy of a run or trained again, counts once: of its runs, the one with the most
    steps, and the first of those with as many.

    Args:
        runs: at least one.
        config: returns what the runs of a group have in common.
    """
    by_config: dict[str, list[AnyRun]] = {}
    for run in runs:
        by_config.setdefault(config(run), []).append(run)
    members, copies = zip(*map(_each_seed_once, by_config.values()), strict=True)
    return [Group(*group) for group in zip(_labels(members), range(len(members)), members, copies, strict=True)]


def settings(values: Mapping[str, Any]) -> str:
    """Return all values that the runs of a group share, as text."""
    alike = {key: value for key, value in values.items() if key not in IGNORED_KEYS}
    # What a tuned file set is among the values, whichever file it was.
    return yaml.safe_dump({**alike, "choices": {**values["choices"], "tuned": None}})


def _each_seed_once(runs: Sequence[AnyRun]) -> tuple[list[AnyRun], list[tuple[AnyRun, AnyRun]]]:
    """Return one run of each seed, by seed, and each of the others with the one that counts in its place."""
    kept: dict[int, AnyRun] = {}
    for run in runs:
        seed = run.values["seed"]
        if seed not in kept or last_step(run) > last_step(kept[seed]):
            kept[seed] = run
    others = [(run, one) for run in runs if (one := kept[run.values["seed"]]) is not run]
    return [kept[seed] for seed in sorted(kept)], others


def environment_name(values: Mapping[str, Any]) -> str:
    """Return the environment's name, with the game or id where the name does not say it; or that of the data."""
    if "learner" in values:
        file = values["data"].get("path")
        return " ".join([str(values["choices"]["data"]), *([Path(str(file)).name] if file is not None else [])])
    name, env = str(values["choices"]["env"]), values["env"]
    if "game" in env:
        return f"{name} {env['game']}"
    return str(env["id"]) if name == "gym" else name


def differences(groups: Sequence[Group]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the keys in which groups differ with each group's value, a dash where it has none.

    First come those that have several values, then those that are the same wherever they are there.
    """
    rows = _without_echoes(_differing([group.values for group in groups]))
    several = {key: values for key, values in rows.items() if len({*values} - {NOTHING}) > 1}
    return several, {key: values for key, values in rows.items() if key not in several}


def flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested dicts with their dotted keys; lists are leaves, empty dicts are left out."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, node


def _differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    tables = [_shown(config) for config in configs]
    keys = dict.fromkeys(key for table in tables for key in table)
    rows = {key: [table.get(key, NOTHING) for table in tables] for key in keys}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}


def _without_echoes(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """Leave out what repeats another row: parts of an agent that refer to a node of their own, and classes of files."""
    parts = {(key.rpartition(".")[2], *values) for key, values in rows.items() if key.split(".")[0] in PARTS}
    echoes = {key for key in rows if key.startswith("agent.") and (key.rpartition(".")[2], *rows[key]) in parts}
    echoes |= {f"{key}._target_" for key in rows if f"{key}._target_" in rows}
    return {key: values for key, values in rows.items() if key not in echoes}


def _shown(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the leaves as text, the chosen files first: ``choices.agent`` is ``agent``."""
    # What a tuned file set is among the values, and its name is there whether the file is or not.
    chosen = {key: value for key, value in values["choices"].items() if value not in (None, "None") and key != "tuned"}
    rest = {key: value for key, value in values.items() if key not in (*IGNORED_KEYS, "choices")}
    return {key: _text(value) for key, value in [*chosen.items(), *flat(rest)] if value is not None}


def _text(value: Any) -> str:
    return _yaml(value) if isinstance(value, list | dict) else _yaml_of_leaf(type(value).__name__, value)


@lru_cache(10_000)
def _yaml_of_leaf(kind: str, value: Any) -> str:
    # Of what is equal, 1 and 1.0, the kind is another.
    return _yaml(value)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()


def _labels(members: Sequence[Sequence[AnyRun]]) -> list[str]:
    """Return a name for each group: that of its only run where that was set, else what its runs share."""
    names = [_base_name(runs) for runs in members]
    for name in {name for name in names if names.count(name) > 1}:
        alike = [i for i, other in enumerate(names) if other == name]
        rows = _differing([members[i][0].values for i in alike])
        for place, i in enumerate(alike):
            differing = [
                f"{key.removeprefix('agent.').removeprefix('learner.')}={values[place]}" for key, values in rows.items()
            ]
            more = ", …" if len(differing) > SHOWN_IN_LABELS else ""
            names[i] = f"{name} {', '.join(differing[:SHOWN_IN_LABELS])}{more}".strip()
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]


def _base_name(runs: Sequence[AnyRun]) -> str:
    default = runs[0].default_name
    named = len(runs) == 1 and not runs[0].name.startswith(default)
    return runs[0].name if named else default.removesuffix(f"_s{runs[0].values['seed']}")
