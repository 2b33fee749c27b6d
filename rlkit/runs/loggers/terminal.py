"""The terminal: a live display, plain lines when piped, and train.log in any case."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from rlkit.core.callback import Callback, RunInfo
from rlkit.core.ranges import NonNegativeFloat, PositiveFloat
from rlkit.core.statistics import Episode, EvaluationResult
from rlkit.core.types import Metrics, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


AVERAGED = 50
"""Newest episodes whose mean return is shown."""


class Screen:
    """A text stream that falls silent when its terminal is closed, so that the run goes on."""

    encoding = "utf-8"

    def __init__(self, stream: TextIO):
        self._stream: TextIO | None = stream

    def write(self, text: str) -> int:
        """Write `text`, or nothing once the terminal is gone."""
        if self._stream is not None:
            try:
                return self._stream.write(self._encodable(text))
            except (OSError, ValueError):
                self._stream = None
        return len(text)

    def _encodable(self, text: str) -> str:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return text.encode(encoding, "replace").decode(encoding)

    def flush(self) -> None:
        """Flush, or nothing once the terminal is gone."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._stream = None

    def isatty(self) -> bool:
        """Return whether a person may be watching."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor, which rich asks for the terminal's size.

        Raises:
            OSError: the terminal is closed.
        """
        if self._stream is None:
            raise OSError("the terminal is closed")
        return self._stream.fileno()


class Standing(NamedTuple):
    """How far a run is, in the parts of the live display, and in a line for a pipe."""

    done: int
    goal: int
    unit: str
    pace: str
    newest: str
    line: str


