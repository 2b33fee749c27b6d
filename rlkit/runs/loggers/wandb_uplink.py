"""W&B's own process: reads rows from a pipe and sends them. Nothing here is loaded into a run.

Online, W&B's server says up to which step it has rows. Offline, ``wandb.json`` in the run folder does: W&B keeps what
it gets for a second before it writes it, so a row counts as sent when it has had two. Rows up to the step where a
run goes on that were not sent are read from the run's CSV files, later ones come through the pipe again; rows that were
sent are skipped. So each is sent once; only where W&B's process is killed with the run are those of its last seconds
sent again, because it may have lost them.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from rlkit.core.files import read_bytes
from rlkit.runs.loggers import wandb_extras as extras
from rlkit.runs.loggers.history import UNREADABLE, missing_rows

LOG_BYTES = 1_000_000
"""Bytes from which what W&B prints is dropped."""

SETTLES = 2.0
"""Seconds after which a row that was passed to W&B is on disk: twice the interval at which W&B writes."""


def main() -> None:
    """Do one run: the first line describes it, the others are its rows; the last says that it ended."""
    _set_signals()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever W&B prints goes to the log
    threading.Thread(target=_bound_log, daemon=True).start()
    try:
        first = sys.stdin.buffer.readline()
        if first:
            specification = json.loads(first)
            with _alone(Path(specification["directory"]) / "wandb"):
                Sender(specification, answers).run(sys.stdin.buffer)
    except Exception as error:  # whatever W&B raises: the run is to go on, and the user to know
        traceback.print_exc()
        what = " ".join(str(error).split()) or type(error).__name__
        with suppress(OSError):
            print(f"W&B failed, the run goes on without it; resuming the run sends the rest: {what:.200}", file=answers)
            answers.flush()
    sys.stderr.flush()
    os._exit(0)  # W&B's exit handlers may wait for a server that does not answer


def _bound_log() -> None:
    """Empty the log whenever it has grown beyond `LOG_BYTES`: W&B, and what it starts, may print without end."""
    while True:
        with suppress(OSError):  # a terminal or a pipe, where somebody looks for himself
            if os.fstat(2).st_size > LOG_BYTES:
                os.ftruncate(2, 0)
                os.write(2, b"(earlier lines were dropped)\n")
        time.sleep(0.05)


def _set_signals() -> None:
    """The run decides when this process ends, also where a cluster signals every process of a job."""
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    # W&B's stop button interrupts this process: the run stops, with a checkpoint.
    signal.signal(signal.SIGINT, lambda *_: os.kill(parent, signal.SIGTERM) if os.getppid() == parent else None)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until the process of a run that was killed has put away what it held."""
    number = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


