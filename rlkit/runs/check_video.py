"""Whether the videos that a run is to record can be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import VectorEnv

from rlkit.config.injection import locate
from rlkit.config.run_config import TrainRunConfig
from rlkit.config.schemas import Video
from rlkit.core.types import UsageError
from rlkit.rendering.frames import check_frame
from rlkit.rendering.render_wrapper import draws
from rlkit.rendering.video import encoder
from rlkit.runs import build
from rlkit.vector.manners import close_quietly


def check_video(config: TrainRunConfig) -> None:
    """Refuse videos that cannot be made, before a run begins.

    Raises:
        UsageError: there is no encoder, or the environment draws nothing.
    """
    if config.video is Video.every:
        _check_single(config)
    encoder()
    _check_frames(config)


def undrawn(config: TrainRunConfig) -> str | None:
    """Return the name of the environment's class where no video can be made of it; it is not built for that."""
    kind = _class_of(config.env)
    return kind.__name__ if kind is not None and not draws(kind) else None


def _class_of(node: Mapping[str, Any]) -> type[gymnasium.Env[Any, Any]] | None:
    """Return the class that a node of an environment names, by itself or as an id; None where it names a function."""
    target = locate(node["_target_"], "env")
    spec = gymnasium.registry.get(str(node.get("id")).rpartition(":")[2])
    if spec is not None and spec.entry_point is not None:
        target = load_env_creator(spec.entry_point) if isinstance(spec.entry_point, str) else spec.entry_point
    return target if isinstance(target, type) and issubclass(target, gymnasium.Env) else None


def _check_single(config: TrainRunConfig) -> None:
    """Refuse to film training in an environment that is another one, with other checkpoints, when it is filmed."""
    env = build.make_single(config.environment)
    close_quietly(env)
    if isinstance(env, VectorEnv):
        raise UsageError(
            "video=every films training, which a native vector environment does not draw; set video=eval, or let "
            "single environments be stepped (env.stepping=python)"
        )


def _check_frames(config: TrainRunConfig) -> None:
    """Draw one frame, so that a run does not fail at its first evaluation because it cannot."""
    seen: list[Any] = []
    frame_callbacks = [lambda frame: seen.append(frame.draw())]
    env = build.make_environment(config.environment.in_process(), num_envs=1, frame_callbacks=frame_callbacks)
    try:
        env.reset([0])
        check_frame(seen[0])
    finally:
        env.close()
