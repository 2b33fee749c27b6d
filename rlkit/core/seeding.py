"""Random streams keyed by name, so that adding one does not change the others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Seeds:
    """All randomness of a run: one `numpy.random.SeedSequence`, spawned by the hash of a name.

    Attributes:
        seed: the run's seed, a non-negative integer.
        rank: of the process, where several train together; each has streams of its own, and the first those of a run
            that is alone.
    """

    seed: int
    rank: int = 0

    @property
    def common(self) -> Seeds:
        """Those of the first rank, which are the same in every process."""
        return Seeds(self.seed)

    def sequence(self, name: str, *numbers: int) -> np.random.SeedSequence:
        """Return the seed sequence of `name`, and of `numbers` (a step, an episode) if there are any."""
        name = f"{name} of rank {self.rank}" if self.rank else name
        digest = hashlib.sha256(name.encode()).digest()
        words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
        return np.random.SeedSequence(self.seed, spawn_key=(*words, *numbers))

    def generator(self, name: str, *numbers: int) -> np.random.Generator:
        """Return a fresh generator for `name`; the same arguments give the same stream."""
        return np.random.Generator(np.random.PCG64(self.sequence(name, *numbers)))

    def integers(self, name: str, *numbers: int, size: int) -> list[int]:
        """Return `size` seeds below 2**31, for simulators that take an integer."""
        return [int(word >> 1) for word in self.sequence(name, *numbers).generate_state(size)]

    def number(self, name: str) -> int:
        """Return one seed below 2**31, as scikit-learn's `random_state`."""
        return self.integers(name, size=1)[0]

    def torch_generator(self, name: str, device: str = "cpu") -> torch.Generator:
        """Return a fresh `torch.Generator` for `name` on `device`."""
        import torch

        return torch.Generator(device=device).manual_seed(self.integers(name, size=1)[0])
