"""What a file may name: a stored configuration, a log of actions, a saved model.

Whoever types ``_target_`` may call anything. A file may name

- what rlkit's own YAML files name, and `DECLARED`; classes of scikit-learn's estimators and of torch's optimizers;
- environments that Gymnasium knows by their id, without a module to import;
- what the YAML files of an installed plugin name;
- what lies in a package or file that the user names in the same command, ``trust=my_games`` or ``trust=my_env.py``;
- what a command of the user's has named before, if its files are what they were (`rlkit.config.agreed`).

A name is checked before anything is imported. Values of files are literal: their interpolations are never resolved.
Addresses of the network, and files of the system, are looked at by `rlkit.config.places`.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rlkit.config import injection, plugins
from rlkit.config.injection import Named, is_closed
from rlkit.config.messages import OF_PROGRAM
from rlkit.core.ranges import shown
from rlkit.core.types import UsageError, printable

Trust = Sequence[str]
"""Packages or modules, by their dotted names, and addresses of the network."""

BY_NAME = {"rlkit.learners.pipeline.by_class": "estimator", "rlkit.envs.gym.make": "id"}
"""Functions that import what one of their arguments names."""

DECLARED = frozenset(
    [
        *(
            f"rlkit.preprocess.{name}"
            for name in (
                *(
                    "ChannelsLast",
                    "ClipReward",
                    "CountBonus",
                    "Crop",
                    "DiscreteActions",
                    "FireReset",
                    "FrameSkip",
                    "FrameStack",
                ),
                *("Gray", "JointActions", "Keep", "LifeLoss", "MaxFrames", "NoopStarts", "Part", "Resize"),
                *("SignReward", "TerminalReward", "Tokenize"),
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
AGREED = "named before"
FILE = ".py"


def packages(trust: Any) -> tuple[str, ...]:
    """Return the packages and addresses that the user trusts.

    Args:
        trust: None, one name or a list of names.

    Raises:
        UsageError: one is neither an address nor a name of a package, or it is part of Python or rlkit.
    """
    names = (
        [] if trust is None else list(trust) if isinstance(trust, Sequence) and not isinstance(trust, str) else [trust]
    )
    for name in names:
        if isinstance(name, str) and ("://" in name or name.endswith(FILE)):
            continue
        if not isinstance(name, str) or not PACKAGE.fullmatch(name):
            named = name if isinstance(name, str) else shown(name)
            raise UsageError(f"trust={named} is no package; name one that you know, e.g. trust=my_games")
        if _root(name) in sys.stdlib_module_names or _root(name) == OWN:
            owner = OWN if _root(name) == OWN else "Python"
            raise UsageError(f"trust={name} is part of {owner}; name a package of environments or agents")
    return tuple(names)


def require_trusted(node: Any, source: Path | str, trust: Trust, path: str = "", folders: Sequence[Path] = ()) -> None:
    """Refuse a node of a file that names what it may not; print a line for what is not rlkit's own.

    Args:
        node: plain data.
        source: the file, for messages.
        trust: what `packages` returned.
        path: of the node, for messages.
        folders: where modules of the user's own are looked for, beside Python's path and the working folder.

    Raises:
        UsageError: a name or an address is not allowed, or a value is an interpolation; the message has the key, the
            value and the remedy.
    """
    owners = require_allowed(node, source, trust, path, folders)
    for name, owner in owners.items():
        if owner and owner != AGREED:
            say_once(f"{source} names {name.name} ({owner})")
        if owner == AGREED or owner.startswith("trust="):
            from rlkit.config import own_code

            own_code.make_importable(name.name, folders)
    for name, owner in owners.items():
        _check_object(name, owner, source, trust)


def require_allowed(
    node: Any, source: Path | str, trust: Trust, path: str = "", folders: Sequence[Path] = ()
) -> dict[Named, str]:
    """Return who vouches for each name in a node of a file, empty text for rlkit itself; nothing is imported.

    Raises:
        UsageError: as in `require_trusted`.
    """
    from rlkit.config.places import require_places

    require_literal(node, source, path)
    require_places(_texts(node, path), source, lambda text: text in trust or _is_in_yaml(text))
    owners: dict[Named, str] = {}
    for name in _names(node, path, source):
        owner = _owner(name, trust)
        if owner is None:
            from rlkit.config.agreed import is_agreed, refusal

            if not is_agreed(name, folders):
                raise UsageError(refusal(name, source))
            owner = AGREED
        owners[name] = owner
    return owners


def own_names(node: Any) -> list[Named]:
    """Return what a node names that a file may name only after the user has: callables of other packages."""
    names = [name for name in _names(node, "", None) if not name.name.startswith(OF_PROGRAM)]
    # Names that need no YAML file to be read come first: most commands have no others.
    left = [name for name in names if not is_closed(name.name) and not _is_of_kind(name.name)]
    return list({(name.name, name.arguments): name for name in left if _owner(name, ()) is None}.values())


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


def _is_in(name: str, trusted: str) -> bool:
    """Return whether a name lies in the package or the file that the user trusts."""
    from rlkit.config import own_code

    file = own_code.file_in(name)
    if trusted.endswith(FILE):
        return file is not None and file.resolve() == Path(trusted).expanduser().resolve()
    return file is None and is_trusted(own_code.module_of(name), [trusted])


@cache
def plugin_packages() -> tuple[str, ...]:
    """Return the packages of installed plugins."""
    return tuple(_root(origin.module) for origin in plugins.origins()[1:])


def _parts(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, (list, tuple)):
        yield from enumerate(node)


def _texts(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the dotted key of each text in a node, and the text."""
    for key, value in _parts(node):
        inner = f"{path}.{key}".lstrip(".")
        if isinstance(value, str):
            yield inner, value
        yield from _texts(value, inner)


