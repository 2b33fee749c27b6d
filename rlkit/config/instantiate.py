"""Plain data whose nodes name what is built of them: what a YAML says, and how it becomes objects.

A node with ``_target_`` is called with its other keys. What the run knows (the spaces, the number of environments,
the device, generators) is passed to every callable that asks for it by the name of a parameter and was not given it.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from rlkit.config import settings, signature
from rlkit.config.messages import nearest
from rlkit.core.types import UsageError

if TYPE_CHECKING:
    pass

Context = Mapping[str, Callable[[str], Any]]
"""What a callable can ask for: parameter name -> function of the node's path that gives the value."""

SPECIAL = ("_target_", "_partial_", "_task_", "_tuned_")
"""Keys of a node that are no arguments of what it names."""


def locate(target: str, path: str) -> Callable[..., Any]:
    """Import what `target` names, e.g. ``rlkit.agents.dqn.DQN``; `path` is the node, for messages.

    Raises:
        UsageError: there is no such module or attribute.
    """
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"{path}._target_ {target!r} cannot be imported: {error}; is its package installed?"
        ) from error
    return found  # type: ignore[no-any-return]


def build(node: Any, context: Context, path: str = "") -> Any:
    """Build plain data `node`: its ``_target_`` nodes, innermost first, become objects.

    ``_target_`` may name a class for each task, of which the one that the run is about is taken.
    ``_partial_: true`` gives the callable with its arguments bound, for what is called later (an optimiser).
    ``_tuned_`` is for `rlkit.config.tuning`.
    ``_task_`` says which task the nodes within are for, where the run is not about one itself (an agent's estimator).

    Raises:
        UsageError: a target cannot be imported, or does not take the options or values given.
    """
    if isinstance(node, list):
        return [build(item, context, f"{path}.{i}") for i, item in enumerate(node)]
    if not isinstance(node, dict):
        return node
    if "_target_" not in node:
        return _built(node, context, path)
    arguments = {key: value for key, value in node.items() if key not in SPECIAL}
    if "_task_" in node:
        context = {**context, "task": lambda path: node["_task_"]}
    target, partial = locate(_by_task(node["_target_"], context, path), path), node.get("_partial_", False)
    # Plain values first: where a node within refers to one, it is this one that was typed.
    plain_values = {key: value for key, value in arguments.items() if not isinstance(value, (dict, list))}
    signature.check(plain_values, target, path)
    children = _built(arguments, context, path)
    signature.check(children, target, path)
    if partial:
        # Whoever calls it knows what it is for: a learner makes a torso for its own rows.
        return functools.partial(target, **settings.gathered(children, target))
    wanted = signature.parameters(target)
    known = {name: value(path) for name, value in context.items() if name in wanted and name not in children}
    signature.require(wanted, {*known, *children}, target, path)
    return target(**settings.gathered({**known, **children}, target))


def _by_task(target: Any, context: Context, path: str) -> str:
    """Return the class that is named, or the one for the run's task where there is one for each."""
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


def _built(node: Mapping[str, Any], context: Context, path: str) -> dict[str, Any]:
    return {key: build(value, context, f"{path}.{key}".lstrip(".")) for key, value in node.items()}


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
    """Return what a shipped YAML says, for plain scripts.

    Where the class that it configures takes settings, these: ``DQN(network=…, settings=defaults("agent/dqn"), …)``, of
    which `dataclasses.replace` changes one. Else the values by name: ``MLP(space, **defaults("network/mlp"))``; nodes
    with ``_target_`` are built, and what the file leaves to the run (the network, the replay) is left out.

    Raises:
        UsageError: there is no such YAML.
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
        own = {key: value for key, value in own.items() if key in taken.fields}
    values: dict[str, Any] = build(plain(OmegaConf.create(own)), {}, name)
    return values if taken is None else taken.kind(**values)


def _refers(node: DictConfig, key: str) -> bool:
    """Tell whether the value at `key`, or one within it, is an interpolation."""
    if OmegaConf.is_interpolation(node, key):
        return True
    value = node._get_node(key)
    return isinstance(value, DictConfig) and any(_refers(value, str(inner)) for inner in value)
