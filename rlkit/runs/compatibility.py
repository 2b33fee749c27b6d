"""Whether a checkpoint fits a run, and what of it other runs load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlkit.core.types import Environment, State


def made_for(agent: Mapping[str, Any], env: Environment) -> State:
    """Return what a checkpoint has to agree with: the class that the node `agent` names, and the spaces."""
    return {
        "agent": agent["_target_"],
        "observation space": str(env.observation_space),
        "action space": str(env.action_space),
    }


def require_fit(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Check that a checkpoint was made for what `made_for` says of this run.

    Raises:
        ValueError: it was not; the message names the first difference.
    """
    for key, value in wanted.items():
        if found[key] != value:
            raise ValueError(f"its {key} is {found[key]}, the run's is {value}")


def without_replay(state: State) -> State:
    """Return an agent's state without what only training needs."""
    return {key: value for key, value in state.items() if key != "replay"}
