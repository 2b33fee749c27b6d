"""What an expert did, to be told from what others do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.types import Array, Tree, UsageError
from rlkit.learners.datasets.demonstrations import Recorded, read_episodes
from rlkit.learners.datasets.demonstrations.rows import require_made_for

ANY_LENGTH = "take an environment of fixed length, or set agent.any_length=true if its length may tell"


class ExpertSteps:
    """The steps of recorded episodes, drawn at random; read when the first are asked for."""

    def __init__(self, path: str, *, any_length: bool, notify: Callable[[str], None], **spaces: Any):
        """Draw from the episodes at `path`, a folder or a Minari data set.

        Args:
            path: of the setting `agent.episodes`.
            any_length: episodes may have ends and lengths of their own.
            notify: is called with a line for the user.
            spaces: `observation_space` and `action_space` of the environment.
        """
        self._path, self._any_length, self._notify, self._spaces = path, any_length, notify, spaces
        self._recorded: Recorded | None = None

    @property
    def recorded(self) -> Recorded:
        """All steps.

        Raises:
            UsageError: there are none, they are of another environment, or their lengths give reward away.
            RunError: the recording is damaged.
        """
        if self._recorded is None:
            recorded = read_episodes(self._path)
            require_made_for(recorded, self._path, **self._spaces)
            if not self._any_length:
                require_one_length(recorded, self._path)
            steps, episodes = len(recorded.last), len(recorded.episodes)
            self._notify(f"imitating {steps:,} recorded steps of {episodes:,} episodes")
            self._recorded = recorded
        return self._recorded

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Tree, Array]:
        """Return the observations [B, ...] and actions [B] or [B, ...] of `count` steps, drawn with replacement."""
        index = rng.integers(0, len(self.recorded.last), count)
        return tree.take(self.recorded.observation, index), self.recorded.action[index]


def require_one_length(recorded: Recorded, path: str) -> None:
    """Check that no episode is longer than another, and that none ended by itself.

    A reward that is never negative makes long episodes good, and one that is never positive short ones, whatever the
    expert did (Kostrikov et al., 2019).

    Raises:
        UsageError: they differ, or one ended.
    """
    lengths = {high - low for low, high in pairwise(recorded.starts.tolist())}
    if len(lengths) > 1:
        raise UsageError(
            f"agent.episodes={path}: episodes have {min(lengths)} to {max(lengths)} steps, and a length gives reward "
            f"away; {ANY_LENGTH}"
        )
    if not recorded.discount[recorded.last].all():
        raise UsageError(f"agent.episodes={path}: episodes end by themselves, which gives reward away; {ANY_LENGTH}")
