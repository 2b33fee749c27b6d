"""One Atari game in Python, frame for frame what ale-py's vector environment plays in C++."""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium
import numpy as np
from ale_py import roms
from gymnasium import spaces

from rlkit.core.types import Array, State, UsageError

FRAMES_PER_SECOND = 60
ZOOM = 2
"""A screen of 210x160 is small for a video."""


class AtariGame(gymnasium.Env[Array, int]):
    """An emulator, stepped by decisions, that shows the brighter of the last two frames of each, or the last.

    Observations are [height, width] uint8, or [height, width, 3] in color, of the screen's own size. As in ale-py's
    C++ and Gymnasium's `AtariPreprocessing`, a decision in which the game ends shows the last frame before.

    Sources, in ale-py's C++: ``PreprocessedEnv::reset`` presses FIRE for one frame and draws the number of frames
    without an action; ``StellaEnvironment::act`` draws for each of two players whether the action that is held stays.
    Both draw from a Mersenne twister of their own, and NumPy's draws the same from the same seed. The emulator's own
    sticky actions are not used, for a copy of its state does not hold the action that is held. Two games differ where
    actions are sticky: the emulator draws while it walks through the menus of Berzerk and DoubleDunk at a start.
    """

    def __init__(
        self,
        rom: str,
        *,
        frame_skip: int,
        sticky: float,
        noop_max: int,
        fire_reset: bool,
        grey: bool,
        grey_by: str,
        pool: int,
        full_action_space: bool,
        max_frames: int,
        render_mode: str | None = None,
    ):
        """Load a ROM; the options are those of `rlkit.envs.atari.make`.

        Raises:
            UsageError: `render_mode` is neither None nor ``rgb_array``.
        """
        if render_mode not in (None, "rgb_array"):
            raise UsageError(f"Atari draws render_mode=rgb_array, not {render_mode}")
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": max(1, round(FRAMES_PER_SECOND / frame_skip))}
        self.render_mode = render_mode
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale = ale_py.ALEInterface()
        self._ale.setFloat("repeat_action_probability", 0.0)
        path = roms.get_rom_path(rom)
        assert path is not None, f"{rom} is no ROM"
        self._ale.loadROM(path)
        self._new = self._ale.cloneState(include_rng=False)
        self._actions = self._ale.getLegalActionSet() if full_action_space else self._ale.getMinimalActionSet()
        self._skip = frame_skip
        self._noop_max = noop_max
        self._max_frames = max_frames
        self._fire = fire_reset and ale_py.Action.FIRE in self._actions
        grey_drawn = self._draw_mean if grey_by == "mean" else self._ale.getScreenGrayscale
        self._draw = grey_drawn if grey else self._ale.getScreenRGB
        self._pool = pool
        # A draw of 32 bits below this keeps what is held; the emulator has the probability in single precision.
        self._keeps = float(np.float32(sticky)) * 2**32
        self._sticks = mersenne_twister(0)
        self._held = ale_py.Action.NOOP
        self._frames = 0
        shape = self._ale.getScreenDims() if grey else (*self._ale.getScreenDims(), 3)
        self._screens = np.zeros((2, *shape), np.uint8)
        self._before = np.zeros((*self._ale.getScreenDims(), 3), np.uint8)
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.action_space: Any = spaces.Discrete(len(self._actions))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start a game and return its first observation, [H, W] or [H, W, 3] uint8.

        With `seed` (below 2**31) it is like that of a new environment.
        """
        if seed is not None or self._np_random is None:
            self._seed(int(np.random.SeedSequence().generate_state(1)[0] >> 1) if seed is None else seed)
        self._begin()
        if self._fire:
            self._act(ale_py.Action.FIRE)
        for _ in range(int(self.np_random.integers(self._noop_max + 1)) - self._fire):
            self._act(ale_py.Action.NOOP)
            if self._ale.game_over():
                self._begin()
        self._frames = 0
        self._screens[1] = self._before[:] = 0
        self._draw(self._screens[0])
        return self._screens[0].copy(), self._info()

    def step(self, action: int) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Hold an action for `frame_skip` frames, or until the game ends; the reward is the score that it made.

        The observation is [H, W] or [H, W, 3] uint8.
        """
        pressed, reward = self._actions[action], 0
        self._before[:] = 0
        for left in range(self._skip, 0, -1):
            reward += self._act(pressed)
            self._frames += 1
            over, late = self._ale.game_over(), self._frames >= self._max_frames
            if over or late:
                break
            if left <= self._pool:
                self._draw(self._screens[left - 1])
            if left == self._pool == 2 and self.render_mode is not None:
                self._ale.getScreenRGB(self._before)
        np.maximum(self._screens[0], self._screens[1], out=self._screens[0])
        return self._screens[0].copy(), float(reward), over, late and not over, self._info()

    def render(self) -> Array:
        """Return the screen in color, [420, 320, 3] uint8 in most games.

        Like an observation that pools, it is the brighter of the last two frames: some games draw a sprite in every
        other one.
        """
        screen = np.maximum(self._before, self._ale.getScreenRGB())
        return screen.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)

    def get_action_meanings(self) -> list[str]:
        """Return what each action presses: ``NOOP``, ``FIRE``, ``UPLEFT``, …"""
        return [action.name for action in self._actions]

    def get_state(self) -> State:
        """Return the emulator, the action that is held, and the frames of the next observation."""
        return {
            "emulator": np.frombuffer(self._ale.cloneState(include_rng=False).serialize(), np.uint8),
            "screens": self._screens.copy(),
            "frames": self._frames,
            "held": self._held.value,
            "sticks": self._sticks.state["state"],
        }

    def set_state(self, state: State) -> None:
        """Restore a state from `get_state`."""
        self._ale.restoreState(ale_py.ALEState(np.asarray(state["emulator"], np.uint8).tobytes()))
        self._screens[:], self._before[:] = state["screens"], 0
        self._frames = state["frames"]
        self._held = ale_py.Action(state["held"])
        self._sticks.state = {"bit_generator": "MT19937", "state": state["sticks"]}

    def _draw_mean(self, screen: Array) -> None:
        """Draw the mean of the channels, rounded down."""
        screen[:] = self._ale.getScreenRGB().sum(axis=2, dtype=np.uint16) // 3

    def _begin(self) -> None:
        self._ale.reset_game()
        self._held = ale_py.Action.NOOP

    def _act(self, pressed: ale_py.Action) -> int:
        """Emulate a frame and return what it scored."""
        if self._sticks.random_raw() >= self._keeps:
            self._held = pressed
        self._sticks.random_raw()  # the second player's
        return self._ale.act(self._held)

    def _seed(self, seed: int) -> None:
        # As good as loading the ROM again, which takes a fifth of a second; a reset alone leaves traces in some games.
        self._ale.restoreState(self._new)
        self._sticks = mersenne_twister(seed)
        self._np_random, self._np_random_seed = np.random.Generator(mersenne_twister(seed)), seed

    def _info(self) -> dict[str, Any]:
        return {"lives": self._ale.lives(), "frames": self._frames}


def mersenne_twister(seed: int) -> np.random.MT19937:
    """Return the generator that C++ calls ``std::mt19937(seed)``; NumPy's own seeding is another.

    Source: Matsumoto and Nishimura, mt19937ar.c, ``init_genrand``.
    """
    key = [seed & 0xFFFFFFFF]
    for i in range(1, 624):
        key.append((1812433253 * (key[-1] ^ (key[-1] >> 30)) + i) & 0xFFFFFFFF)
    generator = np.random.MT19937()
    generator.state = {"bit_generator": "MT19937", "state": {"key": np.array(key, np.uint32), "pos": 624}}
    return generator
