"""Weights & Biases, kept at arm's length: it can neither stop nor slow a run."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from rlkit.core.callback import Callback, RunInfo
from rlkit.core.ranges import PositiveFloat
from rlkit.core.statistics import EvaluationResult
from rlkit.core.types import Metrics
from rlkit.runs.loggers.history import evaluation_metrics
from rlkit.runs.loggers.wandb_mode import choose_mode

SWEEP = "WANDB_SWEEP_ID"
"""The variable that an agent of W&B's sets for the commands of a sweep."""

OBJECTIVE = "objective"
"""What sweeps of W&B's optimize: the mean return of the last evaluation, which has no further summaries."""

PENDING_BYTES = 16_000_000  # rows that wait for a slow W&B; more are dropped


class WandbLogger(Callback):
    """Sends metrics, videos, plots and the configuration to W&B, offline where there is no API key.

    W&B runs in a process of its own (`rlkit.runs.loggers.wandb_uplink`), so that an exception, a hang, its signal and
    exit handlers and its output stay there. This side only writes lines to a pipe, never waits for it, and at the
    end waits `timeout` seconds before it kills it. All metrics of one step become one row, handed over when the
    step is complete. Nothing of W&B is in the checkpoint: how far it is, is in ``wandb.json`` beside it.
    """

    def __init__(
        self,
        project: str,
        entity: str | None,
        group: str | None,
        job_type: str | None,
        tags: Sequence[str],
        notes: str | None,
        mode: str | None,
        videos: bool,
        table: bool,
        artifact: bool,
        system_metrics: bool,
        timeout: PositiveFloat,
    ):
        """Describe the W&B run.

        Args:
            project: where it appears.
            entity: user or team; None: the key's own.
            group: runs shown together.
            job_type: shown beside it; None: the verb, train or fit.
            tags: to search by.
            notes: a longer description.
            mode: online, offline or disabled; None: WANDB_MODE, else online with an API key and offline without.
            videos: send videos.
            table: send the episodes of all evaluations as a table, when the run ends.
            artifact: send the best agent with the run's configuration as an artifact, when the run ends.
            system_metrics: send the machine's load.
            timeout: seconds that W&B may take to start, and to finish at the end.

        Raises:
            UsageError: the mode is unknown, or is online without an API key.
        """
        self._about = {"project": project, "entity": entity, "group": group, "job_type": job_type, "notes": notes}
        self._about["tags"] = list(tags)  # type: ignore[assignment]
        self._mode = choose_mode(mode)
        self._videos = videos
        self._extras = {"table": table, "artifact": artifact}
        self._system_metrics = system_metrics
        self._timeout = timeout
        self._uplink: Uplink | None = None
        self._row: dict[str, Any] = {}

    def start(self, run: RunInfo) -> None:
        """Start W&B's process, which first sends what an earlier one was kept from sending."""
        if self._mode == "disabled":
            return
        folder = run.directory.resolve()
        specification = {
            "directory": str(folder),
            "id": hashlib.sha256(run.identity.encode()).hexdigest()[:16],
            "about": {
                **self._about,
                "job_type": self._about["job_type"] or run.verb,
                "name": run.name,
                "config": dict(run.config),
            },
            "step": run.step,
            "mode": self._mode,
            "extras": self._extras,
            "system_metrics": self._system_metrics,
            "timeout": self._timeout,
            "parent": os.getpid(),
        }
        if self._mode == "offline":
            files = f"{shlex.quote(str(run.directory / 'wandb'))}/offline-run-*"
            run.say(f"W&B works offline; to upload: wandb sync {files}")
        self._uplink = Uplink(folder, run, self._timeout)
        self._uplink.start(specification)

    def step(self, step: int) -> None:
        """Hand over the row of `step`, if there is one: nothing more comes for it."""
        if self._row:
            self._hand_over()

    def metrics(self, step: int, metrics: Metrics) -> None:
        """Add metrics to the row of `step`."""
        self._at(step)["metrics"].update({name: float(value) for name, value in metrics.items()})

    def evaluation(self, evaluation: EvaluationResult) -> None:
        """Add mean, least and greatest return and length to the row of the evaluation's step.

        A final one has a mark: W&B keeps it where the run is extended, as it can forget nothing.
        """
        metrics = evaluation_metrics(evaluation.returns, evaluation.lengths, final=evaluation.final)
        if os.environ.get(SWEEP):
            metrics[OBJECTIVE] = evaluation.mean_return
        self.metrics(evaluation.step, metrics)

    def media(self, step: int, path: Path) -> None:
        """Add a video or a plot to the row of `step`."""
        if path.suffix != ".mp4":
            self._at(step)["plots"][f"media/{path.stem}"] = str(path.resolve())
        elif self._videos:
            self._at(step)["videos"]["media/video"] = str(path.resolve())

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        """Hand over the last row and wait, not longer than `timeout`, until W&B is done."""
        if self._row:
            self._hand_over()
        if self._uplink is not None:
            self._uplink.close(failed=error is not None)
            self._uplink = None

    def _at(self, step: int) -> dict[str, Any]:
        if self._row and self._row["step"] != step:
            self._hand_over()
        if not self._row:
            self._row = {"step": step, "metrics": {}, "videos": {}, "plots": {}}
        return self._row

    def _hand_over(self) -> None:
        if self._uplink is not None:
            self._uplink.send(self._row)
        self._row = {}


