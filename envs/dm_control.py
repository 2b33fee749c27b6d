"""The control suite of dm_control (Tassa et al., 2018), by Shimmy; states are exact in the middle of an episode."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from typing import Any

import gymnasium

from rlkit.config.messages import nearest
from rlkit.core.ranges import PositiveInt
from rlkit.core.types import UsageError
from rlkit.envs.mujoco import choose_drawing, quiet_mujoco
from rlkit.envs.simulated import PLACED, Simulated

CHANGED = (*PLACED, "dof_damping", "jnt_stiffness", "wrap_prm", "hfield_data", "qpos0")
"""Arrays of a model that the suite's tasks draw when an episode begins."""


def make(
    domain: str, task: str, flat: bool, size: PositiveInt, kwargs: Mapping[str, Any], render_mode: str | None = None
) -> gymnasium.Env[Any, Any]:
    """Return a task of the suite; after its time an episode is truncated.

    Args:
        domain: such as ``cheetah``.
        task: of the domain, such as ``run``.
        flat: an observation is one vector; else the parts are a `Dict`.
        size: height and width of frames.
        kwargs: of the task.
        render_mode: Gymnasium's.

    Raises:
        UsageError: dm_control or Shimmy is not installed, or there is no such task.
    """
    # It chooses how to draw once, when it is first imported, which may be for an environment that is not drawn.
    with suppress(UsageError) if render_mode is None else nullcontext():
        choose_drawing()
    try:
        from dm_control import suite
        from shimmy.dm_control_compatibility import DmControlCompatibilityV0
    except ImportError as error:
        raise UsageError('env=dm_control needs dm_control: pip install "shimmy[dm-control]" "mujoco<4"') from error
    _require_task(suite.ALL_TASKS, domain, task)
    try:
        with quiet_mujoco():
            own = suite.load(domain, task, task_kwargs=dict(kwargs))
    except AttributeError as error:
        raise UsageError(f'dm_control cannot read this version of MuJoCo ({error}): pip install "mujoco<4"') from error
    except TypeError as error:
        raise UsageError(f"env.kwargs={dict(kwargs)} are not options of {domain} {task}: {error}") from error
    shown = {"height": size, "width": size, "camera_id": 0}
    inner = DmControlCompatibilityV0(own, render_mode, shown)
    physics = own.physics
    env: gymnasium.Env[Any, Any] = Simulated(
        inner, [(physics.model.ptr, physics.data.ptr)], [own, own.task, physics], CHANGED
    )
    return gymnasium.wrappers.FlattenObservation(env) if flat else env


def _require_task(tasks: Any, domain: str, task: str) -> None:
    known: dict[str, list[str]] = {}
    for of, name in tasks:
        known.setdefault(of, []).append(name)
    if domain not in known:
        raise UsageError(f"env.domain={domain} is no domain of dm_control's suite{nearest(domain, known)}")
    if task not in known[domain]:
        raise UsageError(f"env.task={task} is no task of {domain}{nearest(task, known[domain])}")
