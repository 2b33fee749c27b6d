"""TensorBoard's event files in the run folder, for ``tensorboard --logdir runs``."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from rlkit.core.statistics import Episode
from rlkit.core.types import Metrics, State, UsageError
from rlkit.runs.loggers.base import Logger, RunInfo, returns_and_lengths
from rlkit.runs.loggers.wandb_uplink import FINAL, evaluation_figures, missing_rows

REMEDY = "pip install tensorboard"
PREFIX = "events.out.tfevents."
_HEADER = struct.Struct("<QI")  # length and its checksum; the data and a checksum of 4 bytes follow
_PNG_SIZE = struct.Struct(">II")  # width and height, 16 bytes into the file


class TensorBoardLogger(Logger):
    """Writes figures, pictures, videos and the configuration; all steps count agent decisions.

    Each start of a run has an event file of its own. On resume the earlier files lose what came after the checkpoint,
    and rows that they never had are taken from the CSV files, so that every figure is there once for each step.
    Files differ between equal runs, because events carry the time of day; nothing of them is in the checkpoint.
    """

    def __init__(self, videos: bool):
        """Find TensorBoard.

        Args:
            videos: put videos in, as animated pictures.

        Raises:
            UsageError: it is not installed.
        """
        try:
            from rlkit.runs.loggers import tensorboard_events
        except ImportError as error:
            raise UsageError(
                f"logger=tensorboard needs TensorBoard: {REMEDY}, or leave it out of logger=[…]"
            ) from error
        self._events: Any = tensorboard_events
        self._videos = videos
        self._file: BinaryIO | None = None
        self._there: set[tuple[str, int]] = set()

    def start(self, run: RunInfo) -> None:
        """Open an event file; cut the earlier ones to the step at which the run goes on."""
        folder = run.directory / "tensorboard"
        folder.mkdir(exist_ok=True)
        kept = self._cut(folder, run.step)
        self._there = {(tag, step) for tag, step in kept if step == run.step}
        self._file = _next_path(folder).open("wb")
        self._append(self._events.version())
        self._append(self._events.text("config", _as_code(run.config)))
        last = max((step for _, step in kept), default=0)
        for row in missing_rows(run.directory, after=last, until=run.step):
            self.metrics(row["step"], row["figures"])
        self._flush()

    def metrics(self, step: int, metrics: Metrics) -> None:
        """Write figures."""
        new = {tag: float(value) for tag, value in metrics.items() if (tag, step) not in self._there}
        if new:
            self._append(self._events.scalars(step, new))
            self._flush()

    def evaluation(self, step: int, episodes: Sequence[Episode]) -> None:
        """Write mean, least and greatest return and length."""
        self.metrics(step, evaluation_figures(*returns_and_lengths(episodes)))

    def final_evaluation(self, step: int, episodes: Sequence[Episode]) -> None:
        """Write them with a mark: where the run is extended, they are taken out again."""
        self.metrics(step, evaluation_figures(*returns_and_lengths(episodes), final=True))

    def timing(self, step: int, timings: Metrics) -> None:
        """Write figures."""
        self.metrics(step, timings)

    def video(self, step: int, path: Path) -> None:
        """Write a video as an animated picture, which is all that TensorBoard shows."""
        if self._videos and path.is_file():
            from rlkit.rendering.video import animated

            self._image("media/video", step, *animated(path))

    def picture(self, step: int, path: Path) -> None:
        """Write a PNG file."""
        if path.is_file():
            content = path.read_bytes()
            self._image(f"media/{path.stem}", step, content, _PNG_SIZE.unpack_from(content, 16))

    def state_dict(self) -> State:
        """Write everything, so that a kill leaves no gap before this checkpoint; the state itself is empty."""
        self._flush()
        return {}

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _image(self, tag: str, step: int, content: bytes, size: tuple[int, ...]) -> None:
        if (tag, step) not in self._there:
            self._append(self._events.image(tag, step, content, size))
            self._flush()

    def _append(self, event: bytes) -> None:
        assert self._file is not None, "the logger was started"
        self._file.write(self._events.framed(event))

    def _flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def _cut(self, folder: Path, step: int) -> list[tuple[str, int]]:
        """Drop the events after `step`, of a final evaluation, and of step 0, written anew; return what is left."""
        left: list[tuple[str, int]] = []
        for path in sorted(folder.glob(f"{PREFIX}*")):
            kept = []
            for record in records(path.read_bytes()):
                tags = self._events.tags(record)
                if not tags or (0 < tags[0][1] <= step and FINAL not in dict(tags)):
                    kept.append(record)
                    left += tags
            _rewrite(path, b"".join(map(self._events.framed, kept if len(kept) > 1 else [])))
        return left


def records(content: bytes) -> Iterator[bytes]:
    """Yield the records of an event file, up to where a kill cut it off."""
    position = 0
    while position + _HEADER.size <= len(content):
        length, _ = _HEADER.unpack_from(content, position)
        start = position + _HEADER.size
        position = start + length + 4
        if position > len(content):
            return
        yield content[start : start + length]


def _rewrite(path: Path, content: bytes) -> None:
    if not content:
        path.unlink()
        return
    temporary = path.with_name(f".{path.name}.tmp".replace("tfevents", "cut"))
    temporary.write_bytes(content)
    temporary.replace(path)


def _next_path(folder: Path) -> Path:
    """Return a new file, last in TensorBoard's order, which is that of the names."""
    number = 1
    with suppress(ValueError):
        number += max(int(path.name.removeprefix(PREFIX)) for path in folder.glob(f"{PREFIX}*"))
    return folder / f"{PREFIX}{number:06d}"


def _as_code(config: Mapping[str, Any]) -> str:
    """Return YAML as a block of code in Markdown."""
    return "".join(f"    {line}\n" for line in yaml.safe_dump(dict(config), sort_keys=False).splitlines())
