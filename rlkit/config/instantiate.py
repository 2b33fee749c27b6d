"""Building objects from plain data: a node with ``_target_`` becomes a call of that target with its other keys.

Values that only the run knows (the spaces, the number of environments, the device, generators) are passed to a
callable only where it or its YAML asks for them: `rlkit.config.injection`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any

from omegaconf import DictConfig, OmegaConf

from rlkit.config import injection, settings, signature
from rlkit.config.injection import arguments_of, locate
from rlkit.config.messages import nearest
from rlkit.core.resources import MemoryShortageError, is_out_of_memory, out_of_memory
from rlkit.core.types import UsageError

OWN = "rlkit"
"""The package whose classes raise a `UsageError` for what they do not accept."""

UNBUILT = "before Module.__init__() call"
"""What torch says of a module whose constructor does not call that of its base."""

Context = Mapping[str, Callable[[str], Any]]
"""Values that a callable can ask for: parameter name -> function that returns the value for a node's path."""

Builder = Callable[..., Any]
"""Builds a node's objects at each call, from a `Context` and the positional arguments of its callable."""


def build(node: Any, context: Context, path: str = "") -> Any:
    """Build plain data `node`: its ``_target_`` nodes, innermost first, become objects.

    ``_target_`` may name a class for each task; the one of the run's task is built.
    ``_partial_: true`` returns the callable with its arguments bound, to be called later (an optimizer).
    ``_from_run_: [device]`` asks for values of the run, as `rlkit.core.types.FromRun` in a signature does.
    ``_tuned_`` is for `rlkit.config.tuning`.
    ``_task_`` is the task of the nodes inside, if the run has none itself (an agent's estimator).

    Raises:
        UsageError: a target cannot be imported, or does not accept the options or values given.
    """
    return prepare(node, context, path)(context)


def prepare(node: Any, context: Context, path: str = "", leading: int = 0) -> Builder:
    """Import and check the targets of `node` once; return a builder, each call of which builds new objects.

    The builder is called with a context of the same names as `context`, and with the first `leading` positional
    arguments of the node's callable.

    Raises:
        UsageError: as in `build`, except for the values of inner nodes, which are checked when they are built.
    """
    if isinstance(node, list):
        items = [prepare(item, context, f"{path}.{i}") for i, item in enumerate(node)]
        return lambda context: [item(context) for item in items]
    if not isinstance(node, dict):
        return lambda context: node
    if "_target_" in node:
        return _prepared_call(node, context, path, leading)
    parts = _prepared(node, context, path)
    return lambda context: {key: part(context) for key, part in parts.items()}


def _prepared_call(node: Mapping[str, Any], context: Context, path: str, leading: int) -> Builder:
    own: Context = {"task": lambda path: node["_task_"]} if "_task_" in node else {}
    context = {**context, **own}
    target = locate(_by_task(node["_target_"], context, path), path)
    arguments = arguments_of(node)
    wanted = signature.parameters(target)
    taken = settings.settings_of(target)
    signature.refuse_unknown(arguments, wanted, target, path)
    declared = signature.declared(target, arguments)
    arguments = signature.settled(arguments, declared)
    # Plain values first: if an inner node refers to one, this is the one that the user typed.
    plain_values = {key: value for key, value in arguments.items() if not _holds_targets(value)}
    signature.check(plain_values, declared, path)
    parts = _prepared(arguments, context, path)
    positional = list(wanted)[:leading]
    names = injection.names(node, target, context, path, {*arguments, *positional})
    partial = node.get("_partial_", False)
    if not partial:
        signature.require(wanted, {*names, *arguments, *positional}, target, path, context)

    def call(context: Context, *values: Any) -> Any:
        context = {**context, **own}
        built = {key: part(context) for key, part in parts.items()}
        if len(built) > len(plain_values):
            inner = {key: built[key] for key in built if key not in plain_values}
            signature.check(inner, declared, path)
        if partial:
            return functools.partial(target, *values, **settings.gathered(built, taken))
        known = {name: context[name](path) for name in names}
        with _explained(path, target, arguments):
            return target(*values, **settings.gathered({**known, **built}, taken))

    return call


@contextmanager
def _explained(path: str, target: Callable[..., Any], options: Mapping[str, Any]) -> Iterator[None]:
    """Name the options to set lower where the object at `path` takes more memory than is free, or what it refuses.

    Raises:
        UsageError: it does, or a callable that is not rlkit's raised a ValueError or TypeError.
    """
    try:
        yield
    except MemoryShortageError as error:
        raise error.at(path) from None
    except Exception as error:
        if is_out_of_memory(error):
            raise UsageError(out_of_memory(path, error, dict(_dotted(options, path)))) from error
        if isinstance(error, AttributeError) and UNBUILT in str(error):
            name = signature.name_of(target)
            raise UsageError(f"{path}: the constructor of {name} must begin with super().__init__()") from error
        if isinstance(error, (ValueError, TypeError)) and signature.package_of(target) != OWN:
            raise UsageError(refusal(path, target, error)) from error
        raise


