"""A person at the keyboard, as the agent of an environment whose frames are shown in a window.

`gymnasium.utils.play` was looked at and left: it seeds every episode alike, counts no scores, and chooses a drawing
backend for the whole process. Its convention is kept: an environment can say its own keys by ``get_keys_to_action()``.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv

from rlkit.config.run_config import EnvironmentConfig
from rlkit.core.evaluation import evaluate
from rlkit.core.resources import has_display
from rlkit.core.seeding import Seeds
from rlkit.core.types import Array, Environment, Memory, TimeStep, UsageError
from rlkit.play.demonstrate import Discarded
from rlkit.play.keyboard import REPEAT, WAIT, KeyBindings, keys_for
from rlkit.rendering.frames import check_frame
from rlkit.rendering.render_wrapper import RenderedFrame
from rlkit.rendering.video import DEFAULT_FPS
from rlkit.runs import build
from rlkit.runs.run import Run

HEIGHT = 480
"""Frames are enlarged by the whole factor that brings them nearest to this height."""

UNSEEN = ("dummy", "offscreen", "evdev")
"""SDL's drivers that show nothing."""

PAUSE = 0.8
"""Seconds for which the last frame of an episode stays."""

CONTROLS = {"space": "space pauses", "return": "Enter discards the episode and starts again"}
"""KeyBindings of games that do not wait for one, where they mean nothing in the game."""


def play_in_window(run: Run, episodes: int, seed: int, fps: int | None) -> list[float]:
    """Let a person play the environment of `run`, print the score of each episode, and return them.

    Args:
        run: whose environment is played; its episodes are those of ``rlkit play`` with the same seed.
        episodes: how many; closing the window or Esc ends earlier.
        seed: of the episodes.
        fps: steps per second where the game does not wait for a key; None: the environment's own.

    Raises:
        UsageError: there is no display, or nobody can say which keys to press.
    """
    scores = []
    with at_the_keys(run.config.environment, run.name, fps) as (person, env):
        for number, episode_seed in enumerate(Seeds(seed).integers("play", size=episodes), 1):
            score, length = _play_episode(person, env, episode_seed, Seeds(seed).generator("person"))
            print(f"episode {number}: return {score:g} in {length} steps", flush=True)
            scores.append(score)
    if evaluations := [mean for _, mean in run.evaluation_means()]:
        print(f"the agent's best evaluation: return {max(evaluations):g}")
    return scores


@contextmanager
def at_the_keys(config: EnvironmentConfig, title: str, fps: int | None) -> Iterator[tuple[Person, Environment]]:
    """Yield a person at the keys of an environment, and the environment; a closed window ends it.

    Raises:
        UsageError: as `play_in_window`.
    """
    keys = _keys(config)
    window = Window(f"{title}: {keys}", fps, controls_beside(keys))
    print(f"{keys}; {', '.join(['Esc ends', *(CONTROLS[name] for name in CONTROLS if name in window.controls)])}")
    env = build.make_environment(config.for_evaluation(), num_envs=1, frame_callbacks=[window.show])
    try:
        yield Person(window, keys), env
    except Closed:
        print("closed", flush=True)
    finally:
        env.close()
        window.close()


def _play_episode(person: Person, env: Environment, seed: int, rng: np.random.Generator) -> tuple[float, int]:
    """Return return and length of an episode, begun again as often as the person wants."""
    while True:
        try:
            [episode] = evaluate(person, env, episodes=1, max_steps=sys.maxsize, rng=rng, episode_seeds=[seed])
            return episode.return_raw, episode.length
        except Discarded:
            continue


class Closed(Exception):  # noqa: N818 - not an error: the person has had enough
    """The window was closed, or Esc was pressed; in a terminal, the person typed quit."""


