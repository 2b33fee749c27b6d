"""The two forms that recorded episodes lie in: rlkit's own folder, and a Minari data set; one reader for both."""

from __future__ import annotations

import os
from pathlib import Path

from rlkit.core.types import UsageError
from rlkit.learners.datasets.demonstrations.folder import read_folder
from rlkit.learners.datasets.demonstrations.recorded import Recorded

PREFIX = "minari:"
"""Comes before the id of a data set, which is looked up where Minari keeps its own."""

METADATA = "data/metadata.json"
"""Is in the folder of each Minari data set."""


def read_episodes(path: Path | str) -> Recorded:
    """Return the episodes in a folder of rlkit's, in the folder of a Minari data set, or in ``minari:<its id>``.

    Raises:
        UsageError: nothing is there, it holds no recorded episodes, or Minari is not installed.
        RunError: a part of it is damaged.
    """
    folder = folder_of(path)
    if not (folder / METADATA).is_file():
        return read_folder(folder)
    from rlkit.learners.datasets.demonstrations.minari_format import read_minari

    return read_minari(folder)


def folder_of(path: Path | str) -> Path:
    """Return the folder that `path` names, which may be ``minari:<id>``.

    Raises:
        UsageError: Minari keeps no data set with this id.
    """
    if not str(path).startswith(PREFIX):
        return Path(path).expanduser()
    name = str(path).removeprefix(PREFIX)
    root = Path(os.environ.get("MINARI_DATASETS_PATH") or "~/.minari/datasets").expanduser()
    if not (root / name / METADATA).is_file():
        raise UsageError(f"there is no data set {name} in {root}; get it with: minari download {name}")
    return root / name
