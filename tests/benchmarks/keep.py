"""Keeping what a benchmark measured: rows as CSV, and beside them what they were made with."""

from __future__ import annotations

import csv
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rlkit.core.distribution import DISTRIBUTION
from rlkit.core.resources import processor_name

PACKAGES = (
    *("gymnasium", "ale-py", "numba", "numpy", "scikit-learn", "scipy", "torch"),
    *(
        "minigrid",
        "MinAtar",
        "highway-env",
        "pettingzoo",
        "mpe2",
        "stable-baselines3",
        "tianshou",
        "torchrl",
        "scikit-surprise",
        "implicit",
        "open_spiel",
        "onnxruntime",
    ),
)


def write(folder: Path, name: str, rows: list[dict[str, Any]], **more: Any) -> None:
    """Write ``name.csv`` and ``name.json`` (versions, cores, processor, and `more`) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    made_with = {"versions": versions(), "python": platform.python_version(), "cores": os.cpu_count()}
    (folder / f"{name}.json").write_text(
        json.dumps({**made_with, "processor": processor_name(), **more}, indent=1) + "\n"
    )


def versions() -> dict[str, str]:
    """Return the versions of rlkit and of those `PACKAGES` that are installed."""
    found = {}
    for name, package in (("rlkit", DISTRIBUTION), *((package, package) for package in PACKAGES)):
        try:
            found[name] = version(package)
        except PackageNotFoundError:
            continue
    return found
