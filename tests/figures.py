"""Figures of one pixel, for tests that do not look at them: to rasterize one takes longer than most short runs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
"""A PNG of one pixel."""


def write(canvas: FigureCanvasAgg, path: Path, **options: Any) -> None:
    """Write the pixel to `path`."""
    path.write_bytes(PIXEL)


def let_be_one_pixel(setattr: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let all figures of this process be one pixel."""
    setattr(FigureCanvasAgg, "print_png", write)
