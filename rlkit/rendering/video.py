"""Videos, encoded frame by frame and verified when they are closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlkit.core.files import not_written
from rlkit.core.types import Array, RunError, UsageError
from rlkit.rendering.frames import captioned, check_frame, scaled, tiled

if TYPE_CHECKING:
    import av

DEFAULT_FPS = 30

DARK = 32
"""A video without a pixel brighter than this is black."""

Tile = tuple[Array, str]
"""A frame [H, W, 3] uint8, and its caption."""


class VideoWriter:
    """Writes frames to an mp4 file (H.264); memory does not grow with its length."""

    def __init__(self, path: Path, height: int | None = None):
        """Write to a temporary name beside `path`; `close` renames the file once it is verified.

        Args:
            path: of the video.
            height: to which frames are scaled, without the caption; None: as they are.
        """
        self.path = path
        self.frames = 0
        self._height = height
        self._brightest = 0
        self._temporary = path.with_name(f".{path.stem}.part.mp4")
        self._container: av.container.OutputContainer | None = None
        self._stream: Any = None

    def add(self, frame: Array, fps: int = DEFAULT_FPS, caption: str = "") -> None:
        """Append a frame [H, W, 3] uint8; the first one sets size and `fps`.

        Raises:
            RunError: it is not such a frame, or the disk is full or not writable.
        """
        self.add_tiles([(frame, caption)], fps)

    def add_tiles(self, tiles: Sequence[Tile], fps: int = DEFAULT_FPS) -> None:
        """Append frames of one size as one; odd sizes lose a row or column, since H.264 needs even ones.

        Raises:
            RunError: one is not a frame [H, W, 3] uint8, or the disk is full or not writable.
        """
        import av

        frame = tiled([self._finished(*tile) for tile in tiles])
        height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
        with self._writing():
            if self._container is None:
                self._open(width, height, fps)
            assert self._container is not None
            encoded = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            self._container.mux(self._stream.encode(encoded))
        self.frames += 1

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(not_written(self.path, error)) from error

    def _finished(self, frame: Array, caption: str) -> Array:
        frame = check_frame(frame)
        if self._brightest <= DARK:
            self._brightest = int(frame.max())
        return captioned(scaled(frame, self._height) if self._height else frame, caption)

    def close(self) -> Path:
        """Finish the file, verify it, and return its path.

        Raises:
            RunError: it has no frames, or only black ones, or is damaged; it is deleted then.
        """
        if self._container is None:
            raise RunError(f"video {self.path} has no frames: the environment ended before its first frame")
        try:
            with self._writing():
                self._container.mux(self._stream.encode())
                self._container.close()
            self._container = None
            verify(self._temporary, self.frames)
            if self._brightest <= DARK:
                raise RunError(f"video {self.path} is black throughout: render() draws nothing; set video=none")
        except BaseException:
            self.discard()
            raise
        with self._writing():
            self._temporary.replace(self.path)
        return self.path

    def discard(self) -> None:
        """Close and delete what was written so far."""
        if self._container is not None:
            with suppress(Exception):  # on a full disk too, where it cannot be ended
                self._container.close()
            self._container = None
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def _open(self, width: int, height: int, fps: int) -> None:
        import av

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._temporary), "w")
        # x264's macroblock tree reads memory beyond frames whose width is no multiple of 16: same frames, other bytes.
        self._stream = self._container.add_stream(encoder(), rate=fps, options={"x264-params": "mbtree=0"})
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        # With several threads x264 splits frames into slices: larger files, which sometimes differ between runs.
        self._stream.codec_context.thread_count = 1


def encoder() -> str:
    """Return the name of an available H.264 or MPEG-4 encoder.

    Raises:
        UsageError: there is none.
    """
    import av

    for name in ("libx264", "libopenh264", "mpeg4"):
        if name in av.codecs_available:
            return name
    raise UsageError("no video encoder (libx264, libopenh264 or mpeg4) in this build of PyAV; set video=none")


def verify(path: Path, frames: int) -> None:
    """Decode a video and check its number of frames.

    Raises:
        RunError: it has another number of frames.
    """
    import av

    with av.open(str(path)) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    if decoded != frames:
        raise RunError(f"video {path} has {decoded} of {frames} frames; is the disk full?")


def animated(path: Path, *, width: int = 240, frames: int = 150) -> tuple[bytes, tuple[int, int]]:
    """Return a video as an animated GIF of at most `frames` frames and `width` columns, and its (width, height)."""
    import av
    from PIL import Image

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        size = min(width, stream.width), max(1, round(stream.height * min(1.0, width / stream.width)))
        stride = max(1, -(-stream.frames // frames))
        images = [
            Image.fromarray(frame.to_ndarray(format="rgb24")).resize(size)
            for i, frame in enumerate(container.decode(video=0))
            if i % stride == 0
        ]
        seconds = stride / float(stream.average_rate or DEFAULT_FPS)
    file = BytesIO()
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=round(1000 * seconds), loop=0)
    return file.getvalue(), size


def still(path: Path) -> bytes:
    """Return a frame near the middle of a video as JPEG."""
    import av
    from PIL import Image

    file = BytesIO()
    with av.open(str(path)) as container:
        container.seek((container.duration or 0) // 2)
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    Image.fromarray(frame).save(file, "JPEG", quality=80)
    return file.getvalue()
