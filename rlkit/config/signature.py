"""Checks of a constructor's options in YAML against the names and types in its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from rlkit.config import settings
from rlkit.config.annotations import Namespace, is_marked
from rlkit.config.messages import nearest
from rlkit.config.values import Declared, of_parameter
from rlkit.core.types import UsageError

Parameters = Mapping[str, inspect.Parameter]


def parameters(target: Callable[..., Any]) -> Parameters:
    """Return the parameters of `target`, with settings by their fields; none if it has no signature.

    A class that passes ``**options`` to its base has the base's parameters, too.
    """
    return {name: parameter for name, (parameter, _) in _owned(target).items()}


def from_run(target: Callable[..., Any], given: Collection[str]) -> list[str]:
    """Return the parameters of `target` marked `rlkit.core.types.FromRun`, except those `given`.

    A parameter with a default keeps it.
    """
    names = []
    namespaces: dict[Callable[..., Any], Namespace] = {}
    for name, (parameter, owner) in _owned(target).items():
        if name in given or parameter.default is not parameter.empty:
            continue
        if owner not in namespaces:
            namespaces[owner] = Namespace(owner)
        if is_marked(parameter.annotation, namespaces[owner]):
            names.append(name)
    return names


def takes_seed(target: Callable[..., Any]) -> bool:
    """Return whether `target` is an estimator whose ``random_state`` is None, as scikit-learn asks for a seed."""
    return hasattr(target, "fit") and _is_none("random_state", target)


def takes_render_mode(target: Callable[..., Any]) -> bool:
    """Return whether `target` makes an environment whose ``render_mode`` is None, as Gymnasium writes it."""
    return _is_none("render_mode", target)


def _is_none(name: str, target: Callable[..., Any]) -> bool:
    parameter = parameters(target).get(name)
    return parameter is not None and parameter.default is None


def _owned(target: Callable[..., Any]) -> dict[str, tuple[inspect.Parameter, Callable[..., Any]]]:
    """Return the parameters of `target`, each with the callable in whose module its annotation is written."""
    try:
        written = inspect.signature(target).parameters
    except ValueError:
        return {}
    taken = settings.settings_of(target)
    own = settings.flattened(written, taken)
    rest = [name for name, parameter in own.items() if parameter.kind is parameter.VAR_KEYWORD]
    owners = {} if taken is None else dict.fromkeys(taken.fields, taken.kind)
    named = {name: (parameter, owners.get(name, target)) for name, parameter in own.items() if name not in rest}
    if not rest or not isinstance(target, type) or target.__base__ in (None, object):
        return {**named, **{name: (own[name], target) for name in rest}}
    return {**_owned(target.__base__), **named}


def declared(target: Callable[..., Any], names: Collection[str]) -> dict[str, Declared]:
    """Return what those parameters of `target` declare that are among `names`."""
    owned = _owned(target)
    return {name: of_parameter(*owned[name]) for name in names if name in owned}


def settled(given: Mapping[str, Any], declarations: Mapping[str, Declared]) -> dict[str, Any]:
    """Return the options, with numbers such as 1e5 as whole ones where those are declared."""
    return {key: declarations[key].settled(value) if key in declarations else value for key, value in given.items()}


def check(given: Mapping[str, Any], declarations: Mapping[str, Declared], path: str) -> None:
    """Refuse values of another type than is declared, and numbers out of their range (`rlkit.core.ranges`).

    Only certain errors are refused: plain values, where the annotation is another plain type or a class of objects.

    Raises:
        UsageError: there is such an option; the message has ``path.key``, the value and the remedy.
    """
    for key, value in given.items():
        if key in declarations and (problem := declarations[key].problem(value, f"{path}.{key}")):
            raise UsageError(problem)


def require(
    wanted: Parameters, given: AbstractSet[str], target: Callable[..., Any], path: str, known: Collection[str] = ()
) -> None:
    """Refuse a call that leaves out options without a default; `known` are those that the run could supply.

    Raises:
        UsageError: options are missing; the message names the first.
    """
    for name, parameter in wanted.items():
        optional = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if not optional and name not in given:
            owner = name_of(target)
            mark = (
                f", or mark it as the run's in the signature of {owner}: {name}: FromRun[…] (from rlkit import FromRun)"
            )
            way = f" ({path}.{name}=…, in Python as well)" if path in ("env", "agent", "network", "learner") else ""
            raise UsageError(
                f"{path}.{name} is missing: {owner} needs it; give it a value in its YAML or on the command line{way}"
                f"{mark if name in known else ''}"
            )


def refuse_unknown(given: Collection[str], wanted: Parameters, target: Callable[..., Any], path: str) -> None:
    """Refuse names of options that `target` does not have.

    Raises:
        UsageError: there are such names; the message has the first.
    """
    if not wanted or any(parameter.kind is parameter.VAR_KEYWORD for parameter in wanted.values()):
        return
    for key in given:
        if key not in wanted:
            raise UsageError(f"{path}.{key} is not an option of {name_of(target)}{nearest(key, wanted)}")


def name_of(target: Callable[..., Any]) -> str:
    """Return the name of `target` in messages."""
    return str(getattr(target, "__name__", target))


def package_of(target: Callable[..., Any]) -> str:
    """Return the name of the package that `target` is defined in."""
    return str(getattr(target, "__module__", None) or "").partition(".")[0]
