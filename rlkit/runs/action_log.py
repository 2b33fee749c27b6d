"""An episode as its seed and its actions, which may be somebody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.files import read_bytes, write_whole
from rlkit.core.ranges import LARGEST, shown
from rlkit.core.types import Interrupted, Memory, RunError, TimeStep, Tree, UsageError, described

SUFFIX = ".actions.json"
ENVIRONMENT = {"env": dict, "preprocess": list, "action_mask": bool}
"""What is kept of an `EnvironmentConfig`, and its types."""

LIMIT = "max_episode_steps"
"""Is kept, too, where it is set."""

WIDEST = 16  # bytes of a number


@dataclass(frozen=True)
class ActionLog:
    """An episode as its seed and its actions: a few kilobytes that the environment makes the same episode of again."""

    environment: Mapping[str, Any]  # the keys `ENVIRONMENT` of a configuration
    seed: int
    actions: list[Any]
    dtype: Any  # of the actions, a tree of names where they are trees
    score: float  # the episode's raw return, to check that it goes the same way again
    versions: Mapping[str, str]

    def write(self, path: Path) -> Path:
        """Write to `path`.

        Raises:
            RunError: it cannot be written, or the disk is full.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(self)) + "\n")
        return path

    @staticmethod
    def read(path: Path) -> ActionLog:
        """Return the log in `path`.

        Raises:
            UsageError: it is not there, or not one.
        """
        try:
            log = ActionLog(**json.loads(read_bytes(path)))
            _require_log(log)
        except FileNotFoundError:
            raise UsageError(f"there is no log={path}; rlkit play run=… actions=true writes one") from None
        except (OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            raise UsageError(f"log={path} is no log of actions: {' '.join(str(error).split()):.300}") from error
        return log


def _require_log(log: ActionLog) -> None:
    """Check what a file holds.

    Raises:
        ValueError, TypeError, LookupError, ArithmeticError: it is no log.
    """
    environment = log.environment
    if not isinstance(environment, dict) or environment.keys() - {LIMIT} != ENVIRONMENT.keys():
        keys = (
            f" has the keys {', '.join(environment)}" if isinstance(environment, dict) else f" is {shown(environment)}"
        )
        raise ValueError(f"its environment{keys}")
    for name, kind in ENVIRONMENT.items():
        if type(environment[name]) is not kind:
            raise ValueError(f"its environment's {name} is {shown(environment[name])}")
    if LIMIT in environment and (type(environment[LIMIT]) is not int or not 0 < environment[LIMIT] <= LARGEST):
        raise ValueError(f"its environment's {LIMIT} is {shown(environment[LIMIT])}")
    if type(log.seed) is not int or not 0 <= log.seed <= LARGEST:
        raise ValueError(f"its seed is {shown(log.seed)}")
    if type(log.score) not in (int, float) or abs(log.score) > LARGEST:
        raise ValueError(f"its score is {shown(log.score)}")
    if not isinstance(log.versions, dict) or not all(isinstance(value, str) for value in log.versions.values()):
        raise ValueError(f"its versions are {shown(log.versions)}")
    if not isinstance(log.actions, list) or not log.actions:
        raise ValueError(f"its actions are {shown(log.actions)}")
    for action in log.actions:
        _as_arrays(_dtypes(log), action)


def _dtypes(log: ActionLog) -> Tree:
    """Return the dtypes of a log's actions.

    Raises:
        ValueError, TypeError: one is not of numbers.
    """
    found = tree.map(_dtype, _as_tuples(log.dtype))
    if not tree.leaves(found):
        raise ValueError(f"its dtype is {shown(log.dtype)}")
    return found


def _dtype(name: Any) -> np.dtype[Any]:
    found = np.dtype(name) if isinstance(name, str) and len(name) <= WIDEST else None
    if found is None or found.kind not in "biuf" or found.itemsize > WIDEST:
        raise ValueError(f"its dtype is {shown(name)}")
    return found


def _as_arrays(dtypes: Tree, action: Any) -> Tree:
    """Return an action out of JSON as arrays [1, ...]."""
    return tree.map_many(lambda dtype, part: np.array([part], dtype), dtypes, action)


class ReplayActor:
    """The actions of a log, one after the other, for one environment."""

    def __init__(self, log: ActionLog):
        """Begin with the first."""
        self._actions = iter(log.actions)
        self._dtypes = _dtypes(log)

    def initial_memory(self, n: int) -> Memory:
        """Return nothing."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        """Return the next action, [1, ...]."""
        return _as_arrays(self._dtypes, next(self._actions)), memory


@contextmanager
def playing(path: Path) -> Iterator[None]:
    """Say in one line that an environment does not take the actions of the log in `path`.

    Raises:
        RunError: it raised something.
    """
    try:
        yield
    except (RunError, UsageError, Interrupted):
        raise
    except Exception as error:  # whatever an environment raises at an action that it does not know
        raise RunError(f"the environment does not take the actions of log={path}: {described(error):.300}") from error


def _as_tuples(form: Any) -> Any:
    """Return a tree out of JSON, where tuples became lists, as it was."""
    if isinstance(form, dict):
        return {key: _as_tuples(part) for key, part in form.items()}
    return tuple(map(_as_tuples, form)) if isinstance(form, list) else form
