"""Recorded episodes: what somebody did in an environment, kept in a folder to learn from."""

from rlkit.learners.datasets.demonstrations.folder import EpisodeFolder
from rlkit.learners.datasets.demonstrations.formats import read_episodes
from rlkit.learners.datasets.demonstrations.recorded import Demonstration, Recorded

__all__ = ["Demonstration", "EpisodeFolder", "Recorded", "read_episodes"]