class Window:
    """Shows frames and passes on what is pressed."""

    def __init__(self, title: str, fps: int | None = None, controls: frozenset[str] = frozenset()):
        """Find a screen; open with the first frame.

        Args:
            title: of the window.
            fps: frames per second instead of the environment's own; None: its own.
            controls: those of `CONTROLS` that work.

        Raises:
            UsageError: there is no display, or no pygame.
        """
        if not has_display() and "SDL_VIDEODRIVER" not in os.environ:
            raise UsageError(
                "human=true needs a screen, and neither DISPLAY nor WAYLAND_DISPLAY is set: run it on a desktop, "
                "or leave human=true out to record a video"
            )
        try:
            import pygame
        except ImportError as error:
            raise UsageError('human=true needs pygame: pip install "gymnasium[classic-control]"') from error
        self._pygame = pygame
        _find_screen(pygame)
        self._title = title
        self._fps = fps
        self._own_fps = DEFAULT_FPS
        self._screen: Any = None
        self._clock = pygame.time.Clock()
        self._presses: deque[str | tuple[float, float]] = deque()
        self._held: list[str] = []
        self._closed = self._paused = self._discarded = False
        self.controls = controls
        self.at_start = True

    def show(self, frame: RenderedFrame) -> None:
        """Show a frame, the score in the title; an episode's last one stays for a moment before the next begins."""
        if frame.first and not self.at_start:
            self._rest(PAUSE)
        self.at_start, self._own_fps = frame.first, frame.fps
        pixels = check_frame(frame.draw())
        zoom = max(1, round(HEIGHT / pixels.shape[0]))
        size = (pixels.shape[1] * zoom, pixels.shape[0] * zoom)
        if self._screen is None:
            self._open(size)
        surface = self._pygame.surfarray.make_surface(pixels.swapaxes(0, 1))
        self._screen.blit(self._pygame.transform.scale(surface, size), (0, 0))
        self.say(frame.caption)
        self._pygame.display.flip()

    def say(self, caption: str) -> None:
        """Write to the window's title, before its own."""
        self._pygame.display.set_caption(f"{caption}   {self._title}")

    def _open(self, size: tuple[int, int]) -> None:
        self._screen = self._pygame.display.set_mode(size)
        self._pygame.key.set_repeat(400, 120)

    def tick(self) -> None:
        """Wait until the next step is due."""
        self._clock.tick(self._fps or self._own_fps)

    def wait_for(self, wanted: KeyBindings) -> str:
        """Return the next key pressed that is one of `wanted`."""
        while True:
            pressed = self.press()
            if isinstance(pressed, str) and pressed in wanted.names:
                return pressed

    def press(self) -> str | tuple[float, float]:
        """Return the next key pressed, or where the mouse was: (row, column), each from 0 to 1."""
        while True:
            self._presence()
            if self._presses:
                return self._presses.popleft()
            self._clock.tick(60)

    def held(self) -> frozenset[str]:
        """Return the keys that are down now."""
        self._presence()
        self._presses.clear()
        return frozenset(self._held)

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()

    def _presence(self) -> None:
        self._read()
        while self._paused and not (self._closed or self._discarded):
            self._clock.tick(60)
            self._read()
        if self._closed:
            raise Closed
        if self._discarded:
            self._discarded = self._paused = False
            self._held = []
            raise Discarded

    def _rest(self, seconds: float) -> None:
        until = self._pygame.time.get_ticks() + 1000 * seconds
        while self._pygame.time.get_ticks() < until:
            self._read()
            self._clock.tick(60)

    def _read(self) -> None:
        pygame = self._pygame
        for event in pygame.event.get():
            if event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE):
                # Raised where an action is asked for: what the environment is doing now ends in order.
                self._closed = True
            elif event.type == pygame.KEYDOWN and (name := pygame.key.name(event.key)) in self.controls:
                self._paused ^= name == "space"
                self._discarded |= name == "return"
            elif event.type == pygame.KEYDOWN:
                name = pygame.key.name(event.key)
                self._presses.append(name)
                self._held = [*(other for other in self._held if other != name), name]
            elif event.type == pygame.MOUSEBUTTONDOWN:
                (x, y), (width, height) = event.pos, self._screen.get_size()
                self._presses.append((y / height, x / width))
            elif event.type == pygame.KEYUP:
                self._held = [other for other in self._held if other != pygame.key.name(event.key)]


def _find_screen(pygame: Any) -> None:
    # Films made before in this process may have left a display that is none.
    pygame.display.quit()
    try:
        # Without a screen to be had, SDL draws to none and says nothing.
        pygame.display.init()
        if pygame.display.get_driver() in UNSEEN and "SDL_VIDEODRIVER" not in os.environ:
            raise pygame.error("SDL found no screen")
    except pygame.error as error:
        raise UsageError(
            f"no window can be opened: {error}; check DISPLAY, or leave human=true out to record a video"
        ) from error


class Person:
    """A person's actions."""

    def __init__(self, window: Window, keys: KeyBindings):
        """Take the actions that `keys` says for what is pressed in `window`."""
        self._window = window
        self._keys = keys
        self._last: Any = None

    def initial_memory(self, n: int) -> Memory:
        """Return nothing."""
        return ()

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Return the action [1] or [1, ...] of the keys that are pressed."""
        self._last = self._action()
        return np.array([self._last]), memory

    def _action(self) -> Any:
        # A game that does not wait begins with the first key, when the person is ready.
        if self._keys.idle is WAIT or self._window.at_start:
            return self._keys.action(frozenset([self._window.wait_for(self._keys)]))
        self._window.tick()
        action = self._keys.action(self._window.held())
        if action is not None:
            return action
        return self._last if self._keys.idle is REPEAT else self._keys.idle


def controls_beside(keys: KeyBindings) -> frozenset[str]:
    """Return the keys of `CONTROLS` that a game leaves free; none where it waits for keys anyway."""
    return frozenset() if keys.idle is WAIT else frozenset(CONTROLS) - keys.names


def _keys(config: EnvironmentConfig) -> KeyBindings:
    """Return the keys of a run's environment, from one that is made only to be asked."""
    env = build.make_single(config.in_process(), render_mode="rgb_array")
    try:
        if isinstance(env, VectorEnv) or not isinstance(env, gymnasium.Env):
            raise UsageError("a native vector environment cannot be played; leave human=true out to record a video")
        return keys_for(env)
    finally:
        env.close()
