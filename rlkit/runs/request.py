"""What a command line asks for, and what every verb that makes a run folder does with it."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig

from rlkit.config.compose import Choices
from rlkit.config.run_config import TrainRunConfig
from rlkit.core.types import UsageError, printable

if TYPE_CHECKING:
    from rlkit.runs.callbacks import Callbacks

LOGGERS = {"wandb": "pip install wandb", "tensorboard": "pip install tensorboard"}
"""Loggers that need a package of the same name, and how to get it."""


class Objects(NamedTuple):
    """Callables of a program that configurations do not hold."""

    by_name: Mapping[str, Callable[..., Any]] = MappingProxyType({})  # in a new run: by the names that stand for them
    env: Callable[..., Any] | None = None  # in a run that is there: in place of its own
    wrappers: Sequence[Any] | None = None


class Request(NamedTuple):
    """What a command line, or a program, asks for."""

    config: DictConfig
    choices: Choices
    overrides: Sequence[str]
    callbacks: Callbacks = MappingProxyType({})  # of a program, beside those of the configuration
    objects: Objects = Objects()


def with_objects(config: TrainRunConfig, objects: Objects) -> TrainRunConfig:
    """Return a configuration that makes its environment of the objects of a program.

    Raises:
        UsageError: there are more or fewer wrappers than the run was begun with.
    """
    known = objects.by_name
    env = {**config.env, "_target_": objects.env or _known(config.env.get("_target_"), known)}
    nodes: list[Any] = [
        {**node, "_target_": _known(node["_target_"], known)} if isinstance(node, dict) and "_target_" in node else node
        for node in config.preprocess
    ]
    if objects.wrappers is not None:
        if len(objects.wrappers) != len(nodes):
            raise UsageError(
                f"wrappers= lists {len(objects.wrappers)}, and the run was begun with {len(nodes)}: pass as many"
            )
        nodes = [
            {**node, "_target_": one} if callable(one) else node
            for node, one in zip(nodes, objects.wrappers, strict=True)
        ]
    return replace(config, env=env, preprocess=nodes)


def _known(target: Any, objects: Mapping[str, Any]) -> Any:
    return objects.get(target, target) if isinstance(target, str) else target


def require_loggers(loggers: Container[str]) -> None:
    """Refuse loggers whose package is not there.

    Raises:
        UsageError: naming it and its remedy.
    """
    for logger, remedy in LOGGERS.items():
        if logger in loggers and importlib.util.find_spec(logger) is None:
            raise UsageError(f"logger={logger} needs {logger}: {remedy}, or leave it out of logger=[…]")


@contextmanager
def traceback_kept(path: Path) -> Iterator[None]:
    """Write the traceback of what goes wrong to the end of a file."""
    try:
        yield
    except Exception:
        with suppress(OSError), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(printable(traceback.format_exc()))
        raise
