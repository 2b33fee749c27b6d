"""Gymnasium's robots in MuJoCo (Todorov et al., 2012), version 5 of each: walkers, swimmers, arms and pendulums."""

from __future__ import annotations

import ctypes.util
import inspect
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import inf, isnan
from typing import Any, Literal

import gymnasium
from gymnasium.envs.registration import load_env_creator

from rlkit.config.messages import nearest
from rlkit.config.signature import check, declared
from rlkit.core.ranges import PositiveInt, shown
from rlkit.core.resources import has_display
from rlkit.core.types import UsageError

Id = Literal[
    "Ant-v5",
    "HalfCheetah-v5",
    "Hopper-v5",
    "Humanoid-v5",
    "HumanoidStandup-v5",
    "InvertedDoublePendulum-v5",
    "InvertedPendulum-v5",
    "Pusher-v5",
    "Reacher-v5",
    "Swimmer-v5",
    "Walker2d-v5",
]


LARGE = 10.0
"""Meters from its middle to its end from which on a plane is a floor to run on, not a table."""


def make(id: Id, frame_skip: PositiveInt, render_mode: str | None = None, **options: Any) -> gymnasium.Env[Any, Any]:
    """Return an environment of Gymnasium's MuJoCo suite, whose state is exact in the middle of an episode.

    Args:
        id: Gymnasium's.
        frame_skip: steps of the simulator in a step.
        render_mode: Gymnasium's.
        options: the environment's own, as its page at Gymnasium says; an interval is a list of two, null without end.

    Raises:
        UsageError: MuJoCo is not installed, or an option is none or has no such value.
    """
    require_mujoco(id)
    kind = load_env_creator(str(gymnasium.registry[id].entry_point))
    chosen = _checked(id, kind, options)
    if render_mode is not None:
        choose_drawing()
        if "default_camera_config" not in chosen and "camera_id" not in chosen:
            # Gymnasium's own choice does not follow a robot that leaves the place; this camera of the models does.
            chosen = {"camera_name": "track", **chosen}
    with quiet_mujoco():
        env = gymnasium.make(id, disable_env_checker=True, render_mode=render_mode, frame_skip=frame_skip, **chosen)
    _require_body(env, chosen.get("main_body"))
    if render_mode is not None:
        _draw_endless_floors(env)
    return env


def _draw_endless_floors(env: Any) -> None:
    """Draw large planes without end, as they are for what runs on them; the models have them end after 40 meters."""
    import mujoco

    model = env.unwrapped.model
    planes = model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
    for floor in (planes & (model.geom_size[:, :2] >= LARGE).all(1)).nonzero()[0]:
        if (material := model.geom_matid[floor]) >= 0:
            # Of a plane without end, the tiles are counted in a meter, not in the whole.
            model.mat_texrepeat[material] /= 2 * model.geom_size[floor, :2]
        model.geom_size[floor, :2] = 0


def _require_body(env: Any, body: int | str | None) -> None:
    """Check that the model has the `body`, a number or a name."""
    import mujoco

    model = env.unwrapped.model
    names = [mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_BODY, i) or "" for i in range(model.nbody)]
    if isinstance(body, str) and body not in names:
        raise UsageError(f"env.main_body is {body}, and the model has no such body{nearest(body, names)}")
    if isinstance(body, int) and not 0 <= body < len(names):
        raise UsageError(f"env.main_body is {body}; the model's bodies are 0 to {len(names) - 1}")


def require_mujoco(what: str) -> None:
    """Refuse `what` where MuJoCo is not installed.

    Raises:
        UsageError: it is not.
    """
    try:
        import mujoco  # noqa: F401
    except ImportError as error:
        raise UsageError(f'{what} needs MuJoCo: pip install "gymnasium[mujoco]"') from error


def _checked(id: str, kind: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an environment, intervals as pairs of numbers; Gymnasium's annotations say what is right.

    Raises:
        UsageError: one is none, or has no such value.
    """
    from gymnasium.envs.mujoco import MujocoEnv

    known = [name for each in (kind, MujocoEnv) for name in inspect.signature(each).parameters if name != "kwargs"]
    for name in options:
        if name not in known:
            raise UsageError(f"env.{name} is not an option of {id}{nearest(name, known)}")
    plain = {name: value for name, value in options.items() if not name.endswith("_range")}
    check(plain, declared(kind, plain), "env")
    noise = options.get("reset_noise_scale", 0)
    if noise < 0:
        raise UsageError(f"env.reset_noise_scale is {noise:g}; it must be at least 0")
    return {**plain, **{name: _interval(name, options[name]) for name in options if name not in plain}}


def _interval(name: str, ends: Any) -> tuple[float, float]:
    """Return the ends of an interval; null is infinity."""
    if not isinstance(ends, (list, tuple)) or len(ends) != 2 or not all(map(_is_end, ends)):
        raise UsageError(f"env.{name} is {shown(ends)}; it must be a list of two numbers, null where there is no end")
    low, high = -inf if ends[0] is None else float(ends[0]), inf if ends[1] is None else float(ends[1])
    if low > high:
        raise UsageError(f"env.{name} is {shown(ends)}; the first must not be more than the second")
    return low, high


def _is_end(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and not isnan(value))


@contextmanager
def quiet_mujoco() -> Iterator[None]:
    """Drop what MuJoCo says of a model's file while it is read; it would also write a log into the working folder."""
    import mujoco

    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda text: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def choose_drawing() -> None:
    """Have MuJoCo draw without a screen where there is none, unless ``MUJOCO_GL`` says how.

    Raises:
        UsageError: it cannot.
    """
    if has_display() or "MUJOCO_GL" in os.environ:
        return
    backends = [name for name, library in (("egl", "EGL"), ("osmesa", "OSMesa")) if ctypes.util.find_library(library)]
    if not backends:
        raise UsageError(
            "MuJoCo draws without a screen by EGL or OSMesa, and neither is installed (Debian: apt install libegl1 or "
            "libosmesa6); or set video=none"
        )
    os.environ["MUJOCO_GL"] = backends[0]
