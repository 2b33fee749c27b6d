"""Films of environments: every frame, with the score, for whoever wants to write or show it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium

from rlkit.core.resources import has_display
from rlkit.core.types import Array, require_least
from rlkit.rendering.video import DEFAULT_FPS, Tile, VideoWriter
from rlkit.vector.raw_rewards import with_raw_rewards

FRAMES = 3_000
"""Frames in a video that training makes by itself: an agent that goes round in circles would fill the disk."""

Draw = Callable[[], Array]


class RenderedFrame(NamedTuple):
    """One frame of a film, drawn only if somebody wants it."""

    draw: Draw
    first: bool  # of an episode
    fps: int  # the environment's frames per second
    caption: str  # score and step


FrameCallback = Callable[[RenderedFrame], None]


@dataclass(frozen=True)
class Format:
    """How a video looks."""

    fps: int | None = None  # frames per second; None: the environment's own
    height: int | None = None  # of a frame, in pixels; None: as it is drawn
    max_frames: int | None = None  # frames at most; None: whole episodes
    captions: bool = True  # score and step below each frame

    def __post_init__(self) -> None:
        """Refuse what no video has (`UsageError`)."""
        require_least(1, "", fps=self.fps)
        require_least(2, "", height=self.height)

    def tile(self, frame: RenderedFrame) -> Tile:
        """Draw a shot."""
        return frame.draw(), frame.caption if self.captions else ""

    def room(self, writer: VideoWriter) -> bool:
        """Return whether one more frame may be written."""
        return self.max_frames is None or writer.frames < self.max_frames


AS_DRAWN = Format()


class RenderWrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Offers every frame of an environment to a sink, the last of each episode included.

    Where an episode ends with a lost life and the game goes on, so does the film: it is of whole games. The score is
    the environment's own, before any clipping or shaping.
    """

    only_watches = True

    def __init__(self, env: gymnasium.Env[Any, Any], sink: FrameCallback):
        super().__init__(with_raw_rewards(env))
        self._sink = sink
        self._fps = frames_per_second(env.metadata)
        self._goes_on = False
        self._score, self._steps = 0.0, 0

    def reset(self, **kwargs: Any) -> Any:
        """Reset, and offer the first frame of a new game."""
        result = self.env.reset(**kwargs)
        if not self._goes_on or kwargs.get("seed") is not None:
            self._score, self._steps = 0.0, 0
            self._offer(True)
        self._goes_on = False
        return result

    def step(self, action: Any) -> Any:
        """Step, and offer the frame."""
        result = self.env.step(action)
        self._goes_on = bool(result[2] or result[3]) and not result[4].get("game_over", True)
        self._score, self._steps = self._score + float(result[4].get("raw_reward", result[1])), self._steps + 1
        self._offer(False)
        return result

    def _offer(self, first: bool) -> None:
        caption = f"return {self._score:.6g}   step {self._steps}"
        self._sink(RenderedFrame(self._render, first, self._fps, caption))

    def _render(self) -> Array:
        with headless():
            return self.env.render()  # type: ignore[return-value]


@contextmanager
def headless() -> Iterator[None]:
    """Let SDL, with which many environments draw, not look for a display or a sound card where there is no display.

    Only for as long as a frame is drawn: a window that a person plays in later looks for its own.
    """
    wanted = {} if has_display() else {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy"}
    # SDL would take SIGTERM for a closed window, of which nobody is told.
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
    """Give a sink that writes the first episode it sees to `path`; verified at the end, discarded on an error."""
    with side_by_side(path, 1, format) as [sink]:
        yield sink


@contextmanager
def side_by_side(path: Path, num_envs: int, format: Format = AS_DRAWN) -> Iterator[list[FrameCallback]]:
    """Give a sink for each of `num_envs` environments; the first episodes of all are one video, as in `first_episode`.

    Whichever ends early stays as it ended. The environments are stepped in turn, all of them reset before that.
    """
    writer = VideoWriter(path, format.height)
    wall = _Wall(writer, num_envs, format)
    try:
        yield [partial(wall.take, i) for i in range(num_envs)]
        wall.write()
    except BaseException:
        writer.discard()
        raise
    writer.close()


class _Wall:
    """The newest frame of each environment; a round is over when one of them brings its next."""

    def __init__(self, writer: VideoWriter, num_envs: int, format: Format):
        self._writer, self._format = writer, format
        self._tiles: dict[int, Tile] = {}
        self._episodes = [0] * num_envs
        self._brought: set[int] = set()
        self._fps = DEFAULT_FPS

    def take(self, i: int, frame: RenderedFrame) -> None:
        self._episodes[i] += frame.first
        if self._episodes[i] != 1 or not self._format.room(self._writer):
            return
        if i in self._brought:
            self.write()
        self._tiles[i] = self._format.tile(frame)
        self._brought.add(i)
        self._fps = self._format.fps or frame.fps

    def write(self) -> None:
        """Write what was brought since the last time."""
        if self._brought and self._format.room(self._writer):
            self._writer.add_tiles([self._tiles[i] for i in sorted(self._tiles)], self._fps)
        self._brought.clear()


class EachEpisode:
    """A sink that writes every episode to a file of its own, named after the step at which it began.

    What it is shown before it is attached is not part of a run.
    """

    def __init__(self, folder: Path):
        """Write into `folder`."""
        self._folder = folder
        self._format = Format(max_frames=FRAMES)
        self._step: Callable[[], int] | None = None
        self._done: Callable[[Path], None] = lambda path: None
        self._first: Tile | None = None
        self._writer: VideoWriter | None = None

    def attach(self, step: Callable[[], int], done: Callable[[Path], None]) -> None:
        """Let `step` tell the step of the run, and tell `done` of each finished video."""
        self._step, self._done = step, done

    def __call__(self, frame: RenderedFrame) -> None:
        """Take a frame."""
        if self._step is None:
            return
        if frame.first:
            self._finish()
            self._first = self._format.tile(frame)
            return
        if self._first is not None:
            # Not before: the step that ends an episode and begins the next is counted when it is over.
            self._writer = VideoWriter(self._folder / f"episode-{self._step():09d}.mp4")
            self._writer.add_tiles([self._first], frame.fps)
            self._first = None
        if self._writer is not None and self._format.room(self._writer):
            self._writer.add_tiles([self._format.tile(frame)], frame.fps)

    def discard(self) -> None:
        """Drop the episode under way."""
        self._first = None
        if self._writer is not None:
            self._writer.discard()
            self._writer = None

    def _finish(self) -> None:
        if self._writer is not None:
            done, self._writer = self._writer, None
            self._done(done.close())


def frames_per_second(metadata: dict[str, Any] | None) -> int:
    """Return an environment's own frame rate, or `DEFAULT_FPS`."""
    return int((metadata or {}).get("render_fps") or DEFAULT_FPS)