class TerminalLogger(Callback):
    """Shows steps or epochs, their rate, time left, and the newest returns or costs."""

    def __init__(self, refresh_seconds: PositiveFloat, line_seconds: NonNegativeFloat):
        """Refresh a live display every `refresh_seconds`; piped, print a line every `line_seconds`."""
        self._refresh_seconds = refresh_seconds
        self._line_seconds = line_seconds
        self._screen = Screen(sys.stdout)
        self._log: Path | None = None
        self._live: tuple[Progress, TaskID] | None = None
        self._returns: deque[float] = deque(maxlen=AVERAGED)
        self._evaluation = "-"
        self._run: RunInfo | None = None
        self._episodes = 0
        self._next = self._first_epoch = 0.0
        self._begun: tuple[float, int, int] | None = None  # seconds, steps and episodes when the first steps were made

    def start(self, run: RunInfo) -> None:
        """Open train.log; the display starts with the first steps."""
        self._log = run.directory / "train.log"
        self._run, self._episodes = run, run.episodes
        # The display's libraries are not loaded before the first steps have been made.
        self._next = time.perf_counter() + min(0.5, self._line_seconds)

    def step(self, step: int) -> None:
        """Refresh when it is time."""
        now = time.perf_counter()
        if self._begun is None:
            # Whatever was built or compiled for the first steps is not made again.
            self._begun = now, step, self._episodes
        elif now >= self._next:
            self._show(self._at_step(step, now), now)

    def epoch(self, epoch: int, epochs: int, metrics: Metrics) -> None:
        """Refresh when it is time; a first epoch begins another fit, of a fold or of one class against the others."""
        now = time.perf_counter()
        if epoch == 1:
            self._first_epoch = now
        # The last one stays on the screen.
        if now >= self._next or (epoch == epochs and self._live is not None):
            self._show(self._at_epoch(epoch, epochs, metrics, now), now)

    def episode(self, episode: Episode) -> None:
        """Remember the newest returns."""
        if not episode.truncated_by_checkpoint:
            self._episodes += 1
            self._returns.append(episode.return_raw)

    def evaluation(self, evaluation: EvaluationResult) -> None:
        """Say the mean return and its range."""
        returns, mean = evaluation.returns, evaluation.mean_return
        self._evaluation = f"{mean:.4g}"
        what = "final evaluation" if evaluation.final else "evaluation"
        count = f"{len(returns)} episode{'s' if len(returns) > 1 else ''}"
        self.message(
            f"step {evaluation.step:,}: {what} return {mean:.4g} "
            f"(min {min(returns):.4g}, max {max(returns):.4g}, {count})"
        )

    def message(self, text: str) -> None:
        """Print a line above the live display, and into train.log."""
        shown = printable(text)
        if self._live is not None:
            self._live[0].console.print(shown, highlight=False, markup=False, soft_wrap=True)
            self._write_log(shown)
        else:
            self._line(shown)

    def media(self, step: int, path: Path) -> None:
        """Say where a video is; the lines at the end of a run name its plots."""
        if path.suffix == ".mp4":
            self.message(f"step {step:,}: video {path}")

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        """Stop the live display."""
        if self._live is not None:
            self._live[0].stop()
            self._live = None

    def _line(self, text: str) -> None:
        self._screen.write(text + "\n")
        self._screen.flush()
        self._write_log(text)

    def _write_log(self, text: str) -> None:
        # A full disk stops the run at the next checkpoint with a line of its own, not here.
        if self._log is not None:
            with contextlib.suppress(OSError), self._log.open("a") as file:
                file.write(text + "\n")

    def _pace(self, step: int, now: float) -> tuple[float, str]:
        """Return steps per second, and the time left until the first of the run's limits."""
        run, begun = self._run, self._begun
        assert run is not None, "start() comes first"
        assert begun is not None, "step() comes first"
        begin, steps, episodes = begun
        seconds = max(now - begin, 1e-9)
        limits = [(steps, step, run.total_steps)]
        if run.total_episodes is not None:
            limits.append((episodes, self._episodes, run.total_episodes))
        left = [(goal - at) * seconds / (at - first) for first, at, goal in limits if at > first]
        return (step - steps) / seconds, _clock(min(left)) if left else "?"

    def _at_step(self, step: int, now: float) -> Standing:
        rate, left = self._pace(step, now)
        done, goal, unit = self._done(step)
        where = f"step {step:,}/{goal:,}" if unit == "steps" else f"step {step:,}  episode {done:,}/{goal:,}"
        speed = f"{rate:,.0f} steps/s"
        newest = f"return {self._mean_return()} · evaluation return {self._evaluation}"
        returns = f"return {self._mean_return()}  evaluation return {self._evaluation}"
        return Standing(done, goal, unit, f"{speed} · {left} left", newest, f"{where}  {speed}  {left} left  {returns}")

    def _mean_return(self) -> str:
        """Return the mean of the newest returns, and of how many, in words."""
        count = len(self._returns)
        return f"{sum(self._returns) / count:.4g} (mean of {count})" if count else "-"

    def _at_epoch(self, epoch: int, epochs: int, metrics: Metrics, now: float) -> Standing:
        passed = epoch - 1  # since the end of the first, which is when the clock began
        seconds = now - self._first_epoch
        speed = _speed(passed / seconds) if passed and seconds else "?"
        left = _clock((epochs - epoch) * seconds / passed) if passed else "?"
        values = [f"{name} {value:.4g}" for name, value in metrics.items()]
        line = "  ".join([f"epoch {epoch:,}/{epochs:,}", f"{speed} epochs/s", f"{left} left", *values])
        return Standing(epoch, epochs, "epochs", f"{speed} epochs/s · {left} left", " · ".join(values), line)

    def _done(self, step: int) -> tuple[int, int, str]:
        """Return what is counted towards the end, out of how many, and of what."""
        assert self._run is not None, "start() comes first"
        if self._run.total_episodes is not None:
            return self._episodes, self._run.total_episodes, "episodes"
        return step, self._run.total_steps, "steps"

    def _show(self, standing: Standing, now: float) -> None:
        if not self._screen.isatty():
            self._next = now + self._line_seconds
            self._line(standing.line)
            return
        self._next = now + self._refresh_seconds
        progress, task = self._live or self._open_live()
        fields: dict[str, Any] = {"unit": standing.unit, "pace": standing.pace, "newest": standing.newest}
        progress.update(task, completed=standing.done, total=standing.goal, **fields)
        progress.refresh()

    def _open_live(self) -> tuple[Progress, TaskID]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        progress = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TextColumn("{task.fields[pace]}"),
            TextColumn("· {task.fields[newest]}"),
            console=Console(file=self._screen, force_terminal=True),  # type: ignore[arg-type]
            auto_refresh=False,
            expand=True,
        )
        task = progress.add_task("", unit="", pace="", newest="")
        progress.start()
        self._live = (progress, task)
        return self._live


def _speed(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
