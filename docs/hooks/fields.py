"""Adds the fields of named tuples to the API reference, with the comments beside them as descriptions.

It is an extension of griffe, which reads the code, and a hook of mkdocs for the fields whose names say enough.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import griffe

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

COMMENT = re.compile(r".*?[^\s#].*?  # (?:type: ignore\S*  # )?(?P<said>.+)$")
"""A line of code with a comment, which may stand after a remark for mypy."""

UNSAID = "\u200b"
"""Of no width: the description of a field without a comment, since griffe drops those that have none."""

DANGLING = re.compile(rf'\s*–\s*<div class="doc-md-description">\s*<p>{UNSAID}</p>\s*</div>')

CONTINUED = re.compile(r"^ +# (?P<said>.+)$")


class Fields(griffe.Extension):
    """Writes an ``Attributes:`` section, as other classes have it in their docstrings."""

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Extend the docstring of a named tuple that does not describe its fields itself."""
        tuples = any(str(base) == "NamedTuple" for base in cls.bases)
        path = cls.filepath
        if tuples and cls.docstring and "Attributes:" not in cls.docstring.value and isinstance(path, Path):
            fields = [(name, field.lineno) for name, field in cls.attributes.items() if not field.docstring]
            lines = cls.lines_collection[path]
            described = [f"    {name}: {comment(lines, number)}" for name, number in fields if number]
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(described)


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remove the dashes before descriptions that say nothing."""
    return DANGLING.sub("", content)


def comment(lines: list[str], number: int) -> str:
    """Return the comment beside line `number`, which counts from 1, with what follows it on lines of their own."""
    if not (found := COMMENT.match(lines[number - 1])):
        return UNSAID
    said = [found["said"]]
    for line in lines[number:]:
        if not (more := CONTINUED.match(line)):
            break
        said.append(more["said"])
    return " ".join(said)
