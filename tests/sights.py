"""Environments with an image and a vector, of which one says what to do and the other is noise."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

SIDE = 20
STEPS = 16
IMAGE = spaces.Box(0, 255, (SIDE, SIDE, 1), np.uint8)
VECTOR = spaces.Box(-1, 1, (4,), np.float32)


class Sights(gymnasium.Env[Any, Any]):
    """Each step shows a cue, of which the right action is the kind; the return of an episode is from 0 to `STEPS`.

    In an image the cue is a bar in the noise that lies (0) or stands (1); in a vector, the sign of the first number.
    """

    state_fields = ("_kind", "_count")
    action_space: spaces.Space[Any] = spaces.Discrete(2)

    def __init__(self, cue: str, alone: bool = False, render_mode: str | None = None):
        """Put the cue into the ``image`` or the ``vector``; `alone` shows nothing but the part with the cue."""
        self.render_mode = render_mode
        self._cue = cue
        self._alone = alone
        parts = {"image": IMAGE, "vector": VECTOR}
        self.observation_space = parts[cue] if alone else spaces.Dict(parts)
        self._kind = 0
        self._count = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._count = 0
        return self._shown(), {}

    def step(self, action: Any) -> Any:
        reward = float(action == self._kind)
        self._count += 1
        return self._shown(), reward, False, self._count == STEPS, {}

    def _shown(self) -> Any:
        self._kind = int(self.np_random.integers(2))
        parts = {"image": self._image, "vector": self._vector}
        if self._alone:
            return parts[self._cue](self._kind)
        return {name: part(self._kind if name == self._cue else None) for name, part in parts.items()}

    def _image(self, kind: int | None) -> Any:
        if kind is None:
            return self.np_random.integers(0, 256, IMAGE.shape, np.uint8)
        image = self.np_random.integers(0, 128, IMAGE.shape, np.uint8)
        along, across = self.np_random.integers(0, (SIDE - 8, SIDE - 2))
        bar = image if kind else image.swapaxes(0, 1)
        bar[along : along + 8, across : across + 2] = 255
        return image

    def _vector(self, kind: int | None) -> Any:
        numbers = self.np_random.uniform(-1, 1, 4).astype(np.float32)
        if kind is not None:
            numbers[0] = abs(numbers[0]) * (1 if kind else -1)
        return numbers


class Steered(Sights):
    """`Sights` with one number as action, whose sign counts."""

    def __init__(self, cue: str, alone: bool = False, render_mode: str | None = None):
        super().__init__(cue, alone, render_mode)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)

    def step(self, action: Any) -> Any:
        return super().step(int(action[0] > 0))
