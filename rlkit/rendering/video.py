"""Videos, encoded frame by frame as they come, and looked at before anyone is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlkit.core.types import Array, RunError, UsageError
from rlkit.rendering.frames import captioned, check_frame, scaled, tiled

if TYPE_CHECKING:
    import av

DEFAULT_FPS = 30

DARK = 32
"""What has no pixel brighter than this is black."""

Tile = tuple[Array, str]
"""A picture [H, W, 3] uint8, and what is written below it."""


class VideoWriter:
    """Streams pictures to an mp4 (H.264); memory does not grow with length."""

    def __init__(self, path: Path, height: int | None = None):
        """Write to `path` under a temporary name; it gets its own when `close` has verified it.

        Args:
            path: of the video.
            height: of each picture, without its caption; None: as it comes.
        """
        self.path = path
        self.frames = 0
        self._height = height
        self._brightest = 0
        self._temporary = path.with_name(f".{path.stem}.part.mp4")
        self._container: av.container.OutputContainer | None = None
        self._stream: Any = None

    def add(self, picture: Array, fps: int = DEFAULT_FPS, caption: str = "") -> None:
        """Append one picture; the first sets size and `fps`."""
        self.add_tiles([(picture, caption)], fps)

    def add_tiles(self, tiles: Sequence[Tile], fps: int = DEFAULT_FPS) -> None:
        """Append pictures of one size as one. H.264 wants even sizes: odd ones lose a row or column."""
        import av

        frame = tiled([self._finished(*tile) for tile in tiles])
        height, width = frame.shape[0] // 2 * 2, frame.shape[1] // 2 * 2
        if self._container is None:
            self._open(width, height, fps)
        assert self._container is not None
        encoded = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(encoded))
        self.frames += 1

    def _finished(self, picture: Array, caption: str) -> Array:
        picture = check_frame(picture)
        if self._brightest <= DARK:
            self._brightest = int(picture.max())
        return captioned(scaled(picture, self._height) if self._height else picture, caption)

    def close(self) -> Path:
        """Finish the file, verify it, and return its path.

        Raises:
            RunError: it holds no pictures, or only black ones; nothing is left of it then.
        """
        if self._container is None:
            raise RunError(f"video {self.path} has no frames: the environment ended before its first picture")
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._container = None
            verify(self._temporary, self.frames)
            if self._brightest <= DARK:
                raise RunError(f"video {self.path} is black throughout: render() draws nothing; set video=none")
        except BaseException:
            self.discard()
            raise
        self._temporary.replace(self.path)
        return self.path

    def discard(self) -> None:
        """Close and delete what was written so far."""
        if self._container is not None:
            self._container.close()
            self._container = None
        self._temporary.unlink(missing_ok=True)

    def _open(self, width: int, height: int, fps: int) -> None:
        import av

        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._temporary), "w")
        self._stream = self._container.add_stream(encoder(), rate=fps)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"
        # With several threads x264 cuts frames into slices: larger files, which were seen to differ from time to time.
        self._stream.codec_context.thread_count = 1


def encoder() -> str:
    """Return the name of an H.264 or MPEG-4 encoder that this machine has.

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
        RunError: it is broken or short.
    """
    import av

    with av.open(str(path)) as container:
        seen = sum(1 for _ in container.decode(video=0))
    if seen != frames:
        raise RunError(f"video {path} holds {seen} of {frames} frames; is the disk full?")


def animated(path: Path, *, width: int = 240, frames: int = 150) -> tuple[bytes, tuple[int, int]]:
    """Return a video as an animated GIF with at most so many frames and columns, and its width and height."""
    import av
    from PIL import Image

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        size = min(width, stream.width), max(1, round(stream.height * min(1.0, width / stream.width)))
        stride = max(1, -(-stream.frames // frames))
        pictures = [
            Image.fromarray(frame.to_ndarray(format="rgb24")).resize(size)
            for i, frame in enumerate(container.decode(video=0))
            if i % stride == 0
        ]
        seconds = stride / float(stream.average_rate or DEFAULT_FPS)
    file = BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=round(1000 * seconds), loop=0)
    return file.getvalue(), size


def still(path: Path) -> bytes:
    """Return a picture near the middle of a video, as JPEG."""
    import av
    from PIL import Image

    file = BytesIO()
    with av.open(str(path)) as container:
        container.seek((container.duration or 0) // 2)
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    Image.fromarray(picture).save(file, "JPEG", quality=80)
    return file.getvalue()
