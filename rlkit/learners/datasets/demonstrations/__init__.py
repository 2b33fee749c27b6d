"""Recorded episodes: what somebody did in an environment, kept in a folder to learn from."""

from rlkit.learners.datasets.demonstrations.folder import Demonstration, EpisodeFolder, Recorded, read_episodes

__all__ = ["Demonstration", "EpisodeFolder", "Recorded", "read_episodes"]
