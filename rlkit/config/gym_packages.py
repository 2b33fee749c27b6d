"""Installed packages that register environments with Gymnasium, found by their text: none of them is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path

REQUIRES = re.compile(r"gymnasium\b", re.IGNORECASE)
REGISTERS = re.compile(r"""\bid\s*=\s*["']((?:[\w.-]+/)?[\w.-]+-v\d+)["']""")
CORE = "gymnasium"


@cache
def ids_of_packages() -> dict[str, str]:
    """Return the ids that installed packages register when they are imported: by the id, ``module:id``."""
    found: dict[str, str] = {}
    for distribution in distributions():
        if any(map(REQUIRES.match, distribution.requires or ())):
            for package, text in _texts(distribution):
                for id in REGISTERS.findall(text):
                    found.setdefault(id, f"{package}:{id}")
    return found


def _texts(distribution: Distribution) -> Iterator[tuple[str, str]]:
    """Yield the package and the text of the files of a distribution in which environments may be registered."""
    for file in distribution.files or ():
        package, likely = file.parts[0], file.name == "__init__.py" or "regist" in file.name
        tested = {"tests", "test"} & set(file.parts)
        if likely and not tested and file.suffix == ".py" and package.isidentifier() and package != CORE:
            with suppress(OSError, ValueError):
                yield package, Path(str(file.locate())).read_text("utf-8", "replace")
