"""What a logger is told. A logger overrides what it cares for; `Logger` itself is the null logger."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rlkit.core.statistics import Episode
from rlkit.core.types import Metrics, State


def _print(text: str) -> None:
    print(f"rlkit: {text}", file=sys.stderr)


class RunInfo(NamedTuple):
    """The run that is being logged."""

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
    say: Callable[[str], None] = _print  # a logger's own line for the user, which all loggers are told


def returns_and_lengths(episodes: Sequence[Episode]) -> tuple[list[float], list[float]]:
    """Return the raw return and the length of each episode."""
    return [one.return_raw for one in episodes], [float(one.length) for one in episodes]


class Logger:
    """Takes everything and does nothing.

    All steps count agent decisions, summed over environments. Only what `timing` is told depends on the clock.
    """

    def start(self, run: RunInfo) -> None:
        """Begin, or go on with, a run. `load_state_dict` was called before when it goes on."""

    def progress(self, step: int) -> None:
        """Note that training stands at `step`; called after every step, so it must be cheap."""

    def epoch(self, epoch: int, epochs: int, figures: Metrics) -> None:
        """Note that a learner has passed its data `epoch` times, of `epochs` at most; must be cheap as well."""

    def metrics(self, step: int, metrics: Metrics) -> None:
        """Take a row of figures averaged since the last row."""

    def episode(self, episode: Episode) -> None:
        """Take a finished training episode."""

    def evaluation(self, step: int, episodes: Sequence[Episode]) -> None:
        """Take the episodes of an evaluation at `step`."""

    def final_evaluation(self, step: int, episodes: Sequence[Episode]) -> None:
        """Take the episodes of the evaluation that ends a run, outside of the schedule.

        Where the run is extended, it was none: the extended run is one that was longer from the start.
        """
        self.evaluation(step, episodes)

    def timing(self, step: int, timings: Metrics) -> None:
        """Take figures that depend on the clock."""

    def video(self, step: int, path: Path) -> None:
        """Take a recorded video, whole and closed."""

    def picture(self, step: int, path: Path) -> None:
        """Take a picture, such as the curve."""

    def message(self, text: str) -> None:
        """Take a line for the user."""

    def state_dict(self) -> State:
        """Return what is needed to go on exactly."""
        return {}

    def load_state_dict(self, state: State) -> None:
        """Take back what `state_dict` gave."""

    def close(self) -> None:
        """Finish: the run ended, was stopped or failed."""


class ManyLoggers(Logger):
    """Passes everything on to several loggers, by name."""

    def __init__(self, loggers: Mapping[str, Logger]):
        self._loggers = dict(loggers)

    def start(self, run: RunInfo) -> None:
        """Start each; what one has to say, all are told."""
        for logger in self._loggers.values():
            logger.start(run._replace(say=self.message))

    def progress(self, step: int) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.progress(step)

    def epoch(self, epoch: int, epochs: int, figures: Metrics) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.epoch(epoch, epochs, figures)

    def metrics(self, step: int, metrics: Metrics) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.metrics(step, metrics)

    def episode(self, episode: Episode) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.episode(episode)

    def evaluation(self, step: int, episodes: Sequence[Episode]) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.evaluation(step, episodes)

    def final_evaluation(self, step: int, episodes: Sequence[Episode]) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.final_evaluation(step, episodes)

    def timing(self, step: int, timings: Metrics) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.timing(step, timings)

    def video(self, step: int, path: Path) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.video(step, path)

    def picture(self, step: int, path: Path) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.picture(step, path)

    def message(self, text: str) -> None:
        """Tell each."""
        for logger in self._loggers.values():
            logger.message(text)

    def state_dict(self) -> State:
        """Return the state of each that has one, by name: the others leave no trace in a checkpoint."""
        return {name: state for name, logger in self._loggers.items() if (state := logger.state_dict())}

    def load_state_dict(self, state: State) -> None:
        """Take back the state of each that is still there; a logger added on resume starts anew."""
        for name, logger in self._loggers.items():
            if name in state:
                logger.load_state_dict(state[name])

    def close(self) -> None:
        """Close each."""
        for logger in self._loggers.values():
            logger.close()
