"""Puts plots of the benchmarks, which lie beside their rows, among the images of the site."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

RESULTS = Path(__file__).parents[2] / "tests" / "benchmarks" / "results"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add ``images/<name>.png`` for each plot, and ``images/<suite>_<name>.svg`` for those of suites."""
    for path in sorted(RESULTS.glob("*.png")):
        files.append(File.generated(config, f"images/{path.name}", abs_src_path=str(path)))
    for path in sorted(RESULTS.glob("suites/*/*.svg")):
        files.append(File.generated(config, f"images/{path.parent.name}_{path.name}", abs_src_path=str(path)))
    return files
