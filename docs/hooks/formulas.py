"""Turns the formulas of pages into MathML when the site is built: no script, no font and no network in the browser."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import latex2mathml.converter
from mkdocs.exceptions import PluginError

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
"""What pymdownx.arithmatex leaves of ``$…$`` and ``$$…$$``."""

ITALIC_PRIME, PRIME = "<mi>&#x02032;</mi>", '<mo lspace="0" rspace="0">&#x02032;</mo>'
"""What latex2mathml makes of ``s'`` is a letter; fonts have no italic prime, and draw one far from its letter."""


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace each formula by its MathML."""
    return FORMULA.sub(_as_mathml, content)


def _as_mathml(found: re.Match[str]) -> str:
    tag, bracket, latex = found.groups()
    display = "block" if bracket == "[" else "inline"
    mathml = latex2mathml.converter.convert(html.unescape(latex).strip(), display=display)
    if "\\" in mathml:
        raise PluginError(f"latex2mathml does not know a command of the formula {latex.strip()}")
    return f'<{tag} class="formula">{mathml.replace(ITALIC_PRIME, PRIME)}</{tag}>'
