"""What W&B gets of a run when it ends, on request: a table of its evaluations, and its best agent as an artifact."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

TABLE = "evaluations"
NAMED = re.compile(r"[^\w.-]+")
LONGEST = 100
"""Characters of an artifact's name."""


def send(wandb: Any, run: Any, directory: Path, specification: Mapping[str, Any], step: int) -> None:
    """Send what was asked for.

    Args:
        wandb: the module.
        run: W&B's.
        directory: the run folder.
        specification: of the run, as its process has described it.
        step: of the last row, which the table is a part of.
    """
    wanted = specification["extras"]
    if wanted["table"] and (rows := _evaluations(directory)):
        header, *episodes = rows
        run.log({TABLE: wandb.Table(columns=header, data=episodes)}, step=max(step, 0))
    best = _best(directory)
    if wanted["artifact"] and best is not None:
        run.log_artifact(_artifact(wandb, directory, best, str(specification["about"]["name"])), aliases=["best"])


def _evaluations(directory: Path) -> list[list[Any]]:
    """Return the header and the rows of the table of evaluations; nothing where there is none."""
    with suppress(OSError, UnicodeDecodeError, ValueError), (directory / "evaluations.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
        return [header, *([float(value) if value else None for value in row] for row in rows)]
    return []


def _best(directory: Path) -> Path | None:
    """Return the folder of the best agent's checkpoint."""
    found = [path.parent for path in (directory / "checkpoints" / "best").glob("*/manifest.json")]
    return max(found, key=lambda path: int(path.name)) if found else None


def _artifact(wandb: Any, directory: Path, best: Path, name: str) -> Any:
    """Return the best agent as a run folder, which `rlkit eval` and the like take where it is downloaded."""
    artifact = wandb.Artifact(NAMED.sub("-", name)[:LONGEST], type="model", metadata={"step": int(best.name)})
    for file in ("config.yaml", "versions.json", "evaluations.csv"):
        if (directory / file).is_file():
            artifact.add_file(str(directory / file), name=file)
    artifact.add_dir(str(best), name=f"checkpoints/best/{best.name}")
    return artifact
