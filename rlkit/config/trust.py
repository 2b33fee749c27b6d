"""What a file may name: a stored configuration, a log of actions, a saved model.

Whoever types ``_target_`` may call anything. A file may name

- what rlkit's own YAML files name, and `DECLARED`; classes of scikit-learn's estimators and of torch's optimizers;
- environments that Gymnasium knows by their id, without a module to import;
- what the YAML files of an installed plugin name;
- what lies in a package that the user names in the same command, ``trust=my_games``.

A name is checked before anything is imported. Values of files are literal: their interpolations are never resolved.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rlkit.config import injection, plugins
from rlkit.core.ranges import shown
from rlkit.core.types import UsageError

Trust = Sequence[str]
"""Packages or modules, by their dotted names."""

BY_NAME = {"rlkit.learners.pipeline.by_class": "estimator", "rlkit.envs.gym.make": "id"}
"""Functions that import what one of their arguments names."""

DECLARED = frozenset(
    [
        *(
            f"rlkit.preprocess.{name}"
            for name in (
                *("ChannelsLast", "ClipReward", "Crop", "DiscreteActions", "FireReset", "FrameSkip", "FrameStack"),
                *("Gray", "Keep", "LifeLoss", "MaxFrames", "NoopStarts", "Resize", "SignReward", "TerminalReward"),
                *("Part", "Tokenize"),
            )
        ),
        *(
            f"gymnasium.wrappers.{name}"
            for name in (
                *("ClipAction", "ClipReward", "DelayObservation", "DiscretizeAction", "DiscretizeObservation"),
                *("DtypeObservation", "FilterObservation", "FlattenObservation", "FrameStackObservation"),
                *("GrayscaleObservation", "MaxAndSkipObservation", "NormalizeObservation", "NormalizeReward"),
                *("RepeatAction", "RescaleAction", "RescaleObservation", "ReshapeObservation", "ResizeObservation"),
                *("StickyAction", "TimeAwareObservation", "TimeLimit"),
            )
        ),
    ]
)
"""Targets without a YAML file."""

ESTIMATOR = re.compile(r"sklearn(\.(?!tests?\b|conftest\b)[a-z_]\w*)+\.[A-Z]\w*")

OPTIMIZER = re.compile(r"torch\.optim\.[A-Z]\w*")
PACKAGE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
NEEDS_MODULE = re.compile(r".*:|GymV\d")
"""The beginning of ids for which Gymnasium imports a module that the id, or an argument, names."""

OWN = "rlkit"


class Named(NamedTuple):
    """A callable that a file names, and the key."""

    path: str
    name: str


def packages(trust: Any) -> tuple[str, ...]:
    """Return the packages that the user trusts.

    Args:
        trust: None, one name or a list of names.

    Raises:
        UsageError: one is no name of a package, or it is part of Python or rlkit.
    """
    names = (
        [] if trust is None else list(trust) if isinstance(trust, Sequence) and not isinstance(trust, str) else [trust]
    )
    for name in names:
        if not isinstance(name, str) or not PACKAGE.fullmatch(name):
            named = name if isinstance(name, str) else shown(name)
            raise UsageError(f"trust={named} is no package; name one that you know, e.g. trust=my_games")
        if _root(name) in sys.stdlib_module_names or _root(name) == OWN:
            owner = OWN if _root(name) == OWN else "Python"
            raise UsageError(f"trust={name} is part of {owner}; name a package of environments or agents")
    return tuple(names)


def require_trusted(node: Any, source: Path | str, trust: Trust, path: str = "") -> None:
    """Refuse a node of a file that names what it may not; print a line for what is not rlkit's own.

    Args:
        node: plain data.
        source: the file, for messages.
        trust: what `packages` returned.
        path: of the node, for messages.

    Raises:
        UsageError: a name is not allowed, or a value is an interpolation; the message has the key, the value and the
            remedy.
    """
    owners = require_allowed(node, source, trust, path)
    for name, owner in owners.items():
        if owner:
            say_once(f"{source} names {name.name} ({owner})")
    for name, owner in owners.items():
        _check_object(name, owner, source, trust)


def require_allowed(node: Any, source: Path | str, trust: Trust, path: str = "") -> dict[Named, str]:
    """Return who vouches for each name in a node of a file, empty text for rlkit itself; nothing is imported.

    Raises:
        UsageError: as in `require_trusted`.
    """
    require_literal(node, source, path)
    owners: dict[Named, str] = {}
    for name in _names(node, path, source):
        owner = _owner(name, trust)
        if owner is None:
            raise UsageError(_refusal(name, source))
        owners[name] = owner
    return owners


def require_literal(node: Any, source: Path | str, path: str = "") -> None:
    """Refuse values that look like interpolations, which OmegaConf would replace, e.g. by an environment variable.

    Raises:
        UsageError: there is one; the message has the key and the value.
    """
    for key, value in _parts(node):
        inner = f"{path}.{key}".lstrip(".")
        if isinstance(value, str) and "${" in value:
            raise UsageError(f"{source}: {inner} is {value!r}; a stored value is never replaced: write what it means")
        require_literal(value, source, inner)


def is_trusted(module: str, trust: Trust) -> bool:
    """Return whether a module is one of the packages in `trust`, or lies in one."""
    return any(f"{module}.".startswith(f"{package}.") for package in trust)


@cache
def plugin_packages() -> tuple[str, ...]:
    """Return the packages of installed plugins."""
    return tuple(_root(origin.module) for origin in plugins.origins()[1:])


def _parts(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, (list, tuple)):
        yield from enumerate(node)


def _names(node: Any, path: str, source: Path | str) -> Iterator[Named]:
    """Yield what the nodes with ``_target_`` name, `node` itself and those inside it."""
    if isinstance(node, Mapping) and "_target_" in node:
        target = node["_target_"]
        for name in target.values() if isinstance(target, Mapping) else [target]:
            yield Named(f"{path}._target_".lstrip("."), str(name))
            if name in BY_NAME:
                yield from _by_name(node, BY_NAME[name], path, source)
        if isinstance(node.get("memory"), (str, Mapping)):
            raise UsageError(f"{source}: {path}.memory is a folder of pickles, which no file may name; leave it out")
    for key, value in _parts(node):
        yield from _names(value, f"{path}.{key}".lstrip("."), source)


def _by_name(node: Mapping[str, Any], key: str, path: str, source: Path | str) -> Iterator[Named]:
    value = node.get(key)
    if not isinstance(value, str) or node.get("_partial_"):
        raise UsageError(f"{source}: {path}.{key} is {value!r}; a file must name it as text, without _partial_")
    if key != "id" or NEEDS_MODULE.match(value):
        yield Named(f"{path}.{key}", value)


def _owner(name: Named, trust: Trust) -> str | None:
    """Return who vouches for a name: empty text for rlkit; None if nobody does."""
    if name.name in DECLARED:
        return ""
    if (owner := _owner_by_yaml(name.name)) is not None:
        return "" if owner == OWN else f"installed plugin {owner}"
    module = _module(name.name)
    for package in trust:
        if is_trusted(module, [package]):
            return f"trust={package}"
    return "" if ESTIMATOR.fullmatch(name.name) or OPTIMIZER.fullmatch(name.name) else None


@cache
def _owner_by_yaml(name: str) -> str | None:
    """Return the distribution of the first YAML file, of rlkit or an installed plugin, that names a callable."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for origin, text in _yaml_texts():
        if name in text and name in _names_of_yaml(yaml.load(text, loader)):
            return origin
    return None