class Uplink:
    """W&B's process, from the side of the run: lines go in without ever waiting, lines for the user come out."""

    def __init__(self, directory: Path, run: RunInfo, timeout: float):
        self._directory = directory
        self._run = run
        self._timeout = timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = bytearray()
        self._heard = bytearray()
        self._dropped = 0

    def start(self, specification: Mapping[str, Any]) -> None:
        """Start the process, in a session of its own so that the terminal's signals do not reach it."""
        command = [sys.executable, "-P", "-m", "rlkit.runs.loggers.wandb_uplink"]
        try:
            (self._directory / "wandb").mkdir(exist_ok=True)
            with (self._directory / "wandb" / "uplink.log").open("ab") as log:
                pipe = subprocess.PIPE
                self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, start_new_session=True)
        except OSError as error:
            self._run.say(f"W&B could not be started ({error}); the run goes on without it")
            return
        os.set_blocking(_number(self._process.stdin), False)
        os.set_blocking(_number(self._process.stdout), False)
        self.send(specification)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message as soon as the pipe takes it."""
        if self._process is None:
            return
        line = json.dumps(message, default=str).encode() + b"\n"
        if len(self._pending) + len(line) > PENDING_BYTES:
            self._dropped += 1
        else:
            self._pending += line
        self._exchange()

    def close(self, *, failed: bool) -> None:
        """Send the rest, wait until the process has ended, and end it when time is up."""
        if self._process is None:
            return
        self.send({"close": True, "failed": failed})
        deadline = time.monotonic() + self._timeout
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            self._exchange()
            time.sleep(0.01)
        if self._process is not None:
            self._end(self._process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.kill()
            self._run.say(f"W&B was not done after {self._timeout:g} s (logger.wandb.timeout); resuming sends the rest")
            self._release(process)
        else:
            self._take_leave(process)
        if self._dropped:
            self._run.say(f"W&B was too slow: {self._dropped:,} rows are only in the CSV files")

    def _exchange(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            if self._pending:
                del self._pending[: os.write(_number(process.stdin), self._pending)]
        except BlockingIOError:
            pass
        except OSError:
            self._take_leave(process)
            return
        self._listen(process)

    def _take_leave(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on the last words of a process that has ended, or say so for it."""
        self._listen(process)
        self._release(process)
        if process.returncode != 0:
            log = self._run.directory / "wandb" / "uplink.log"
            self._run.say(
                f"W&B's process ended with status {process.returncode} ({log}); "
                "the run goes on without it, resuming it sends the rest"
            )

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        with suppress(OSError):
            self._heard += os.read(_number(process.stdout), 65536)
        *lines, rest = bytes(self._heard).split(b"\n")
        self._heard = bytearray(rest)
        for line in lines:
            self._run.say(line.decode(errors="replace"))

    def _release(self, process: subprocess.Popen[bytes]) -> None:
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                _stream(stream).close()
        process.wait()
        self._process = None


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None, "the process was started with pipes"
    return stream


def _number(stream: IO[bytes] | None) -> int:
    return _stream(stream).fileno()
