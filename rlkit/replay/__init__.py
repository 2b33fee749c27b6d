"""Experience replay, in which every observation, and every frame of a stack, is stored once."""

from rlkit.replay.prioritized import PrioritizedReplay
from rlkit.replay.uniform import UniformReplay

__all__ = ["PrioritizedReplay", "UniformReplay"]
