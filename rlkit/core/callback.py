"""What listens to a run: loggers, and whatever a user adds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rlkit.core.statistics import Episode, EvaluationResult
from rlkit.core.types import Metrics, State

CLOCK = "time/"
"""How metrics begin that depend on the clock; all others are equal in equal runs."""


def _print(text: str) -> None:
    print(f"rlkit: {text}", file=sys.stderr)


class RunInfo(NamedTuple):
    """The run that a callback listens to."""

    name: str
    directory: Path
    identity: str  # random, made once with the run folder, kept when it is resumed
    config: Mapping[str, Any]  # plain data, as in config.yaml
    step: int  # where this start begins: 0, or the checkpoint it resumes from
    total_steps: int
    episodes: int = 0  # that ended before this start
    total_episodes: int | None = None
    tables: tuple[str, ...] = ("metrics", "episodes", "evaluations", "timings")  # CSV files that it has
    verb: str = "train"  # what was typed to start it: train or fit
    say: Callable[[str], None] = _print  # shows a line to the user: every callback gets it as a `message`


class Callback:
    """Listens to a run by the hooks that it overrides; the others cost nothing.

    Steps count agent decisions, summed over environments. `step`, `episode`, `metrics` and `evaluation` may return a
    reason to stop: the run then ends as it does where `stop_at` is reached, and shows the reason. At a step that has
    several, they come in this order: `episode`, `metrics`, `evaluation`, `step`; then a checkpoint is written.

    What a callback remembers is in `state_dict`, so that a resumed run goes on as if it had never been stopped.
    An exception ends the run with a line that names the callback.
    """

    def start(self, run: RunInfo) -> None:
        """Begin, or go on with, a run; where it goes on, `load_state_dict` was called before."""

    def step(self, step: int) -> str | None:
        """Training stands at `step`.

        Called after every step of the loop, which moves all environments once, so it must be cheap. A compiled loop
        makes many steps at once: there it is called where such a stride ends, at every multiple of `log.every`,
        `eval.every` and `checkpoint.every` among others.
        """

    def episode(self, episode: Episode) -> str | None:
        """A training episode has ended; a compiled loop reports them at the end of a stride."""

    def metrics(self, step: int, metrics: Metrics) -> str | None:
        """A row of named numbers, averaged since the last; those under `CLOCK` depend on the clock."""

    def evaluation(self, evaluation: EvaluationResult) -> str | None:
        """The agent was evaluated; where the evaluation is final, the run has ended already."""

    def epoch(self, epoch: int, epochs: int, metrics: Metrics) -> None:
        """A learner has passed its data `epoch` times, of `epochs` at most; must be cheap, may come before `start`."""

    def media(self, step: int, path: Path) -> None:
        """A video (mp4) or a plot (png) was written, and is closed."""

    def message(self, text: str) -> None:
        """A line for the user; may come before `start`."""

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        """The run has ended, also where it failed before `start`.

        Args:
            stopped: why, where it ended before its budget.
            error: what made it fail, or None.
        """

    def state_dict(self) -> State:
        """Return what an exact continuation needs, as plain data; called whenever a checkpoint is written."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Restore a state from `state_dict`; not called where the checkpoint has none of this callback."""
