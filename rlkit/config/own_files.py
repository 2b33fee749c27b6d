"""What files of the user's own define, read and not executed, for errors that name the nearest."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FILES = 100
"""Files of a folder that are looked at."""

DEFINED = re.compile(r"^(?:class|def) ([^\W_]\w*)", re.MULTILINE)


def here() -> Iterator[tuple[str, list[str]]]:
    """Yield the Python files of the working folder, and the names of the classes and functions in each."""
    for path in sorted(Path().glob("*.py"))[:FILES]:
        with suppress(OSError):
            yield path.name, DEFINED.findall(path.read_text("utf-8", "replace"))


def meant_by(name: str) -> str | None:
    """Return ``file.py:Name`` of the working folder for the name of a class, a file or a file without its ending."""
    found = list(here())
    for file, names in found:
        if name in (file, file.removesuffix(".py")) and names:
            return f"{file}:{names[0]}" if len(names) == 1 else f"{file}:… ({', '.join(names)})"
    everything = {defined: file for file, names in found for defined in names}
    close = difflib.get_close_matches(name, everything, n=1, cutoff=0.8)
    return f"{everything[close[0]]}:{close[0]}" if close else None


def nearest_file(file: Path) -> str:
    """Return the end of an error about a file that is not there: the nearest in its folder, or nothing."""
    names = [path.name for path in file.parent.glob("*.py")]
    close = difflib.get_close_matches(file.name, names, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""
