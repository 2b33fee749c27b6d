"""Injection: which parameters of a constructor get their values from the run.

A parameter gets a value that only the run knows (`rlkit.runs.build` lists them) if it has no value in the YAML and

- its annotation is marked, ``num_envs: FromRun[int]``, and it has no default; or
- its node in the YAML asks for it, ``_from_run_: [device]``: for classes of other packages, or with a default; or
- it is the ``random_state`` of an estimator, or the ``render_mode`` of an environment, and its default is None, by
  which scikit-learn and Gymnasium mean a value that is still to be set.

No other default is ever replaced. A node with ``_partial_: true`` gets nothing: its caller passes what it needs, as a
learner does that makes a torso for its own rows.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from rlkit.config import signature
from rlkit.config.messages import nearest
from rlkit.core.types import UsageError

SPECIAL = ("_target_", "_partial_", "_from_run_", "_task_", "_tuned_", "_part_")
"""Keys of a node that are not arguments of its target."""

SECTIONS = ("data", "env", "preprocess", "prepare", "learner", "agent", "expert")
"""Keys of a configuration whose nodes are built; others are built where these refer to them, or without a run."""

OWN = "rlkit"

AWAITED = {"random_state": signature.takes_seed, "render_mode": signature.takes_render_mode}
"""Parameters whose default None means a value still to be set, and whether a callable has one."""

WHERE = {"env": ["render_mode"], **{key: ["random_state"] for key in ("prepare", "learner", "agent")}}
"""The sections in which the run knows them."""


class Named(NamedTuple):
    """A callable that a configuration names."""

    path: str  # the key
    name: str
    arguments: str = ""  # in short, of a node: equal if they are


def is_closed(name: str) -> bool:
    """Return whether no file may ever name this: it is part of Python or, beside what its YAML names, of rlkit."""
    root = name.partition(":")[0].partition(".")[0]
    return ".py:" not in name and (root in sys.stdlib_module_names or root == OWN)


def locate(target: str | Callable[..., Any], path: str) -> Callable[..., Any]:
    """Import what `target` names, e.g. ``rlkit.agents.dqn.DQN`` or ``my_file.py:MyClass``.

    An object of the program is returned as it is. `path` is the node, for messages.

    Raises:
        UsageError: there is no such module or attribute.
    """
    if callable(target):
        return target
    if ":" in target:
        from rlkit.config import own_code

        return own_code.located(own_code.canonical(target), path)  # type: ignore[no-any-return]
    module, _, name = target.rpartition(".")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise UsageError(f"{path}._target_ is {target!r}; it must name a class in its module, as my_module.MyClass")
    try:
        target_object = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"{path}._target_ {target!r} cannot be imported: {error}; {_remedy(target, error)}") from error
    return target_object  # type: ignore[no-any-return]


def _remedy(target: str, error: Exception) -> str:
    root = target.partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or error.name != root:
        return "is its package installed?"
    return (
        f"is its package installed? {root}.py is looked for in this folder as well; for another, let Python look "
        "there: PYTHONPATH=folder rlkit …"
    )


def arguments_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a node with ``_target_`` passes to its target."""
    return {key: value for key, value in node.items() if key not in SPECIAL}


def names(
    node: Mapping[str, Any], target: Callable[..., Any], known: Collection[str], path: str, given: Collection[str]
) -> list[str]:
    """Return the parameters of `target` that come from the run when `node` is built.

    Args:
        node: names `target`.
        target: what is called.
        known: names of the values that the run has for it.
        path: of the node, for messages.
        given: the parameters that have a value already.

    Raises:
        UsageError: one is marked or asked for that the run does not know, or that is not a parameter.
    """
    _check_asked(node, target, path)
    wanted = _wanted(node, path, target, given, known)
    for name in wanted:
        if name not in known:
            reason = "its YAML asks for it by _from_run_" if name in _asked(node, path) else "its annotation is FromRun"
            what = f"which knows {', '.join(sorted(known))}" if known else "which knows nothing here"
            raise UsageError(
                f"{path}.{name} of {signature.name_of(target)} cannot come from the run ({reason}), {what}; rename it, "
                "or give it a value"
            )
    return wanted


def shown(config: Mapping[str, Any]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return which parameters come from the run, by the path of each node of a configuration, without building it.

    If a node names a class for each task, they are those of all classes. The second dict has the errors of nodes whose
    target cannot be imported, by path.

    Args:
        config: plain data, interpolations resolved.
    """
    injected: dict[str, list[str]] = {}
    unread: dict[str, str] = {}
    for section in SECTIONS:
        for path, node in _nodes(config.get(section), section):
            wrapped = ["env"] if section == "preprocess" and path.count(".") == 1 else []
            parameters = [*wrapped, *_of_node(node, path, WHERE.get(section, []), unread)]
            if parameters:
                injected[path] = list(dict.fromkeys(parameters))
    return injected, unread


def _of_node(node: Mapping[str, Any], path: str, known: Collection[str], unread: dict[str, str]) -> Iterator[str]:
    target = node["_target_"]
    for name in target.values() if isinstance(target, dict) else [target]:
        try:
            found = locate(name if callable(name) else str(name), path)
            yield from _wanted(node, path, found, arguments_of(node), known)
        except UsageError as error:
            unread[path] = str(error)


def _nodes(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the nodes with ``_target_``, `node` itself and those inside it, outermost first."""
    if isinstance(node, Mapping) and "_target_" in node:
        yield path, node
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key not in SPECIAL:
            yield from _nodes(value, f"{path}.{key}")


def _wanted(
    node: Mapping[str, Any], path: str, target: Callable[..., Any], given: Collection[str], known: Collection[str]
) -> list[str]:
    if node.get("_partial_", False):
        return []
    asked = [name for name in _asked(node, path) if name not in given]
    awaited = [name for name, takes in AWAITED.items() if name in known and name not in given and takes(target)]
    return list(dict.fromkeys([*asked, *signature.from_run(target, given), *awaited]))


def _asked(node: Mapping[str, Any], path: str) -> list[str]:
    names = node.get("_from_run_")
    if names is None:
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"{path}._from_run_ is {names!r}; it must be a list of parameters, e.g. [device]")
    return names


def _check_asked(node: Mapping[str, Any], target: Callable[..., Any], path: str) -> None:
    asked = _asked(node, path)
    wanted = signature.parameters(target) if asked else {}
    for name in asked if wanted else ():
        if name not in wanted:
            owner = signature.name_of(target)
            raise UsageError(
                f"{path}._from_run_ asks for {name}, which is not an option of {owner}{nearest(name, wanted)}"
            )
