"""Rendering of environments: every frame, with the score, for callbacks that write or show it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from rlkit.core.resources import has_display, of_drawing
from rlkit.core.types import Array, Interrupted, RunError, UsageError, described, require_least
from rlkit.rendering.video import DEFAULT_FPS, Tile, VideoWriter
from rlkit.vector.raw_rewards import with_raw_rewards

FRAMES = 3_000
"""Most frames in a video recorded in training: an agent that goes round in circles would fill the disk."""

Draw = Callable[[], Array]


class RenderedFrame(NamedTuple):
    """One frame of an environment, drawn only if a callback needs it."""

    draw: Draw  # returns the frame, [H, W, 3] uint8
    first: bool  # of an episode
    fps: int  # the environment's frames per second
    caption: str  # score and step


FrameCallback = Callable[[RenderedFrame], None]
"""Called with every frame of an environment."""


@dataclass(frozen=True)
class Format:
    """The format of a video."""

    fps: int | None = None  # frames per second; None: the environment's own
    height: int | None = None  # of a frame, in pixels; None: as it is drawn
    max_frames: int | None = None  # frames at most; None: whole episodes
    captions: bool = True  # score and step below each frame

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: `fps` or `height` is too small.
        """
        require_least(1, "", fps=self.fps)
        require_least(2, "", height=self.height)

    def tile(self, frame: RenderedFrame) -> Tile:
        """Draw a frame, and return it with its caption."""
        return frame.draw(), frame.caption if self.captions else ""

    def room(self, writer: VideoWriter) -> bool:
        """Return whether `writer` may get one more frame."""
        return self.max_frames is None or writer.frames < self.max_frames


AS_DRAWN = Format()


class RenderWrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Calls a frame callback with every frame of an environment, including the last of each episode.

    Frames are those of whole games: an episode that ends with a lost life is continued. The score is the environment's
    own, before any clipping or shaping.
    """

    only_watches = True

    def __init__(self, env: gymnasium.Env[Any, Any], callback: FrameCallback):
        super().__init__(with_raw_rewards(env))
        self._callback = callback
        self._fps = frames_per_second(env.metadata)
        self._game_continues = False
        self._score = 0.0
        self._steps = 0

    def reset(self, **kwargs: Any) -> Any:
        """Reset, and pass on the first frame of a new game."""
        result = self.env.reset(**kwargs)
        if not self._game_continues or kwargs.get("seed") is not None:
            self._score = 0.0
            self._steps = 0
            self._pass_on(first=True)
        self._game_continues = False
        return result

    def step(self, action: Any) -> Any:
        """Step, and pass on the frame."""
        result = self.env.step(action)
        self._game_continues = bool(result[2] or result[3]) and not result[4].get("rlkit/game_over", True)
        self._score += float(result[4].get("rlkit/raw_reward", result[1]))
        self._steps += 1
        self._pass_on(first=False)
        return result

    def _pass_on(self, *, first: bool) -> None:
        caption = f"return {self._score:.6g}   step {self._steps}"
        self._callback(RenderedFrame(self._render, first, self._fps, caption))

    def _render(self) -> Array:
        try:
            with headless():
                return self.env.render()  # type: ignore[return-value]
        except (UsageError, RunError, Interrupted, KeyboardInterrupt):
            raise
        except BaseException as error:
            if not draws(kind := type(self.env.unwrapped)):
                raise RunError(f"{kind.__name__} has no render(); add one, or set video=none") from error
            help = of_drawing(error) or "; fix it, or set video=none"
            raise RunError(f"render() raised {described(error)}{help}") from error


def draws(kind: type) -> bool:
    """Return whether a class of environments has a `render` of its own: that of `gymnasium.Env` only raises."""
    return getattr(kind, "render", None) is not gymnasium.Env.render


@contextmanager
def headless() -> Iterator[None]:
    """Make SDL, with which many environments draw, draw without a screen, and be silent, if there is no display.

    Only while a frame is drawn: a window for a player that opens later needs the real ones.
    """
    # Some environments, highway-env's among them, draw nothing at all with the dummy of a video driver.
    wanted = {} if has_display() else {"SDL_VIDEODRIVER": "offscreen", "SDL_AUDIODRIVER": "dummy"}
    # SDL would turn SIGTERM into an event of a closed window, which nothing handles.
    wanted |= {"SDL_NO_SIGNAL_HANDLERS": "1"}
    ours = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextmanager
def first_episode(path: Path, format: Format = AS_DRAWN) -> Iterator[FrameCallback]:
    """Yield a frame callback that writes its first episode to `path`, verified at the end and discarded on an error.

    Raises:
        RunError: the video has no frames, or only black ones.
    """
    with side_by_side(path, 1, format) as [callback]:
        yield callback


@contextmanager
def side_by_side(
    path: Path, num_envs: int, format: Format = AS_DRAWN, on_failure: Callable[[str], None] | None = None
) -> Iterator[list[FrameCallback]]:
    """Yield a frame callback for each of `num_envs` environments; their first episodes are one video.

    An episode that ends early keeps its last frame. The environments are reset first, then stepped in turn. If the
    video fails and `on_failure` is given, that is called with a line, and what is filmed goes on; else errors are as in
    `first_episode`.
    """
    writer = VideoWriter(path, format.height)
    grid, attempt = _TiledFrames(writer, num_envs, format), _Attempt(writer, on_failure)
    try:
        yield [partial(attempt, partial(grid.add, i)) for i in range(num_envs)]
        attempt(grid.write)
        attempt(writer.close)
    except BaseException:
        writer.discard()
        raise


class _Attempt:
    """Calls what writes a video, until it fails for the first time, if a failure stops nobody."""

    def __init__(self, writer: VideoWriter, on_failure: Callable[[str], None] | None):
        self._writer = writer
        self._on_failure = on_failure
        self._failed = False

    def __call__(self, write: Callable[..., Any], *arguments: Any) -> None:
        if self._failed:
            return
        try:
            write(*arguments)
        except Exception as error:
            if self._on_failure is None:
                raise
            self._failed = True
            self._writer.discard()
            self._on_failure(no_video(self._writer.path, error))


def no_video(path: Path, error: Exception) -> str:
    """Return a line that says why there is no video."""
    return " ".join(f"no video {path}: {error}".split())


class _TiledFrames:
    """The newest frame of each environment; they are written when one of them has its next."""

    def __init__(self, writer: VideoWriter, num_envs: int, format: Format):
        self._writer = writer
        self._format = format
        self._tiles: dict[int, Tile] = {}
        self._episodes = [0] * num_envs
        self._updated: set[int] = set()
        self._fps = DEFAULT_FPS

    def add(self, i: int, frame: RenderedFrame) -> None:
        self._episodes[i] += frame.first
        if self._episodes[i] != 1 or not self._format.room(self._writer):
            return
        if i in self._updated:
            self.write()
        self._tiles[i] = self._format.tile(frame)
        self._updated.add(i)
        self._fps = self._format.fps or frame.fps

    def write(self) -> None:
        """Write the newest frames if one is new since the last time."""
        if self._updated and self._format.room(self._writer):
            self._writer.add_tiles([self._tiles[i] for i in sorted(self._tiles)], self._fps)
        self._updated.clear()


class EachEpisode:
    """A frame callback that writes every episode to a file of its own, named after the step at which it began.

    Frames before `attach` are ignored: they are not part of a run.
    """

    def __init__(self, folder: Path):
        """Write into `folder`."""
        self._folder = folder
        self._format = Format(max_frames=FRAMES)
        self._step: Callable[[], int] | None = None
        self._done: Callable[[Path], None] = lambda path: None
        self._failed: Callable[[str], None] = lambda line: None
        self._has_failed = False
        self._first: Tile | None = None
        self._writer: VideoWriter | None = None

    def attach(self, step: Callable[[], int], done: Callable[[Path], None], failed: Callable[[str], None]) -> None:
        """Begin to write.

        Args:
            step: returns the step of the run.
            done: called with the path of each finished video.
            failed: called with a line where one fails for the first time.
        """
        self._step = step
        self._done = done
        self._failed = failed

    def __call__(self, frame: RenderedFrame) -> None:
        """Add a frame; where that fails, there is no video of the episode."""
        if self._step is None:
            return
        try:
            self._add(frame, self._step)
        except Exception as error:
            path = self._folder if self._writer is None else self._writer.path
            self.discard()
            if not self._has_failed:
                self._failed(no_video(path, error))
            self._has_failed = True

    def _add(self, frame: RenderedFrame, step: Callable[[], int]) -> None:
        if frame.first:
            self._finish()
            self._first = self._format.tile(frame)
            return
        if self._first is not None:
            # Not earlier: the step that ends an episode and begins the next is counted after both.
            self._writer = VideoWriter(self._folder / f"episode-{step():09d}.mp4")
            self._writer.add_tiles([self._first], frame.fps)
            self._first = None
        if self._writer is not None and self._format.room(self._writer):
            self._writer.add_tiles([self._format.tile(frame)], frame.fps)

    def discard(self) -> None:
        """Discard the current episode."""
        self._first = None
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def _finish(self) -> None:
        if self._writer is not None:
            path = self._writer.close()
            self._writer = None
            self._done(path)


def frames_per_second(metadata: dict[str, Any] | None) -> int:
    """Return an environment's own frame rate, or `DEFAULT_FPS` where that is no positive number."""
    rate = (metadata or {}).get("render_fps")
    if isinstance(rate, (int, float, np.integer, np.floating)) and isfinite(rate) and rate > 0:
        return max(1, int(rate))
    return DEFAULT_FPS
