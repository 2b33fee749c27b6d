"""`rlkit bench`."""

from __future__ import annotations

from collections.abc import Sequence

from rlkit.cli.benching import bench
from rlkit.config import plugins
from rlkit.config.compose import run_verb, search_path
from rlkit.core.types import UsageError


def main(argv: Sequence[str]) -> int:
    """Run a suite, or go on with it, and write its table and plots.

    Raises:
        UsageError: no suite is named, or jobs are swept.
    """
    if any(word in ("-m", "--multirun") for word in argv):
        raise UsageError("a suite runs all of its seeds by itself: leave out -m")
    hydra = [word for word in argv if word.lstrip("+~").startswith(("hydra.launcher", "hydra/launcher"))]
    words = [word for word in argv if word not in hydra]
    if not any(word.startswith(("suite=", "-")) for word in words):
        known = ", ".join(entry.name for entry in plugins.entries("suite", words))
        raise UsageError(f"rlkit bench needs a suite: suite=tabular (there is: {known})")
    search = search_path(words)
    run_verb("bench", lambda config, choices, overrides: bench(config, choices["suite"], search, hydra), words)
    return 0