@cache
def _yaml_texts() -> list[tuple[str, str]]:
    return [(entry.origin.distribution, entry.path.read_text("utf-8", "replace")) for entry in plugins.entries()]


def _names_of_yaml(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping) and "_target_" in node:
        target = node["_target_"]
        for name in target.values() if isinstance(target, Mapping) else [target]:
            yield str(name)
            if name in BY_NAME:
                yield str(node.get(BY_NAME[name]))
    for _, value in _parts(node):
        yield from _names_of_yaml(value)


def _check_object(name: Named, owner: str, source: Path | str, trust: Trust) -> None:
    """Refuse what a trusted module only imported, and what is no class of its kind."""
    if owner.startswith("trust=") and ":" not in name.name:
        found = _located(name)
        fits = _root(str(getattr(found, "__module__", ""))) in map(_root, trust)
    elif not owner and ESTIMATOR.fullmatch(name.name):
        from sklearn.base import BaseEstimator

        found = _located(name)
        fits = isinstance(found, type) and issubclass(found, BaseEstimator)
    elif not owner and OPTIMIZER.fullmatch(name.name):
        found = _located(name)
        fits = isinstance(found, type) and _root(found.__module__) == "torch"
    else:
        return
    if not fits:
        raise UsageError(_refusal(name, source))


def _located(name: Named) -> Any:
    return injection.locate(name.name, name.path.removesuffix("._target_"))


def _module(name: str) -> str:
    """Return the module of a dotted name, or of an id ``module:Name-v0``."""
    return name.rpartition(":")[0] if ":" in name else name.rpartition(".")[0]


def _root(name: str) -> str:
    return name.partition(".")[0]


def _refusal(name: Named, source: Path | str) -> str:
    root = _root(_module(name.name))
    known = "neither one of rlkit's classes nor an installed plugin's"
    if not PACKAGE.fullmatch(root) or root in sys.stdlib_module_names or root == OWN:
        return f"{source}: {name.path} is {name.name}, which is {known}: no file may name it"
    return f"{source}: {name.path} is {name.name}, which is {known}; if you know its package: trust={root}"


@cache
def say_once(line: str) -> None:
    """Print a line for the user, once in a process."""
    print(f"rlkit: {line}", file=sys.stderr)
