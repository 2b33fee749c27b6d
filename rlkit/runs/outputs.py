"""Files that a user names for results: a page, predictions, a table of games."""

from __future__ import annotations

from pathlib import Path

from rlkit.core.files import require_writable
from rlkit.core.types import UsageError
from rlkit.runs.folder import CHECKPOINTS
from rlkit.runs.links import FOREIGN

KEPT = ("config.yaml", "versions.json", "metrics.json", "train.log", "curve.png", "map.png", "encoder.npz")
TABLES = ("metrics.csv", "episodes.csv", "evaluations.csv", "timings.csv", "predictions.csv", "submission.csv")
FOLDERS = (CHECKPOINTS, "model", "replay", *FOREIGN)
"""What a run keeps in its folder, which nothing else may replace."""


def require_output(path: Path, like: str, inputs: tuple[Path, ...] = ()) -> None:
    """Refuse ``out=`` before anything is computed for it.

    Args:
        path: what it names.
        like: a name for such a file, for the remedy.
        inputs: files that the results are computed from.

    Raises:
        UsageError: it cannot be written, is one of the inputs, or something that a run keeps.
    """
    for read in inputs:
        if path.exists() and read.exists() and path.samefile(read):
            raise UsageError(f"out={path} is what is read; name another file, e.g. out={path.with_name(like)}")
    if _is_kept(path):
        raise UsageError(f"out={path} is part of a run; name another file, e.g. out={like}")
    require_writable(path, "out", like)


def _is_kept(path: Path) -> bool:
    target = path.resolve()
    if target.name in (*KEPT, *TABLES) and (target.parent / "config.yaml").exists():
        return True
    return any(folder.name in FOLDERS and (folder.parent / "config.yaml").exists() for folder in target.parents)
