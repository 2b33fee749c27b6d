"""A callback that writes a text file."""

from __future__ import annotations

from rlkit import Callback, EvaluationResult, RunInfo
from rlkit.core.types import State


class Diary(Callback):
    """Writes the step and the mean return of each evaluation into a file of the run's folder."""

    def __init__(self, file: str):
        """Start with no lines; `file` is an option."""
        self._file = file
        self._lines: list[str] = []

    def start(self, run: RunInfo) -> None:
        """Remember where the file is."""
        self._path = run.directory / self._file

    def evaluation(self, evaluation: EvaluationResult) -> None:
        """Add a line; a text returned from here would stop the run, and be the reason that it shows."""
        self._lines.append(f"{evaluation.step} {evaluation.mean_return}\n")
        self._path.write_text("".join(self._lines))

    def state_dict(self) -> State:
        """Return all that it remembers, as plain data: a resumed run goes on without gaps or repeated lines."""
        return {"lines": list(self._lines)}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`."""
        self._lines = list(state["lines"])