def _names(node: Any, path: str, source: Path | str | None) -> Iterator[Named]:
    """Yield what the nodes with ``_target_`` name, `node` itself and those inside it; of no file, refuse nothing."""
    if isinstance(node, Mapping) and "_target_" in node:
        target = node["_target_"]
        for name in target.values() if isinstance(target, Mapping) else [target]:
            if callable(name):
                continue  # an object of this program
            yield Named(f"{path}._target_".lstrip("."), str(name), _in_short(node))
            if (key := BY_NAME.get(str(name))) is not None:
                yield from _by_name(node, key, path, source)
        if source is not None and isinstance(node.get("memory"), (str, Mapping)):
            raise UsageError(f"{source}: {path}.memory is a folder of pickles, which no file may name; leave it out")
    for key, value in _parts(node):
        yield from _names(value, f"{path}.{key}".lstrip("."), source)


def _in_short(node: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(node, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _by_name(node: Mapping[str, Any], key: str, path: str, source: Path | str | None) -> Iterator[Named]:
    value: Any = node.get(key)
    if source is None and not isinstance(value, str):
        return
    if source is not None and (not isinstance(value, str) or node.get("_partial_")):
        raise UsageError(f"{source}: {path}.{key} is {value!r}; a file must name it as text, without _partial_")
    if key != "id" or NEEDS_MODULE.match(value):
        yield Named(f"{path}.{key}", value)


def _owner(name: Named, trust: Trust) -> str | None:
    """Return who vouches for a name: empty text for rlkit; None if nobody does."""
    if name.name in DECLARED:
        return ""
    if (owner := _owner_by_yaml(name.name)) is not None:
        return "" if owner == OWN else f"installed plugin {owner}"
    for package in trust:
        if _is_in(name.name, package):
            return f"trust={package}"
    return "" if _is_of_kind(name.name) else None


def _is_of_kind(name: str) -> bool:
    return bool(ESTIMATOR.fullmatch(name) or OPTIMIZER.fullmatch(name))


@cache
def _owner_by_yaml(name: str) -> str | None:
    """Return the distribution of the first YAML file, of rlkit or an installed plugin, that names a callable."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for origin, text in _yaml_texts():
        if name in text and name in _names_of_yaml(yaml.load(text, loader)):
            return origin
    return None


@cache
def _is_in_yaml(value: str) -> bool:
    """Return whether a YAML file, of rlkit or an installed plugin, has a text as a value."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = (_texts(yaml.load(text, loader), "") for _, text in _yaml_texts() if value in text)
    return any(value == leaf for leaves in found for _, leaf in leaves)


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
    if owner.startswith("trust=") and owner.endswith(FILE):
        from rlkit.config import own_code
        from rlkit.config.agreed import agree

        # What the file only imports could be anything.
        found = _located(name)
        fits = getattr(found, "__module__", "") in (None, own_code.load(Path(owner.removeprefix("trust="))).__name__)
        if fits:
            agree([name._replace(name=own_code.canonical(name.name))])
    elif owner.startswith("trust=") and ":" not in name.name:
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
        from rlkit.config.agreed import refusal

        raise UsageError(refusal(name, source))


def _located(name: Named) -> Any:
    return injection.locate(name.name, name.path.removesuffix("._target_"))


def _root(name: str) -> str:
    return name.partition(".")[0]


@cache
def say_once(line: str) -> None:
    """Print a line for the user, once in a process."""
    print(f"rlkit: {printable(line)}", file=sys.stderr)
