"""Pictures [H, W, 3] uint8: checked, scaled, captioned, and put side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rlkit.core.types import Array, RunError

STRIP = 24
"""Height in pixels of a caption below a picture of up to 480; below higher ones it is a twentieth."""


GAP = 8
"""Black pixels between pictures side by side."""


def check_frame(picture: Array) -> Array:
    """Return `picture` if it is [H, W, 3] uint8.

    Raises:
        RunError: it is anything else.
    """
    picture = np.asarray(picture)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise RunError(
            f"render() gave {picture.dtype} {list(picture.shape)}; a picture is [height, width, 3] uint8: "
            "build the environment with render_mode='rgb_array' (a run does where the constructor has "
            "render_mode=None), or set video=none"
        )
    return picture


def scaled(picture: Array, height: int) -> Array:
    """Return `picture` at this height, its proportions kept; enlarged by a whole number, pixels stay sharp."""
    from PIL import Image

    if height == picture.shape[0]:
        return picture
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    sharp = height % picture.shape[0] == 0
    filter = Image.Resampling.NEAREST if sharp else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize((width, height), filter))


def captioned(picture: Array, text: str) -> Array:
    """Return `picture` with a strip below it that says `text`; without, where there is none to say."""
    from PIL import Image, ImageDraw, ImageFont

    if not text:
        return picture
    height = max(STRIP, picture.shape[0] // 20)
    strip = Image.new("RGB", (picture.shape[1], height))
    font = ImageFont.load_default(size=0.6 * height)
    ImageDraw.Draw(strip).text((height / 4, height / 2), text, font=font, fill="white", anchor="lm")
    return np.concatenate([picture, np.asarray(strip)])


def tiled(pictures: Sequence[Array]) -> Array:
    """Return pictures of one size side by side, in as many rows as come nearest to a square of them."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    height, width, _ = pictures[0].shape
    whole = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * (height + GAP), i % columns * (width + GAP)
        whole[top : top + height, left : left + width] = picture
    return whole
