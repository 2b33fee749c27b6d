"""Experience replay, in which every observation, and every frame of a stack, is stored once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlkit.core.lazy import lazy

if TYPE_CHECKING:
    from rlkit.replay.hindsight import HindsightReplay
    from rlkit.replay.prioritized import PrioritizedReplay
    from rlkit.replay.sequences import SequenceReplay
    from rlkit.replay.uniform import UniformReplay

__all__ = ["HindsightReplay", "PrioritizedReplay", "SequenceReplay", "UniformReplay"]

__getattr__ = lazy(
    __name__,
    {
        "hindsight": ("HindsightReplay",),
        "prioritized": ("PrioritizedReplay",),
        "sequences": ("SequenceReplay",),
        "uniform": ("UniformReplay",),
    },
)
