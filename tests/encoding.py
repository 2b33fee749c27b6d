"""Pictures that an encoder can be fitted to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

FIT = "learner=cnn network@learner.torso=small learner.scale=255 learner.n_epochs=2 data=npz logger=[csv] plots=false"
"""Words of ``rlkit fit``, for `frames`."""


def frames(path: Path, shape: tuple[int, int] = (20, 20), top: int = 255) -> Path:
    """Write pictures of two classes, bright above or below, and return the file."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, top // 2, (24, *shape))
    X[::2, : shape[0] // 2] += top // 2
    X[1::2, shape[0] // 2 :] += top // 2
    X[0, 0, 0] = top
    np.savez(path, X=X.astype(np.float32), y=np.arange(24) % 2)
    return path
