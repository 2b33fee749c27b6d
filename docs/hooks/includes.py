"""Puts files of the repository into pages, so that a sample is the one that the tests run.

``<!-- code: tests/plugin_sample/my_games/maze.py -->`` becomes a block of code with the file's name as its title, also
within a list; ``<!-- page: CONTRIBUTING.md -->`` becomes the text of that page.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
MARKER = re.compile(r"^( *)<!-- (code|page): (\S+) -->(?:\n *\[\S+\]\(\S+\))?$", re.MULTILINE)
"""A marker, and the link to its file below it, for those who read the page as a file."""

LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml"}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the markers of a page."""
    return MARKER.sub(_included, markdown)


def _included(found: re.Match[str]) -> str:
    indent, kind, name = found.groups()
    text = (ROOT / name).read_text()
    if kind == "code":
        text = f'```{LANGUAGES[Path(name).suffix]} title="{name}"\n{text}```'
    return textwrap.indent(text, indent)
