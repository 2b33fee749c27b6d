"""Words of a command line, and arguments of a program, that name callables of the user's own.

``env=my_env.py:MyEnv`` becomes a choice ``env=MyEnv`` that holds for this command, so that all that is done with
choices, sweeps among them, is done with it; ``env.size=8`` then adds an argument. ``wrappers=`` is ``preprocess=`` by
the name that Gymnasium has for what it lists.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from rlkit.config import own_code, plugins
from rlkit.config.literals import parted, quoted
from rlkit.config.messages import OF_PROGRAM, OWN_GROUPS, SEVERAL
from rlkit.core.types import UsageError, a_kind

ALIASES = {"wrappers": "preprocess"}
MOVED = ("preprocess", *ALIASES)


class Choices:
    """Callables that the words of one command choose: groups, and what each name stands for."""

    def __init__(self) -> None:
        """Begin with none."""
        self.of_groups: dict[str, dict[str, str]] = {group: {} for group in (*OWN_GROUPS, *SEVERAL)}

    def add(self, group: str, target: str) -> str:
        """Choose a callable; return the name that stands for it."""
        target = own_code.canonical(target.strip("'\""))
        name = _free_name(group, target, self.of_groups[group])
        self.of_groups[group][name] = target
        return name

    def has(self, key: str) -> bool:
        """Return whether a key is an argument of one of them, which may be added."""
        group, _, rest = key.partition(".")
        chosen = self.of_groups.get(group, {})
        return bool(rest and chosen) and (group in OWN_GROUPS or rest.partition(".")[0] in chosen)


def translated(words: Sequence[str]) -> list[str]:
    """Return a command line in which nothing is left that Hydra does not know.

    Raises:
        UsageError: ``wrappers=`` and ``preprocess=``, which are the same, are both typed.
    """
    keys = [word.lstrip("+").partition("=")[0] for word in words]
    if set(MOVED) <= set(keys):
        raise UsageError("wrappers= and preprocess= are the same list, innermost first: type one of them")
    choices = Choices()
    chosen = [part for word in words for part in _chosen(word, choices)]
    return [_added(_renamed(word), choices) for word in chosen]


def _renamed(word: str) -> str:
    sign, name, rest = re.match(r"([+~]*)(\w*)(.*)", word, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{sign}{ALIASES[name]}{rest}" if name in ALIASES else word


def _added(word: str, choices: Choices) -> str:
    """Return a word that adds a key where one of this name need not be there."""
    return (
        f"++{word}" if word.startswith(("env.kwargs.", "env.config.")) or choices.has(word.partition("=")[0]) else word
    )


def _chosen(word: str, choices: Choices) -> Iterator[str]:
    """Yield the word with names in place of callables of the user's own, which become choices or nodes."""
    group, _, value = word.partition("=")
    listed = value.startswith("[") and value.endswith("]")
    parts = [part.strip() for part in parted(value[1:-1] if listed else value)] if group in choices.of_groups else []
    own = [part for part in parts if own_code.is_own(part.strip("'\""))]
    if not own:
        yield word
    elif group in OWN_GROUPS:
        yield f"{group}={','.join(_stored(group, part, choices) if part in own else part for part in parts)}"
    else:
        yield f"{group}=[{','.join(part for part in parts if part not in own)}]"
        for part in own:
            name = choices.add(group, part)
            yield f"+{group}.{name}._target_={quoted(choices.of_groups[group][name])}"


def _stored(group: str, target: str, choices: Choices) -> str:
    name = choices.add(group, target)
    node = OmegaConf.create({"_target_": choices.of_groups[group][name]})
    ConfigStore.instance().store(group=group, name=name, node=node)
    return name


def _free_name(group: str, target: str, taken: Mapping[str, str]) -> str:
    """Return the name of the class, or a longer one if a file or another class of this command has it."""
    place, name = re.split(r"[:.](?=\w+$)", target)[:2]
    stem = re.sub(r"\W", "_", Path(place.removesuffix(".py")).name.rpartition(".")[2])
    digest = hashlib.sha256(target.encode()).hexdigest()[:6]
    names = [name, f"{stem}_{name}", f"{stem}_{name}_{digest}"]
    files = {entry.name for entry in plugins.entries(group)}
    return next(one for one in names if one not in files and taken.get(one, target) == target)


def word_of(group: str, choices: Mapping[str, Any], node: Any) -> str:
    """Return the word that chooses the `node` of a group in a configuration on a command line."""
    name, target = str(choices.get(group, "…")), str(node.get("_target_") if isinstance(node, Mapping) else None)
    if own_code.is_own(target):
        return f"{group}={target}"
    module, _, attribute = target.rpartition(".")
    if attribute == name and name not in {entry.name for entry in plugins.entries(group)}:
        return f"{group}={module}:{attribute}"
    return f"{group}={name}"


def of_program(keys: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Callable[..., Any]]]:
    """Return the keys of a program with callables as names, and those that only an object can stand for by theirs.

    Raises:
        UsageError: ``env=`` is an environment instead of what makes one.
    """
    objects: dict[str, Callable[..., Any]] = {}
    keys = dict(keys)
    if _is_object(env := keys.get("env")):
        target, arguments = _named(_required_callable(env), objects)
        keys["env"] = target
        keys = {**keys, **{f"env.{key}": value for key, value in arguments.items()}}
    for key in MOVED:
        if isinstance(keys.get(key), (list, tuple)):
            keys[key] = [_wrapper(one, objects) for one in keys[key]]
    return keys, objects


def _is_object(value: Any) -> bool:
    return value is not None and not isinstance(value, (str, Mapping, bool, int, float))


def _required_callable(env: Any) -> Callable[..., Any]:
    if callable(env):
        return env  # type: ignore[no-any-return]
    kind = type(env).__name__
    raise UsageError(
        f"env= is {a_kind(env)} object, and a run makes several: pass the class, env={kind}, or a function, "
        f"env=lambda: {kind}(…)"
    )


def _wrapper(one: Any, objects: dict[str, Callable[..., Any]]) -> Any:
    if isinstance(one, Mapping) and callable(one.get("_target_")):
        target, arguments = _named(one["_target_"], objects)
        return {**arguments, **one, "_target_": target}
    if not callable(one):
        return one
    target, arguments = _named(one, objects)
    return {"_target_": target, **arguments}


def _named(value: Callable[..., Any], objects: dict[str, Callable[..., Any]]) -> tuple[str, dict[str, Any]]:
    """Return the name of a callable, and the arguments that it has bound; one that has no name is kept in `objects`."""
    bound: dict[str, Any] = {}
    inner: Any = value
    while isinstance(inner, functools.partial) and not inner.args:
        inner, bound = inner.func, {**inner.keywords, **bound}
    if (name := own_code.importable_name(inner)) is not None and _is_plain(bound):
        return name, bound
    word = own_code.identifier_of(inner)
    number = 1
    while f"{OF_PROGRAM}{word}" in objects:
        number += 1
        word = f"{word.removesuffix(f'_{number - 1}')}_{number}"
    objects[f"{OF_PROGRAM}{word}"] = value
    return f"{OF_PROGRAM}{word}", {}


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
