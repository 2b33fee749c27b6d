"""`rlkit report`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from omegaconf import DictConfig

from rlkit.cli.verbs.words import gathered
from rlkit.config.compose import Choices, run_verb
from rlkit.core.types import printable
from rlkit.reporting.page import write


def main(argv: Sequence[str]) -> int:
    """Write the report; plain words are run folders."""
    run_verb("report", task, gathered(argv, "runs", "run folders"))
    return 0


def task(config: DictConfig, choices: Choices, overrides: Sequence[str]) -> None:
    """Write the page and print its path, or all that it says of groups as one line of JSON."""
    path, groups = write(list(config.runs), config.out, config.video_mb, _print_note, config.trust)
    print(json.dumps({"report": str(path), "groups": groups}) if config.output.name == "json" else path)


def _print_note(line: str) -> None:
    print(f"rlkit: {printable(' '.join(line.split()))}", file=sys.stderr)
