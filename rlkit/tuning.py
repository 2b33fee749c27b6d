"""Which tuned file a configuration takes: that of its pair of agent and environment, or of the pair it is like.

A node says by ``_tuned_`` whose tuned settings it takes where there are none of its own: an agent that inherits PPO
says ``_tuned_: ppo``, an environment that is CartPole with something more ``_tuned_: cartpole``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from rlkit import plugins

PAIR = ("agent", "env")
DECIDING = (*PAIR, "experiment", "tuned")
"""Groups whose choice decides which tuned file is taken."""

NONE = "none"


def tuned_files() -> list[str]:
    """Return the names of the tuned files that there are."""
    return [entry.name for entry in plugins.entries("tuned")]


def tuned_file(choices: Mapping[str, str]) -> str:
    """Return the tuned file that was taken, or ``none``."""
    chosen = choices.get("tuned", NONE)
    return chosen if chosen in tuned_files() else NONE


def borrowed(config: Mapping[str, Any], choices: Mapping[str, str]) -> list[str]:
    """Return the override that takes the tuned file of the pair that the nodes say they are like.

    There is none where the pair has a file of its own, a file was chosen, or tuned settings were switched off.
    """
    own = "_".join(str(choices.get(group)) for group in PAIR)
    known = tuned_files()
    if choices.get("tuned") != own or own in known:
        return []
    name = "_".join(_like(config[group], choices[group]) for group in PAIR)
    return [f"tuned={name}"] if name in known else []


def _like(node: Any, choice: str) -> str:
    return str(node.get("_tuned_", choice))


def jobs(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield, for each job of a sweep that may take another tuned file, the words that decide it."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(words))
    except HydraException:
        return  # whoever runs the sweep says what is wrong
    deciding = [override for override in parsed if override.key_or_group in DECIDING]
    values = [
        [f"{override.key_or_group}={value}" for value in override.sweep_string_iterator()]
        if override.is_sweep_override()
        else [str(override.input_line)]
        for override in deciding
    ]
    yield from map(list, product(*values))


def mixture(taken: Mapping[str, Sequence[str]]) -> str | None:
    """Return a line that says which of what is compared takes which tuned file; None where all take the same.

    Args:
        taken: tuned file, or ``none`` -> what takes it.
    """
    if len(taken) < 2:
        return None
    told = "; ".join(
        f"{', '.join(who)} {'no tuned file' if name == NONE else f'conf/tuned/{name}.yaml'}"
        for name, who in taken.items()
    )
    return f"settings are tuned in different ways: {told} (tuned=none compares them as they come)"
