"""Whether a checkpoint fits a run, and what of it other runs load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rlkit.core.alike import require_alike
from rlkit.core.checkpoint import CheckpointError
from rlkit.core.types import Agent, Environment, RunError, State, UsageError, a_kind

PARTS = {
    "made_for": dict,
    "agent": dict,
    "stream": dict,
    "tracker": dict,
    "averages": dict,
    "best": dict,
    "callbacks": dict,
    "episodes": int,
    "resumable": bool,
}
"""The parts of the state of a run, and their types."""


def made_for(agent: Mapping[str, Any], env: Environment) -> State:
    """Return what a checkpoint has to agree with: the class that the node `agent` names, and the spaces."""
    return {
        "agent": agent["_target_"],
        "observation space": str(env.observation_space),
        "action space": str(env.action_space),
    }


@contextmanager
def fitting(checkpoint: str) -> Iterator[None]:
    """Say in one line that the state of `checkpoint` does not fit, whatever is raised where it is restored.

    Raises:
        CheckpointError: something was raised.
    """
    try:
        yield
    except (RunError, UsageError):
        raise
    except Exception as error:  # The state may be somebody else's, and any code restores it.
        what = " ".join(f"{'' if isinstance(error, ValueError) else f'{type(error).__name__}: '}{error}".split())
        raise CheckpointError(f"{checkpoint} does not fit its config.yaml: {what}") from error


def require_parts(state: State, names: Mapping[str, type] | None = None) -> None:
    """Check that a checkpoint has its parts, those of a run to be resumed or `names`.

    Raises:
        CheckpointError: it does not.
    """
    for name, kind in (names or PARTS).items():
        if type(state.get(name)) is not kind:
            raise CheckpointError(f"its {name} is {a_kind(state.get(name))}, not a {kind.__name__}")


def require_moments(state: State, step: int) -> None:
    """Check what a checkpoint says of when a run did things, and why it stopped.

    Args:
        state: of the session.
        step: of the checkpoint.

    Raises:
        ValueError: a moment is no step up to `step`, or the reason is no text.
    """
    for name in ("unfinished", "evaluated"):
        value = state[name]
        if value is not None and (type(value) is not int or not 0 <= value <= step):
            raise ValueError(f"{name} is {str(value)[:100]}, not a step up to {step:,}")
    if not isinstance(state["stopped"], str | None):
        raise ValueError(f"stopped is {a_kind(state['stopped'])}, not a text")


def require_state_of(agent: Agent, state: State) -> None:
    """Check an agent's state, without its replay, against that of the new `agent`.

    Raises:
        ValueError: they differ; the message names the place.
    """
    require_alike(without_replay(state), without_replay(agent.state_dict()), "agent", learned=True)


def require_fit(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Check that a checkpoint was made for what `made_for` says of this run.

    Raises:
        ValueError: it was not; the message names the first difference.
    """
    for key, value in wanted.items():
        if found.get(key) != value:
            raise ValueError(f"its {key} is {str(found.get(key))[:200]}, the run's is {value}")


def without_replay(state: State) -> State:
    """Return an agent's state without what only training needs."""
    return {key: value for key, value in state.items() if key != "replay"}
