"""Atari 2600 games, any of the ROMs that come with ale-py.

`stepping` chooses who runs the emulators: ``native`` is ale-py's own vector environment in C++, ``python`` is one
emulator after the other with the wrappers of `rlkit.preprocess`. Both play the same game from the same seed and show
the same observations, so an agent trained in one is evaluated, filmed and played in the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from rlkit import preprocess
from rlkit.config.messages import nearest
from rlkit.core.ranges import NonNegativeInt, PositiveInt, Probability
from rlkit.core.resources import cores
from rlkit.core.types import FromRun, UsageError

STEPPINGS = ("native", "python")
GREYS, POOLS, INTERPOLATIONS = ("luma", "mean"), (2, 1), ("area", "nearest")
"""Values of the options of observations; native stepping has the first of each."""


def make(
    game: str,
    stepping: str,
    frame_skip: PositiveInt,
    sticky: Probability,
    noop_max: NonNegativeInt,
    fire_reset: bool,
    life_loss: bool,
    reward_clip: bool,
    grey: bool,
    grey_by: str,
    pool: PositiveInt,
    interpolation: str,
    crop: Sequence[NonNegativeInt] | None,
    size: Sequence[PositiveInt],
    stack: PositiveInt,
    full_action_space: bool,
    max_frames: PositiveInt,
    threads: NonNegativeInt,
    num_envs: FromRun[int],
    filmed: FromRun[bool],
    render_mode: str | None = None,
) -> gymnasium.Env[Any, Any] | VectorEnv[Any, Any, Any]:
    """Return `num_envs` games as a vector environment, or one game where stepping is Python's or frames are wanted.

    An observation is [stack, *size] uint8, or [stack, *size, 3] in color, the newest frame last; the first frame of
    a game is repeated.

    Args:
        game: ``Pong``, ``SpaceInvaders``, … or the ROM's name, ``pong``, ``space_invaders``, …
        stepping: ``native`` or ``python``.
        frame_skip: frames for which an action is held.
        sticky: probability with which the emulator repeats its last action in a frame.
        noop_max: a game begins with up to so many frames without an action, drawn uniformly.
        fire_reset: a game begins with FIRE, where it has that button; the frame counts as one of those of `noop_max`.
        life_loss: a lost life ends the learner's episode; the game goes on.
        reward_clip: rewards are clipped to [-1, 1]; the score is passed on as ``raw_reward``.
        grey: gray instead of color.
        grey_by: ``luma``, the emulator's own, or with Python stepping ``mean`` of the channels, rounded down.
        pool: 2: an observation is the brighter of the last two frames of an action, pixel by pixel; 1, with Python
            stepping: it is the last.
        interpolation: of `rlkit.preprocess.Resize`: ``area``, or with Python stepping ``nearest``.
        crop: rows and columns cut off at top, bottom, left and right, before resizing; Python stepping only.
        size: height and width.
        stack: frames in an observation.
        full_action_space: all 18 actions instead of those that the game knows.
        max_frames: a game that lasts longer is truncated.
        threads: of native stepping; 0: one per core.
        render_mode: Gymnasium's.
        num_envs: of native stepping.
        filmed: single environments are wanted, for their frames.

    Raises:
        UsageError: there is no such game, or an option has no such value.
    """
    rom = rom_name(game)
    _check(stepping, frame_skip, sticky, noop_max, crop, size, stack, max_frames, threads)
    _check_pixels(stepping, grey_by, pool, interpolation)
    common: dict[str, Any] = {
        "frame_skip": frame_skip,
        "sticky": sticky,
        "noop_max": noop_max,
        "fire_reset": fire_reset,
        "grey": grey,
        "full_action_space": full_action_space,
        "max_frames": max_frames,
    }
    if stepping == "native" and not filmed and render_mode is None:
        from rlkit.envs.atari_native import AtariGames

        return AtariGames(
            rom,
            num_envs,
            size=size,
            stack=stack,
            life_loss=life_loss,
            reward_clip=reward_clip,
            threads=threads or min(cores(), num_envs),
            **common,
        )
    from rlkit.envs.atari_game import AtariGame

    env: gymnasium.Env[Any, Any] = AtariGame(rom, grey_by=grey_by, pool=pool, render_mode=render_mode, **common)
    env = preprocess.Crop(env, *crop) if crop else env
    env = preprocess.FrameStack(preprocess.Resize(env, size, interpolation), stack)  # type: ignore[arg-type]  # checked
    # Outside of the stack, so that a lost life does not empty it: the next observation is where the game goes on.
    env = preprocess.LifeLoss(env) if life_loss else env
    return preprocess.ClipReward(env, -1.0, 1.0) if reward_clip else env


def _check_pixels(stepping: str, grey_by: str, pool: int, interpolation: str) -> None:
    options = {"grey_by": (grey_by, GREYS), "pool": (pool, POOLS), "interpolation": (interpolation, INTERPOLATIONS)}
    for name, (value, known) in options.items():
        if value not in known:
            raise UsageError(f"env.{name} is {value}; it must be {known[0]} or {known[1]}")
        if stepping == "native" and value != known[0]:
            raise UsageError(f"env.{name}={value} needs env.stepping=python: native stepping takes {known[0]}")


def rom_name(game: str) -> str:
    """Return the ROM of a game, e.g. ``space_invaders`` for ``SpaceInvaders`` or ``ALE/SpaceInvaders-v5``.

    Raises:
        UsageError: there is none; the nearest game is named.
    """
    from ale_py import ALEInterface, LoggerMode, roms

    ALEInterface.setLoggerMode(LoggerMode.Error)
    known = {_letters(rom): rom for rom in roms.get_all_rom_ids()}
    found = known.get(_letters(re.sub(r"^ALE/|(-ram|-?NoFrameskip|-?Deterministic)*(-v\d+)?$", "", game)))
    if found is None:
        names = ["".join(part.capitalize() for part in rom.split("_")) for rom in sorted(known.values())]
        raise UsageError(f"there is no Atari game {game}{nearest(_capital(game), names)}")
    path = roms.get_rom_path(found)
    # Loading one of these would end the process.
    if path is None or ALEInterface.isSupportedROM(path) is None:
        raise UsageError(f"env.game={game} is for several players, and ale-py cannot play it alone; take another game")
    return found


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _capital(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]", name))


MOST_BYTES = 2**31 - 1
"""Of an observation, which games that step natively count in 32 bits."""


def _check(
    stepping: str,
    frame_skip: int,
    sticky: float,
    noop_max: int,
    crop: Sequence[int] | None,
    size: Sequence[int],
    stack: int,
    max_frames: int,
    threads: int,
) -> None:
    if stepping not in STEPPINGS:
        raise UsageError(f"env.stepping is {stepping}; it must be native or python{nearest(stepping, STEPPINGS)}")
    if stepping == "native" and crop:
        raise UsageError(f"env.crop={list(crop)} needs env.stepping=python: native stepping cannot crop")
    if stepping == "python" and threads:
        raise UsageError(f"env.threads={threads} needs env.stepping=native: Python steps one game after the other")
    if not 0 <= sticky <= 1:
        raise UsageError(f"env.sticky is {sticky}; it is a probability, from 0 to 1")
    least = {"frame_skip": (frame_skip, 1), "noop_max": (noop_max, 0), "stack": (stack, 1), "threads": (threads, 0)}
    for name, (value, lowest) in {**least, "max_frames": (max_frames, 1)}.items():
        if value < lowest:
            raise UsageError(f"env.{name} is {value}; it must be at least {lowest}")
    if len(size) != 2 or min(size) < 1:
        raise UsageError(f"env.size is {list(size)}; it must be [height, width], e.g. [84,84]")
    if 3 * stack * size[0] * size[1] > MOST_BYTES:
        raise UsageError(
            f"env.stack={stack} frames of env.size={list(size)} are too large for an observation; lower one of them"
        )
    if crop and (len(crop) != 4 or min(crop) < 0):
        raise UsageError(f"env.crop is {list(crop)}; it must be [top, bottom, left, right], e.g. [34,16,0,0]")
