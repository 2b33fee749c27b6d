"""The whole state of a simulation by MuJoCo (Todorov et al., 2012), in the middle of an episode, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from rlkit.core.types import State

DERIVED = (
    *("xpos", "xquat", "xmat", "xipos", "ximat", "xanchor", "xaxis"),
    *("geom_xpos", "geom_xmat", "site_xpos", "site_xmat", "cam_xpos", "cam_xmat"),
    *("subtree_com", "subtree_linvel", "subtree_angmom", "cinert", "cdof", "cdof_dot", "cvel", "cacc"),
    *("cfrc_int", "cfrc_ext", "qacc", "qfrc_actuator", "qfrc_passive", "qfrc_constraint", "qfrc_bias"),
    *("actuator_force", "actuator_length", "actuator_velocity", "ten_length", "ten_velocity", "sensordata", "energy"),
)
"""Arrays of `mujoco.MjData` that observations and rewards read, and that a step leaves as they were at its beginning.

They follow from the state, but from that of the last substep: computed again from where it ended they would differ.
"""


def read(model: Any, data: Any, changing: Iterable[str] = ()) -> State:
    """Return the state of a simulation as arrays.

    Args:
        model: `mujoco.MjModel`.
        data: `mujoco.MjData`.
        changing: arrays of the model that an environment changes, such as the place of a goal.
    """
    import mujoco

    kind = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    integrated = np.empty(mujoco.mj_stateSize(model, kind))
    mujoco.mj_getState(model, data, integrated, kind)
    return {
        "integration": integrated,
        "derived": {name: np.array(getattr(data, name)) for name in DERIVED},
        "model": {name: np.array(getattr(model, name)) for name in changing},
    }


def write(model: Any, data: Any, state: State) -> None:
    """Restore a state from `read` in a simulation of the same model.

    Raises:
        ValueError: it is none of this model.
    """
    import mujoco

    kind = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    integrated = np.asarray(state["integration"])
    if integrated.shape != (mujoco.mj_stateSize(model, kind),) or integrated.dtype != np.float64:
        raise ValueError(f"a state of {integrated.shape} numbers is none of this MuJoCo model")
    for name, values in state["model"].items():
        _fill(getattr(model, name), values, name)
    mujoco.mj_setState(model, data, integrated, kind)
    # Contacts and constraints, for whoever draws the state or looks at them.
    mujoco.mj_forward(model, data)
    for name in DERIVED:
        _fill(getattr(data, name), state["derived"][name], name)
    # The solver starts from the last solution, which `mj_forward` has changed.
    mujoco.mj_setState(model, data, integrated, kind)


def _fill(array: Any, values: Any, name: str) -> None:
    if np.shape(values) != array.shape:
        raise ValueError(f"{name} of {np.shape(values)} is none of this MuJoCo model, whose is {array.shape}")
    array[:] = values
