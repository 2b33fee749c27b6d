"""Lays the package out as it is installed, so that the API reference finds rlkit.agents, rlkit.envs and rlkit.conf."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.plugins import event_priority

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig


ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / ".cache" / "docs" / "rlkit"
"""Its parent stands in mkdocs.yml among the paths of mkdocstrings."""


# Before mkdocstrings looks which of its paths there are.
@event_priority(100)
def on_config(config: MkDocsConfig) -> None:
    """Copy rlkit/ and the top-level folders into one package; griffe does not follow links."""
    shutil.rmtree(PACKAGE, ignore_errors=True)
    for name, target in (("rlkit", "."), ("agents", "agents"), ("envs", "envs"), ("conf", "conf")):
        ignored = shutil.ignore_patterns("__pycache__", "*.yaml")
        shutil.copytree(ROOT / name, PACKAGE / target, ignore=ignored, dirs_exist_ok=True)
