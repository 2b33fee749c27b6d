"""Experience replay: every observation, and every frame of a stack of them, lies in memory once."""

from rlkit.replay.prioritized import PrioritizedReplay
from rlkit.replay.uniform import UniformReplay

__all__ = ["PrioritizedReplay", "UniformReplay"]