def refusal(path: str, target: Callable[..., Any], error: Exception) -> str:
    """Return the message of a callable of another package that does not accept its options."""
    return f"{path}: {signature.name_of(target)} does not accept its options: {' '.join(str(error).split())}"


def _dotted(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield the options of a node, and of those inside it, by their paths."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{path}.{key}")
        else:
            yield f"{path}.{key}", value


@contextmanager
def as_typed(node: Any, shared: Mapping[str, Any], path: str) -> Iterator[None]:
    """Reword errors about parts of `node` that are nodes of their own on a command line, by the keys typed there.

    Args:
        node: that is built.
        shared: nodes by the key that they are typed under, e.g. network; None where there is none.
        path: of `node`.

    Raises:
        UsageError: what was raised within, reworded.
    """
    try:
        yield
    except UsageError as error:
        text = str(error)
        for inner, key in sorted(_shared_paths(node, shared, path), reverse=True):
            text = re.sub(rf"(?<![\w.]){re.escape(inner)}(?=[.:\[ ])", key, text)
        if text == str(error):
            raise
        raise UsageError(text) from error


def _shared_paths(node: Any, shared: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for key, inner in node.items() if isinstance(node, dict) else ():
        names = [name for name, value in shared.items() if value is not None and value == inner]
        if names:
            yield f"{path}.{key}", names[0]
        else:
            yield from _shared_paths(inner, shared, f"{path}.{key}")


def _prepared(node: Mapping[str, Any], context: Context, path: str) -> dict[str, Builder]:
    return {key: prepare(value, context, f"{path}.{key}".lstrip(".")) for key, value in node.items()}


def _holds_targets(value: Any) -> bool:
    if isinstance(value, list):
        return any(map(_holds_targets, value))
    return isinstance(value, dict) and ("_target_" in value or any(map(_holds_targets, value.values())))


def _by_task(target: Any, context: Context, path: str) -> str | Callable[..., Any]:
    """Return the name of the class, or an object of the program; that of the run's task if there is one for each."""
    if callable(target):
        return target  # type: ignore[no-any-return]
    if not isinstance(target, dict):
        return str(target)
    known = ", ".join(target)
    if "task" not in context:
        raise UsageError(
            f"{path} is for several tasks ({known}); choose a file for one of them, e.g. {path}=tree_regressor"
        )
    task = context["task"](path)
    if task not in target:
        raise UsageError(f"{path} is for {known}, but the task of the data is {task}; choose another {path}=")
    return str(target[task])


def plain(config: DictConfig | Any) -> Any:
    """Return an OmegaConf node as plain dicts, lists and values, interpolations resolved."""
    return OmegaConf.to_container(config, resolve=True, enum_to_str=True, throw_on_missing=True)


def plain_value(config: DictConfig, key: str) -> Any:
    """Return the value at a dotted `key`, a node as plain data."""
    value = OmegaConf.select(config, key)
    if isinstance(value, Enum):
        return value.name
    return plain(value) if OmegaConf.is_config(value) else value


def defaults(name: str) -> Any:
    """Return the values of a shipped YAML file, for plain scripts.

    If its class has settings, they are returned: ``DQN(network=…, settings=defaults("agent/dqn"), …)``, of which
    `dataclasses.replace` changes one. Otherwise the values by name: ``MLP(space, **defaults("network/mlp"))``; nodes
    with ``_target_`` are built, and values that the file leaves to the run (the network, the replay) are left out.

    Raises:
        UsageError: there is no such file.
    """
    from rlkit.config import plugins
    from rlkit.config.compose import compose_alone

    group, _, choice = name.partition("/")
    known = [entry.name for entry in plugins.entries(group)]
    if choice not in known:
        raise UsageError(f"there is no {name}{nearest(choice, known)}")
    node: Any = compose_alone(name)
    for part in group.split("/"):
        node = node[part]
    own = {key: node._get_node(key) for key in map(str, node) if not key.startswith("_") and not _refers(node, key)}
    target = node.get("_target_")
    taken = settings.settings_of(locate(target, name)) if isinstance(target, str) else None
    if taken is not None:
        # A setting may follow another group's, and has a value without it.
        own = {key: own.get(key, node[key]) for key in taken.fields if key in node}
    values: dict[str, Any] = build(plain(OmegaConf.create(own)), {}, name)
    return values if taken is None else taken.kind(**values)


def _refers(node: DictConfig, key: str) -> bool:
    """Return whether the value at `key`, or one inside it, is an interpolation."""
    if OmegaConf.is_interpolation(node, key):
        return True
    value = node._get_node(key)
    return isinstance(value, DictConfig) and any(_refers(value, str(inner)) for inner in value)
