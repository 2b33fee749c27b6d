"""W&B's own process: reads rows from a pipe and sends them. Nothing here is loaded into a run but `evaluation_figures`.

What was sent is what W&B has on record: its server's step online, its transaction logs offline (W&B writes those some
seconds late, and a kill loses what it held). Rows up to the step where a run goes on that are not on record are read
from the run's CSV files, later ones come through the pipe again; rows on record are skipped. So each is sent once.
"""

from __future__ import annotations

import csv
import fcntl
import json
import os
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

_BLOCK = 32768  # W&B's transaction log is LevelDB's: blocks of this size, a header before each part of a record
_HEADER = struct.Struct("<IHB")  # checksum, length, kind
_WHOLE, _LAST = 1, 4  # the kinds that complete a record
_PREAMBLE = 7
FINAL = "evaluation/final"
"""The figure that marks the evaluation at the end of a run."""


def main() -> None:
    """Do one run: the first line describes it, the others are its rows; the last says that it ended."""
    _set_signals()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever W&B prints goes to the log
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

    def run(self, lines: BinaryIO) -> None:
        """Send what is missing, then what comes, until the end of the run or of its process."""
        import wandb

        self._run = self._open(wandb)
        self._wandb = wandb
        recorded = self._sent = self._last_recorded()
        self._write_record()
        for row in missing_rows(self._directory, after=recorded, until=self._spec["step"]):
            self._send(row)
        failed = self._follow(lines, recorded)
        self._run.finish(exit_code=int(failed))
        self._write_record()

    def _open(self, wandb: Any) -> Any:
        settings = self._settings(wandb)
        wandb.setup(settings=settings)
        return wandb.init(
            **self._spec["about"],
            id=self._spec["id"],
            dir=str(self._directory),
            mode=self._spec["mode"],
            resume=None if self._spec["mode"] == "offline" else "allow",
            settings=settings,
        )

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
        saved = -1
        with suppress(OSError, ValueError, KeyError):  # no record yet
            saved = int(json.loads(self._record.read_text())["last_step"])
        return max(saved, *(last_step(path) for path in self._logs()), -1)

    def _logs(self) -> list[Path]:
        return sorted((self._directory / "wandb").glob(f"*run-*-{self._spec['id']}/run-{self._spec['id']}.wandb"))

    def _write_record(self) -> None:
        temporary = self._record.with_suffix(".tmp")
        temporary.write_text(json.dumps({"id": self._spec["id"], "last_step": self._sent}) + "\n")
        temporary.replace(self._record)

    def _follow(self, lines: BinaryIO, recorded: int) -> bool:
        """Send rows as they come, but for those on record; return whether the run failed."""
        for line in lines:
            message = json.loads(line)
            if "close" in message:
                return bool(message["failed"])
            if message["step"] > recorded:
                self._send(message)
        # The run's process was killed: nobody is left to end this one when W&B does not answer.
        guard = threading.Timer(self._spec["timeout"], os._exit, [1])
        guard.daemon = True
        guard.start()
        return True

    def _send(self, row: Mapping[str, Any]) -> None:
        for name in row["figures"]:
            self._define(name)
        media: dict[str, Any] = {name: self._wandb.Video(path, format="mp4") for name, path in _present(row["videos"])}
        media |= {name: self._wandb.Image(path) for name, path in _present(row["pictures"])}
        self._run.log({**row["figures"], **media, "step": row["step"]}, step=row["step"])
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


def last_step(path: Path) -> int:
    """Return the last step in a transaction log, or -1."""
    from wandb.proto import wandb_internal_pb2

    read = wandb_internal_pb2.Record.FromString  # type: ignore[attr-defined]  # made at run time
    last = -1
    for content in records(path.read_bytes()):
        for item in read(content).history.item:
            if "_step" in (item.key, *item.nested_key):
                last = max(last, int(item.value_json))
    return last


def records(log: bytes) -> Iterator[bytes]:
    """Yield the records of a transaction log, up to where a kill cut it off."""
    position, record = _PREAMBLE, b""
    while position + _HEADER.size <= len(log):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER.size:
            position += left
            continue
        _, length, kind = _HEADER.unpack_from(log, position)
        position += _HEADER.size + length
        if kind == 0 or position > len(log):
            return
        record += log[position - length : position]
        if kind in (_WHOLE, _LAST):
            yield record
            record = b""


def missing_rows(directory: Path, *, after: int, until: int) -> list[dict[str, Any]]:
    """Return the rows with ``after < step <= until`` of the run's CSV files, one for each step."""
    rows: dict[int, dict[str, float]] = {}
    for name in ("metrics", "timings"):
        for step, line in _read(directory / f"{name}.csv", after, until):
            rows.setdefault(step, {}).update({key: float(value) for key, value in line.items() if value})
    played: dict[int, list[tuple[float, float]]] = {}
    for step, line in _read(directory / "evaluations.csv", after, until):
        if line.get("final") != "1":  # it will be made again, or be none any more
            played.setdefault(step, []).append((float(line["return/raw"]), float(line["length"])))
    for step, episodes in played.items():
        rows.setdefault(step, {}).update(evaluation_figures(*zip(*episodes, strict=True)))
    return [{"step": step, "figures": rows[step], "videos": {}, "pictures": {}} for step in sorted(rows)]


def _read(path: Path, after: int, until: int) -> Iterator[tuple[int, dict[str, str]]]:
    if not path.is_file() or after >= until:
        return
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            # A line that a kill cut short lacks values, and belongs to a step that is made again.
            if None not in line.values() and after < int(line["step"]) <= until:
                yield int(line.pop("step")), line


def evaluation_figures(returns: Sequence[float], lengths: Sequence[float], *, final: bool = False) -> dict[str, float]:
    """Return the figures of an evaluation, given each episode's return and length.

    `final`: it is the one at the end of a run, outside of the schedule, and marked by `FINAL`.
    """
    figures = {FINAL: 1.0} if final else {}
    for name, values in (("return", returns), ("length", lengths)):
        figures[f"evaluation/{name}_mean"] = sum(values) / len(values)
        figures[f"evaluation/{name}_min"] = min(values)
        figures[f"evaluation/{name}_max"] = max(values)
    return figures


if __name__ == "__main__":
    main()
