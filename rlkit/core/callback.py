"""Callbacks: objects that listen to a run, such as loggers and those that a user adds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rlkit.core.statistics import Episode, EvaluationResult
from rlkit.core.types import Metrics, State, printable

CLOCK = "time/"
"""Prefix of the metrics that depend on the clock; all others are equal in equal runs."""


def _print(text: str) -> None:
    print(f"rlkit: {printable(text)}", file=sys.stderr)


class RunInfo(NamedTuple):
    """The run that a callback listens to."""

    name: str
    directory: Path
    identity: str  # random, made once with the run folder, kept when it is resumed
    config: Mapping[str, Any]  # plain data, as in config.yaml
    step: int  # where it starts: 0, or the step of the checkpoint that it resumes from
    total_steps: int
    episodes: int = 0  # ended before this start
    total_episodes: int | None = None
    tables: tuple[str, ...] = ("metrics", "episodes", "evaluations", "timings")  # its CSV files
    verb: str = "train"  # the command that started it: train or fit
    say: Callable[[str], None] = _print  # shows a line to the user: every callback gets it as a `message`


class Callback:
    """Listens to a run by the hooks that it overrides; the others cost nothing.

    Steps count agent decisions, summed over environments. `step`, `episode`, `metrics` and `evaluation` may return a
    reason to stop: the run then ends as it does when `stop_at` is reached, and shows the reason. At one step
    they are called in the order `episode`, `evaluation`, `metrics`, `step`; then a checkpoint is written.

    `state_dict` holds what a callback remembers, so that a resumed run continues as if it had never been stopped.
    An exception ends the run with a line that names the callback.
    """

    def start(self, run: RunInfo) -> None:
        """Start or resume a run; if it is resumed, `load_state_dict` was called before."""

    def step(self, step: int) -> str | None:
        """Training has reached `step`.

        Called after every step of the loop, which moves all environments once, so it must be cheap. A compiled loop
        makes many steps at once; it calls this where such a stride ends, among others at every multiple of `log.every`,
        `eval.every` and `checkpoint.every`.
        """

    def episode(self, episode: Episode) -> str | None:
        """A training episode has ended; a compiled loop reports them at the end of a stride."""

    def metrics(self, step: int, metrics: Metrics) -> str | None:
        """A row of metrics, averaged since the last row; those under `CLOCK` depend on the clock."""

    def evaluation(self, evaluation: EvaluationResult) -> str | None:
        """The agent was evaluated; if the evaluation is final, the run has ended already."""

    def epoch(self, epoch: int, epochs: int, metrics: Metrics) -> None:
        """A learner has finished epoch `epoch` of at most `epochs`; must be cheap, may come before `start`."""

    def media(self, step: int, path: Path) -> None:
        """A video (mp4) or a plot (png) was written, and is closed."""

    def message(self, text: str) -> None:
        """A line for the user; may come before `start`."""

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        """The run has ended, or failed, even before `start`.

        Args:
            stopped: why it ended before its budget was used up, or None.
            error: what made it fail, or None.
        """

    def state_dict(self) -> State:
        """Return what an exact continuation needs, as plain data; called whenever a checkpoint is written."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; not called if the checkpoint has none of this callback."""
