"""Draws the rooms of the house where a page says ``<!-- rooms -->``, from the contract that import-linter checks."""

from __future__ import annotations

import ast
import html
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page


ROOT = Path(__file__).parents[2]
MARKER = "<!-- rooms -->"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace the marker by the drawing."""
    return markdown.replace(MARKER, drawing()) if MARKER in markdown else markdown


def floors() -> list[list[str]]:
    """Return the names of the rooms, from the roof to the ground."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    return [[name.strip() for name in layer.split("|")] for layer in layers]


def purpose(room: str) -> str:
    """Return the first line of a room's docstring."""
    top_level = ROOT / room / "__init__.py"
    path = top_level if top_level.exists() else ROOT / "rlkit" / room / "__init__.py"
    return (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]


def drawing() -> str:
    """Return the rooms as boxes, one floor above the other; rooms of one floor stand side by side."""
    stories = "".join(f'<div class="floor">{"".join(map(_room, floor))}</div>' for floor in floors())
    return f'<div class="rooms" role="group" aria-label="Rooms; each imports only from those below it.">{stories}</div>'


def _room(room: str) -> str:
    folder = f"{room}/" if (ROOT / room / "__init__.py").exists() else f"rlkit/{room}/"
    kind = "top" if folder == f"{room}/" else "inner"
    said = html.escape(purpose(room).replace("`", ""))
    return f'<div class="room {kind}"><code>{folder}</code><span>{said}</span></div>'
