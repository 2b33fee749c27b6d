"""TensorBoard's event files in the run folder, for ``tensorboard --logdir runs``."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from rlkit.core.callback import Callback, RunInfo
from rlkit.core.files import read_bytes
from rlkit.core.statistics import EvaluationResult
from rlkit.core.types import Metrics, State, UsageError
from rlkit.runs.loggers.history import UNREADABLE, evaluation_metrics, missing_rows

REMEDY = "pip install tensorboard"
FINAL_FILES = ".final"
"""How the names of event files end that hold a final evaluation."""

_PNG_SIZE = struct.Struct(">II")  # width and height, 16 bytes into the file


class TensorBoardLogger(Callback):
    """Writes metrics, plots, videos and the configuration; all steps count agent decisions.

    Each start of a run has an event file of its own, which begins with the event by which TensorBoard forgets what came
    after the checkpoint. Rows that the files never had are taken from the CSV files, so that every metric is there once
    for each step: ``tensorboard.json`` in the run folder says up to where they are written. Files differ between equal
    runs, because events carry the time of day; nothing of them is in the checkpoint. A final evaluation has a file of
    its own, which goes where the run is extended.
    """

    def __init__(self, videos: bool):
        """Look for TensorBoard.

        Args:
            videos: put videos in, as animated images.

        Raises:
            UsageError: it is not installed.
        """
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise UsageError(
                f"logger=tensorboard needs TensorBoard: {REMEDY}, or leave it out of logger=[…]"
            ) from error
        # It has no types of its own.
        self._event: Any = event_pb2
        self._summary: Any = summary_pb2.Summary
        self._metadata: Any = summary_pb2.SummaryMetadata
        self._tensor: Any = tensor_pb2.TensorProto
        self._open: Any = EventFileWriter
        self._videos = videos
        self._file: Any = None
        self._folder = self._record = Path()
        self._last = 0
        self._media: dict[str, list[int]] = {}

    def start(self, run: RunInfo) -> None:
        """Open an event file that lets TensorBoard forget what came after the step at which the run goes on."""
        self._folder, self._record = run.directory / "tensorboard", run.directory / "tensorboard.json"
        self._folder.mkdir(exist_ok=True)
        for path in self._folder.glob(f"*{FINAL_FILES}"):
            path.unlink()
        written = self._read_record(run.step)
        self._file = self._open(str(self._folder), flush_secs=1)
        start = self._event.SessionLog(status=self._event.SessionLog.START)
        self._add(0 if written is None else run.step + 1, session_log=start)
        if written is None:
            self._text("config", _as_code(run.config))
        for row in missing_rows(run.directory, after=written or 0, until=run.step):
            self.metrics(row["step"], row["metrics"])
        self._last = run.step
        self._write_record()

    def metrics(self, step: int, metrics: Metrics) -> None:
        """Write scalars."""
        self._scalars(self._file, step, metrics)
        self._last = step

    def evaluation(self, evaluation: EvaluationResult) -> None:
        """Write mean, least and greatest return and length."""
        metrics = evaluation_metrics(evaluation.returns, evaluation.lengths, final=evaluation.final)
        if not evaluation.final:
            self.metrics(evaluation.step, metrics)
            return
        file = self._open(str(self._folder), filename_suffix=FINAL_FILES)
        self._scalars(file, evaluation.step, metrics)
        file.close()

    def media(self, step: int, path: Path) -> None:
        """Write a plot, or a video as an animated image, which is all that TensorBoard shows."""
        if not path.is_file():
            return
        if path.suffix != ".mp4":
            content = path.read_bytes()
            self._image(f"media/{path.stem}", step, content, _PNG_SIZE.unpack_from(content, 16))
        elif self._videos:
            from rlkit.rendering.video import animated

            self._image("media/video", step, *animated(path))

    def state_dict(self) -> State:
        """Write everything, so that a kill leaves no gap before this checkpoint; the state itself is empty."""
        if self._file is not None:
            self._write_record()
        return {}

    def end(self, stopped: str | None, error: BaseException | None) -> None:
        """Close the file."""
        if self._file is not None:
            self._write_record()
            self._file.close()
            self._file = None

    def _read_record(self, step: int) -> int | None:
        """Return up to which step at most `step` the files hold everything, or None; remember which media those are."""
        with suppress(*UNREADABLE):  # there is no record yet, or it is damaged
            record = json.loads(read_bytes(self._record))
            media = {tag: [one for one in map(int, steps) if one <= step] for tag, steps in record["media"].items()}
            last = min(int(record["last_step"]), step)
            self._media = media
            return last
        return None

    def _write_record(self) -> None:
        """Write what waits to be written, then how far that is."""
        self._file.flush()
        temporary = self._record.with_suffix(".tmp")
        temporary.write_text(json.dumps({"last_step": self._last, "media": self._media}) + "\n")
        temporary.replace(self._record)

    def _scalars(self, file: Any, step: int, metrics: Mapping[str, float]) -> None:
        values = [self._summary.Value(tag=tag, simple_value=float(value)) for tag, value in metrics.items()]
        file.add_event(self._event.Event(wall_time=time.time(), step=step, summary=self._summary(value=values)))

    def _text(self, tag: str, content: str) -> None:
        """Write Markdown at step 0."""
        plugin = self._metadata.PluginData(plugin_name="text")
        tensor = self._tensor(dtype="DT_STRING", string_val=[content.encode()])
        value = self._summary.Value(
            tag=f"{tag}/text_summary", metadata=self._metadata(plugin_data=plugin), tensor=tensor
        )
        self._add(0, summary=self._summary(value=[value]))

    def _image(self, tag: str, step: int, content: bytes, size: tuple[int, ...]) -> None:
        """Write an encoded image, once; `size` is width and height."""
        if step in self._media.setdefault(tag, []):
            return
        image = self._summary.Image(width=size[0], height=size[1], colorspace=3, encoded_image_string=content)
        self._add(step, summary=self._summary(value=[self._summary.Value(tag=tag, image=image)]))
        self._media[tag].append(step)

    def _add(self, step: int, **content: Any) -> None:
        self._file.add_event(self._event.Event(wall_time=time.time(), step=step, **content))


def _as_code(config: Mapping[str, Any]) -> str:
    """Return YAML as a block of code in Markdown."""
    return "".join(f"    {line}\n" for line in yaml.safe_dump(dict(config), sort_keys=False).splitlines())
