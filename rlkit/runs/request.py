"""What a command line asks for, and what every verb that makes a run folder does with it."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig

from rlkit.config.compose import Choices
from rlkit.core.types import UsageError

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
            file.write(traceback.format_exc())
        raise
