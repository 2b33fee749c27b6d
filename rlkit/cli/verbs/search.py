"""`rlkit search`."""

from __future__ import annotations

from collections.abc import Sequence

from rlkit.cli.searching import search


def main(argv: Sequence[str]) -> int:
    """Search for good settings: begin, or join what has begun."""
    search(argv)
    return 0
