"""Long texts: what language models read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from rlkit.core.files import read_bytes
from rlkit.core.types import UsageError
from rlkit.learners.datasets.dataset import Dataset, Rows


def prepared(text: str) -> str:
    """Return a text whose paragraphs are lines: wrapped lines are joined, and no more than two line ends in a row."""
    joined = re.sub(r"(?<!\n)\n(?!\n)", " ", text.replace("\r\n", "\n"))
    return re.sub(r"\n{3,}", "\n\n", joined)


def text_file(path: str, join_lines: bool) -> Dataset:
    """Return a text for a language model, UTF-8 with or without a byte order mark.

    Args:
        path: of the file.
        join_lines: lines are wrapped, and are to be put together (`prepared`).

    Raises:
        UsageError: there is no such file, or it is no text.
    """
    try:
        text = read_bytes(Path(path).expanduser()).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"data.path={path} cannot be read as text: {error}") from error
    text = prepared(text) if join_lines else text
    if not text:
        raise UsageError(f"data.path={path} is empty; name a file with text")
    return Dataset("language", Rows(np.array([text], object)), target="character")