class Sender:
    """Sends the rows of one run."""

    def __init__(self, specification: Mapping[str, Any], answers: TextIO):
        self._spec = specification
        self._answers = answers
        self._directory = Path(specification["directory"])
        self._record = self._directory / "wandb.json"
        self._defined: set[str] = set()
        self._sent = -1
        self._done = threading.Event()

    def run(self, lines: BinaryIO) -> None:
        """Send what is missing, then what comes, until the end of the run or of its process."""
        import wandb

        self._run = self._open(wandb)
        self._wandb = wandb
        recorded = self._sent = self._last_recorded()
        self._write_record(self._sent)
        keeper = threading.Thread(target=self._keep_record, daemon=True)
        keeper.start()
        try:
            for row in missing_rows(self._directory, after=recorded, until=self._spec["step"]):
                self._send(row)
            failed = self._follow(lines, recorded)
            if not failed:
                extras.send(self._wandb, self._run, self._directory, self._spec, self._sent)
            self._run.finish(exit_code=int(failed))
        finally:
            # W&B's own process has the rows, even where it does not say so in time.
            self._done.set()
            keeper.join()
            self._write_record(self._sent)

    def _open(self, wandb: Any) -> Any:
        settings = self._settings(wandb)
        wandb.setup(settings=settings)
        return wandb.init(
            **self._spec["about"],
            **self._identity(),
            dir=str(self._directory),
            mode=self._spec["mode"],
            resume=None if self._spec["mode"] == "offline" else "allow",
            settings=settings,
        )

    def _identity(self) -> dict[str, Any]:
        """Return the id of the run: of a sweep of W&B's it is the agent's, and is kept for when the run is resumed."""
        if os.environ.get("WANDB_SWEEP_ID"):
            return {}
        return {"id": self._recorded().get("run_of_sweep", self._spec["id"])}

    def _recorded(self) -> dict[str, Any]:
        with suppress(*UNREADABLE):  # no record yet, or it is damaged
            record = json.loads(read_bytes(self._record))
            return dict(record) if record["id"] == self._spec["id"] else {}
        return {}

    def _settings(self, wandb: Any) -> Any:
        wanted = {
            "silent": True,
            "console": "off",
            "symlink": False,
            "disable_git": True,
            "disable_code": True,
            "save_code": False,
            "x_save_requirements": False,
            "x_disable_stats": not self._spec["system_metrics"],
            "x_stats_pid": self._spec["parent"],
            "x_transaction_log_flush_interval": 1.0,
            "init_timeout": self._spec["timeout"],
            "finish_timeout": 0.8 * self._spec["timeout"],
            "finish_timeout_raises": True,
        }
        known = wandb.Settings.model_fields
        return wandb.Settings(**{name: value for name, value in wanted.items() if name in known})

    def _last_recorded(self) -> int:
        if not self._run.offline:
            return int(self._run.step) - 1 if self._run.resumed else -1
        with suppress(*UNREADABLE):
            return int(self._recorded()["last_step"])
        return -1

    def _keep_record(self) -> None:
        """Write down how far W&B is, as long as it goes on."""
        settled = self._sent
        while not self._done.wait(SETTLES):
            self._write_record(settled)
            settled = self._sent

    def _write_record(self, step: int) -> None:
        temporary = self._record.with_suffix(".tmp")
        record = {"id": self._spec["id"], "last_step": step}
        if os.environ.get("WANDB_SWEEP_ID"):
            record["run_of_sweep"] = self._run.id
        elif (known := self._recorded().get("run_of_sweep")) is not None:
            record["run_of_sweep"] = known
        temporary.write_text(json.dumps(record) + "\n")
        temporary.replace(self._record)

    def _follow(self, lines: BinaryIO, recorded: int) -> bool:
        """Send rows as they come, but for those on record; return whether the run failed."""
        for line in lines:
            if not line.endswith(b"\n"):  # the run was killed while it wrote the line
                break
            message = json.loads(line)
            if "close" in message:
                return bool(message["failed"])
            if message["step"] > recorded:
                self._send(message)
        # The run's process was killed: nothing is left to end this one when W&B does not answer.
        guard = threading.Timer(self._spec["timeout"], self._give_up)
        guard.daemon = True
        guard.start()
        return True

    def _give_up(self) -> None:
        """End this process; W&B's own has had longer than it needs for the rows."""
        self._write_record(self._sent)
        os._exit(1)

    def _send(self, row: Mapping[str, Any]) -> None:
        for name in row["metrics"]:
            self._define(name)
        media: dict[str, Any] = {name: self._wandb.Video(path, format="mp4") for name, path in _present(row["videos"])}
        media |= {name: self._wandb.Image(path) for name, path in _present(row["plots"])}
        self._run.log({**row["metrics"], **media, "step": row["step"]}, step=row["step"])
        self._sent = row["step"]

    def _define(self, name: str) -> None:
        if not self._defined:
            self._run.define_metric("step", hidden=True)
        if name not in self._defined:
            summary = "max,last" if name.startswith(("return/", "evaluation/return")) else None
            self._run.define_metric(name, step_metric="step", summary=summary)
            self._defined.add(name)


def _present(files: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, path) for name, path in files.items() if Path(path).is_file())


if __name__ == "__main__":
    main()
