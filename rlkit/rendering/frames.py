"""Frames [H, W, 3] uint8: checking, scaling, captions and tiling."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlkit.core.types import Array, RunError

STRIP = 24
"""Height in pixels of a caption below a frame of up to 480 pixels; below higher ones it is a twentieth of theirs."""


GAP = 8
"""Black pixels between frames side by side."""


def check_frame(frame: Array) -> Array:
    """Return `frame` if it is [H, W, 3] uint8, of two pixels at least each way.

    Raises:
        RunError: it is not.
    """
    frame = np.asarray(frame)
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or min(frame.shape[:2]) < 2:
        raise RunError(
            f"render() returned {frame.dtype} {list(frame.shape)}; a frame is [height, width, 3] uint8: "
            "build the environment with render_mode='rgb_array' (a run does where the constructor has "
            "render_mode=None; in place of gymnasium.make, a YAML names rlkit.envs.gym.make), or set video=none"
        )
    return frame


def scaled(frame: Array, height: int) -> Array:
    """Return `frame` [H, W, 3] scaled to `height`; pixels stay sharp if it is enlarged by a whole number."""
    from PIL import Image

    if height == frame.shape[0]:
        return frame
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    sharp = height % frame.shape[0] == 0
    filter = Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(frame).resize((width, height), filter))


def captioned(frame: Array, text: str) -> Array:
    """Return `frame` [H, W, 3] with `text` in a strip below it, or unchanged without `text`."""
    from PIL import Image, ImageDraw, ImageFont

    if not text:
        return frame
    height = max(STRIP, frame.shape[0] // 20)
    strip = Image.new("RGB", (frame.shape[1], height))
    font = ImageFont.load_default(size=0.6 * height)
    ImageDraw.Draw(strip).text((height / 4, height / 2), text, font=font, fill="white", anchor="lm")
    return np.concatenate([frame, np.asarray(strip)])


def tiled(frames: Sequence[Array]) -> Array:
    """Return frames [H, W, 3] of one size as one, in a grid that is as square as possible."""
    columns = math.ceil(math.sqrt(len(frames)))
    rows = math.ceil(len(frames) / columns)
    height, width, _ = frames[0].shape
    whole = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), np.uint8)
    for i, frame in enumerate(frames):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        whole[top : top + height, left : left + width] = frame
    return whole
