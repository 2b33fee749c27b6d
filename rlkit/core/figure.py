"""Figures of matplotlib, written as PNG."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any


def figure(width: float, height: float, title: str) -> Any:
    """Return a figure of `width` x `height` inches, laid out by its contents."""
    # The object interface: pyplot keeps global state, and looks for a display.
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=120, layout="constrained")
    made.suptitle(title)
    return made


def write(figure: Any, path: Path) -> Path:
    """Write a figure as PNG to `path` and return `path`; equal figures make equal files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with warnings.catch_warnings():
        # Names of runs may be written in any script; the font draws boxes for those that it does not have.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        # Not `savefig`, which draws it twice.
        FigureCanvasAgg(figure).print_png(path, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return path
