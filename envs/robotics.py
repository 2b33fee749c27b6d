"""Gymnasium-Robotics (Plappert et al., 2018): arms, hands and mazes, with goals for ``replay=hindsight``."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace
from typing import Any

import gymnasium
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from rlkit.config.messages import nearest
from rlkit.core.types import UsageError
from rlkit.envs.mujoco import choose_drawing, quiet_mujoco
from rlkit.envs.simulated import PLACED, GoalRobot


def make(id: str, kwargs: Mapping[str, Any], render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """Return an environment of Gymnasium-Robotics.

    The states of Fetch, hands and mazes are exact in the middle of an episode. Others' are not read: Adroit's hands and
    the kitchen begin new episodes at checkpoints.

    Args:
        id: such as ``FetchReach-v4``, ``PointMaze_UMaze-v3`` or ``AntMaze_UMaze-v5``.
        kwargs: its own options, such as ``reward_type`` or ``max_episode_steps``.
        render_mode: Gymnasium's.

    Raises:
        UsageError: the package is not installed, there is no such id, or an option is none.
    """
    ids = _registered()
    if id not in ids:
        raise UsageError(f"env.id={id} is none of Gymnasium-Robotics{nearest(id, ids)}")
    if render_mode is not None:
        choose_drawing()
    try:
        with quiet_mujoco():
            env = gymnasium.make(id, disable_env_checker=True, render_mode=render_mode, **kwargs)
    except TypeError as error:
        raise UsageError(f"env.kwargs={dict(kwargs)} are not options of {id}: {error}") from error
    return _with_state(env)


def _registered() -> list[str]:
    """Return the ids of the package, which it registers; what it prints when it is imported is dropped."""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            import gymnasium_robotics
    except ImportError as error:
        raise UsageError("env=robotics needs Gymnasium-Robotics: pip install gymnasium-robotics") from error
    gymnasium.register_envs(gymnasium_robotics)
    _compare_numbers()
    return [
        name
        for name, spec in gymnasium.registry.items()
        if str(spec.entry_point).startswith("gymnasium_robotics.envs") and ".mujoco." not in str(spec.entry_point)
    ]


def _compare_numbers() -> None:
    """Let the package's helpers compare kinds of joints as numbers, as arrays of the model have them.

    Newer versions of MuJoCo do not say that a kind equals its number, on which the helpers rely.
    """
    import mujoco
    from gymnasium_robotics.utils import mujoco_utils

    if mujoco_utils.mujoco is mujoco:
        kinds = {name: int(kind) for name, kind in mujoco.mjtJoint.__members__.items()}
        mujoco_utils.mujoco = SimpleNamespace(**{**vars(mujoco), "mjtJoint": SimpleNamespace(**kinds)})


def _with_state(env: gymnasium.Env[Any, Any]) -> gymnasium.Env[Any, Any]:
    """Return an environment whose state can be read, where that is known to be the whole state; else `env`."""
    from gymnasium_robotics.envs.maze.maze_v4 import MazeEnv
    from gymnasium_robotics.envs.robot_env import MujocoRobotEnv

    core: Any = env.unwrapped
    if isinstance(core, MazeEnv):
        robots = [getattr(core, name) for name in ("point_env", "ant_env") if hasattr(core, name)]
    elif isinstance(core, MujocoRobotEnv):
        robots = [core]
    else:
        return env
    owners = list(dict.fromkeys([core, *(robot.unwrapped for robot in robots)]))
    simulations = [(robot.unwrapped.model, robot.unwrapped.data) for robot in robots]
    exact = OrderEnforcing(GoalRobot(core, simulations, owners, PLACED))
    limit = None if env.spec is None else env.spec.max_episode_steps
    return exact if limit is None else TimeLimit(exact, limit)
