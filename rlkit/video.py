"""Videos, encoded frame by frame as they come, and looked at before anyone is told of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from rlkit.core import Array, RunError, UsageError

if TYPE_CHECKING:
    import av

DEFAULT_FPS = 30


class VideoWriter:
    """Streams pictures [H, W, 3] uint8 to an mp4 (H.264); memory does not grow with length."""

    def __init__(self, path: Path):
        """Write to `path` under a temporary name; it gets its own when `close` has verified it."""
        self.path = path
        self.frames = 0
        self._temporary = path.with_name(f".{path.stem}.part.mp4")
        self._container: av.container.OutputContainer | None = None
        self._stream: Any = None

    def add(self, picture: Array, fps: int = DEFAULT_FPS) -> None:
        """Append one picture; the first sets size and `fps`. H.264 wants even sizes: odd ones lose a row or column."""
        import av

        picture = check_picture(picture)
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        if self._container is None:
            self._open(width, height, fps)
        assert self._container is not None
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), format="rgb24")
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> Path:
        """Finish the file, verify it, and return its path.

        Raises:
            RunError: it holds no frames, or only black ones; nothing is left of it then.
        """
        if self._container is None:
            raise RunError(f"video {self.path} has no frames: the environment ended before its first picture")
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._container = None
            verify(self._temporary, self.frames)
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


FRAMES = 3_000
"""Pictures in a video that training makes by itself: an agent that goes round in circles would fill the disk."""

Draw = Callable[[], Array]
Sink = Callable[[Draw, bool, int], None]
"""Takes a function that draws, whether it is an episode's first picture, and the environment's frames per second."""


class Film(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Offers every picture of an environment to a sink, the last of each episode included.

    Where an episode ends with a lost life and the game goes on, so does the film: it is of whole games.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], sink: Sink):
        super().__init__(env)
        self._sink = sink
        self._fps = frames_per_second(env.metadata)
        self._goes_on = False

    def reset(self, **kwargs: Any) -> Any:
        """Reset, and offer the first picture of a new game."""
        result = self.env.reset(**kwargs)
        if not self._goes_on or kwargs.get("seed") is not None:
            self._sink(self._picture, True, self._fps)
        self._goes_on = False
        return result

    def step(self, action: Any) -> Any:
        """Step, and offer the picture."""
        result = self.env.step(action)
        self._goes_on = bool(result[2] or result[3]) and not result[4].get("game_over", True)
        self._sink(self._picture, False, self._fps)
        return result

    def _picture(self) -> Array:
        with headless():
            return self.env.render()  # type: ignore[return-value]


def has_display() -> bool:
    """Tell whether a window can be opened here, as far as can be told without trying."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def headless() -> Iterator[None]:
    """Let SDL, with which many environments draw, not look for a display or a sound card where there is no display.

    Only for as long as a picture is drawn: a window that a person plays in later looks for its own.
    """
    wanted = {} if has_display() else {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextmanager
def first_episode(path: Path, fps: int | None = None, max_frames: int | None = None) -> Iterator[Sink]:
    """Give a sink that writes the first episode it sees to `path`; verified at the end, discarded on an error.

    `fps` stands in for the environment's own frames per second where given; `max_frames` ends the video early.
    """
    writer = VideoWriter(path)
    episodes = 0

    def show(draw: Draw, first: bool, own_fps: int) -> None:
        nonlocal episodes
        episodes += first
        if episodes == 1 and (max_frames is None or writer.frames < max_frames):
            writer.add(draw(), fps or own_fps)

    try:
        yield show
    except BaseException:
        writer.discard()
        raise
    writer.close()


class EachEpisode:
    """A sink that writes every episode to a file of its own, named after the step at which it began."""

    def __init__(self, folder: Path):
        """Write into `folder`."""
        self._folder = folder
        self._step: Callable[[], int] = lambda: 0
        self._done: Callable[[Path], None] = lambda path: None
        self._writer: VideoWriter | None = None

    def attach(self, step: Callable[[], int], done: Callable[[Path], None]) -> None:
        """Let `step` tell the step of the run, and tell `done` of each finished video."""
        self._step, self._done = step, done

    def __call__(self, draw: Draw, first: bool, fps: int) -> None:
        """Take a picture."""
        if first:
            self._finish()
            self._writer = VideoWriter(self._folder / f"episode-{self._step():09d}.mp4")
        if self._writer is not None and self._writer.frames < FRAMES:
            self._writer.add(draw(), fps)

    def discard(self) -> None:
        """Drop the episode under way."""
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def _finish(self) -> None:
        if self._writer is not None:
            self._done(self._writer.close())


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


def check_picture(picture: Array) -> Array:
    """Return `picture` if it is [H, W, 3] uint8.

    Raises:
        RunError: it is anything else.
    """
    picture = np.asarray(picture)
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise RunError(
            f"render() gave {picture.dtype} {list(picture.shape)}; a picture is [height, width, 3] uint8: "
            "build the environment with render_mode='rgb_array', or set video=none"
        )
    return picture


def verify(path: Path, frames: int) -> None:
    """Decode a video and check its number of frames, and that not all of them are black.

    Raises:
        RunError: it is broken, short or black.
    """
    import av

    seen, brightest = 0, 0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            seen += 1
            if brightest <= 32:
                brightest = int(frame.to_ndarray(format="gray").max())
    if seen != frames:
        raise RunError(f"video {path} holds {seen} of {frames} frames; is the disk full?")
    if brightest <= 32:
        raise RunError(f"video {path} is black throughout: render() draws nothing; set video=none to go without")


def frames_per_second(metadata: dict[str, Any] | None) -> int:
    """Return an environment's own frame rate, or `DEFAULT_FPS`."""
    return int((metadata or {}).get("render_fps") or DEFAULT_FPS)
