"""Which tuned file a configuration uses: that of its pair of agent and environment, or of a similar pair.

A node names by ``_tuned_`` whose tuned settings it uses if it has none of its own: an agent that inherits from PPO has
``_tuned_: ppo``, an environment that is a variant of CartPole ``_tuned_: cartpole``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from rlkit.config import plugins
from rlkit.config.messages import nearest
from rlkit.core.types import UsageError

PAIR = ("agent", "env")
DECIDING = (*PAIR, "experiment", "tuned")
"""Groups whose choice decides which tuned file is used."""

NONE = "none"

Known = Mapping[str, Sequence[str]]
"""The existing files of the groups `PAIR` and ``tuned``."""


def borrowed(config: Mapping[str, Any], choices: Mapping[str, str], known: Known) -> list[str]:
    """Return the override for the tuned file that is used by the ``_tuned_`` of the nodes, in a list.

    The list is empty if the pair has a file of its own, a file was chosen, or tuned settings were switched off. A file
    for one of the two and the ``_tuned_`` of the other has precedence over one for the ``_tuned_`` of both.

    Raises:
        UsageError: ``_tuned_`` names a file that does not exist.
    """
    own = [str(choices.get(group)) for group in PAIR]
    if choices.get("tuned") != "_".join(own) or "_".join(own) in known["tuned"]:
        return []
    agent, env = own
    like, place = (_like(group, config[group], choice, known[group]) for group, choice in zip(PAIR, own, strict=True))
    names = [f"{agent}_{place}", f"{like}_{env}", f"{like}_{place}"]
    return next(([f"tuned={name}"] for name in names if name in known["tuned"]), [])


def _like(group: str, node: Any, choice: str, known: Sequence[str]) -> str:
    name = str(node.get("_tuned_", choice))
    if name not in (choice, *known):
        raise UsageError(f"{group}={choice} says _tuned_: {name}, and there is no {group}={name}{nearest(name, known)}")
    return name


def jobs(words: Sequence[str], loader: ConfigLoader) -> Iterator[list[str]]:
    """Yield, for each job of a sweep that may use another tuned file, the words that decide it.

    Args:
        words: overrides, as they would be typed.
        loader: finds the files that match a pattern.
    """
    try:
        parsed = OverridesParser.create(loader).parse_overrides(list(words))
    except HydraException:
        return  # the sweep itself reports the error
    deciding = [override for override in parsed if override.key_or_group in DECIDING]
    values = [
        [f"{override.key_or_group}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in deciding
    ]
    yield from map(list, product(*values))


def fixed_keys(words: Sequence[str]) -> list[str]:
    """Return the keys among the words of a sweep that have the same value in all of its jobs."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(words))
    except HydraException:
        return []  # the sweep itself reports the error
    fixed = [override.key_or_group for override in parsed if not override.is_sweep_override()]
    return [key for key in fixed if not key.startswith("hydra")]


def mixtures(compared: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    """Yield, for each environment whose runs use different tuned files, a line with the tuned file of each.

    Args:
        compared: (environment, tuned file or ``none``, name of the run or job) of all that are compared.
    """
    for place in dict.fromkeys(env for env, _, _ in compared):
        taken: dict[str, list[str]] = {}
        for _, name, who in (one for one in compared if one[0] == place):
            taken.setdefault(name, []).append(who)
        if len(taken) > 1:
            yield _mixture(taken)


def _mixture(taken: Mapping[str, Sequence[str]]) -> str:
    parts = "; ".join(
        f"{', '.join(who)} {'no tuned file' if name == NONE else f'conf/tuned/{name}.yaml'}"
        for name, who in taken.items()
    )
    return f"settings are tuned in different ways: {parts} (tuned=none compares them as they come)"


@contextmanager
def named(tuned: str) -> Iterator[None]:
    """Name the tuned file in the error of an option that a class does not have, where the file sets it.

    Raises:
        UsageError: of the block, with the file and the remedy at its end.
    """
    try:
        yield
    except UsageError as error:
        option = re.match(r"\S*?(\w+) is not an option of ", str(error))
        texts = [entry.path.read_text() for entry in plugins.entries("tuned") if entry.name == tuned]
        if option is None or not any(re.search(rf"^ +{option[1]}:", text, re.MULTILINE) for text in texts):
            raise
        raise UsageError(f"{error}; conf/tuned/{tuned}.yaml sets it: tuned=none leaves that file out") from error
