"""What a command line asks for, and what every verb that makes a run folder does with it."""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig

from rlkit.config.compose import Choices
from rlkit.core.types import UsageError

LOGGERS = {"wandb": "pip install wandb", "tensorboard": "pip install tensorboard"}
"""Loggers that need a package of the same name, and how to get it."""


class Request(NamedTuple):
    """What a command line asks for."""

    config: DictConfig
    choices: Choices
    overrides: Sequence[str]


def require_loggers(config: Mapping[str, Any]) -> None:
    """Refuse loggers whose package is not there.

    Raises:
        UsageError: naming it and its remedy.
    """
    for logger, remedy in LOGGERS.items():
        if logger in config["logger"] and importlib.util.find_spec(logger) is None:
            raise UsageError(f"logger={logger} needs {logger}: {remedy}, or leave it out of logger=[…]")


@contextmanager
def traceback_kept(path: Path) -> Iterator[None]:
    """Write the traceback of what goes wrong to the end of a file."""
    try:
        yield
    except Exception:
        with suppress(OSError), path.open("a") as file:
            file.write(traceback.format_exc())
        raise
