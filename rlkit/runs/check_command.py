"""The command, or the call, that examines a run's environment as the run makes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from rlkit.config.compose import composed
from rlkit.config.injection import arguments_of
from rlkit.config.instantiate import plain
from rlkit.config.literals import literal
from rlkit.config.own_code import is_own, of_program
from rlkit.config.own_words import word_of
from rlkit.config.run_config import TrainRunConfig
from rlkit.core.types import UsageError
from rlkit.runs.folder import training_values

SETTINGS = ("action_mask", "max_episode_steps")
"""Keys of a run that change what an environment returns, beside its group's and its wrappers."""


def what_examines(config: TrainRunConfig) -> str:
    """Return what examines all of the environment of a run: its wrappers and the values that were set are in it."""
    values = training_values(config)
    if of_program(values):
        return "`rlkit.testing.check_env(make)`, make a function that returns it with its wrappers,"
    return f"`{shlex.join(['rlkit', 'check', *_words(values)])}`"


def _words(values: Mapping[str, Any]) -> list[str]:
    words = [word_of("env", values["choices"], values["env"])]
    words += [f"env.id={values['env']['id']}"] if "id" in values["env"] else []
    if values["data"] is not None:
        words.append(word_of("data", values["choices"], values["data"]))
    try:
        there = plain(composed("check", words, complete=False)[0])
    except UsageError:
        return words  # Its file is not found any more.
    own = ":" in words[0]  # a class of the user's, to which arguments are added without a +
    return [*words, *_set(values, there, own), *_wrappers(values["preprocess"], there["preprocess"])]


def _set(values: Mapping[str, Any], there: Mapping[str, Any], own: bool) -> Iterator[str]:
    """Yield the words for values that the chosen files do not set so."""
    for group in ("env", "data"):
        has, wanted = (dict(_leaves(node, group)) for node in (there[group], values[group]))
        for key in (key for key, value in wanted.items() if key not in has or has[key] != value):
            known = key in has or key.startswith("env.kwargs.") or (own and group == "env")
            yield f"{'' if known else '+'}{key}={literal(wanted[key])}"
    yield from (f"{key}={literal(values[key])}" for key in SETTINGS if values[key] != there[key])


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    for key, value in (node or {}).items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}.{key}")
        elif key != "_target_":
            yield f"{path}.{key}", value


def _wrappers(nodes: list[Any], there: list[Any]) -> Iterator[str]:
    if nodes != there:
        yield f"wrappers=[{','.join(map(_wrapper, nodes))}]"


def _wrapper(node: Mapping[str, Any]) -> str:
    """Return a wrapper as it is typed: by its name where it has no options."""
    name = str(node["_target_"])
    alone = not arguments_of(node) and set(node) == {"_target_"}
    return name if alone and is_own(name) else literal(node)
