"""Noise of exploration that is held for several steps, as part of an agent's memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rlkit.core.types import Array, Memory


class HeldNoise:
    """Draws noise for N environments, and draws it again where it was held for so many steps, or an episode began."""

    def __init__(self, draw: Callable[[int, np.random.Generator], Array], steps: int | None):
        """Hold what `draw` returns, [N, ...] float32 for N and a generator, for `steps`; None: for whole episodes."""
        self._draw = draw
        self._steps = steps

    def initial(self, n: int) -> dict[str, Array]:
        """Return what memories of `n` environments have of it where episodes begin: columns [n, ...], if it is held."""
        if self._steps == 1:
            return {}
        nothing = np.zeros_like(self._draw(n, np.random.default_rng(0)))
        return {"noise": nothing, "age": np.zeros(n, np.int64)}

    def next(self, memory: Memory, n: int, rng: np.random.Generator) -> tuple[Array, Memory]:
        """Return the noise [N, ...] of a step for N environments and the memory after it."""
        if self._steps == 1:
            return self._draw(n, rng), memory
        noise, age = memory["noise"], memory["age"]
        renewed = age == 0
        if renewed.any():
            noise = np.where(renewed.reshape(-1, *[1] * (noise.ndim - 1)), self._draw(n, rng), noise)
        age = age + 1
        return noise, {**memory, "noise": noise, "age": age if self._steps is None else age % self._steps}
