"""The policy of another run, for agents that predict its values."""

from __future__ import annotations

from typing import Any

from rlkit.config.trust import Trust
from rlkit.core.evaluation import with_epsilon
from rlkit.core.ranges import Probability
from rlkit.core.types import Actor, FromRun
from rlkit.runs.run import Run


def of_run(run: str, checkpoint: str, epsilon: Probability, action_space: FromRun[Any], trust: FromRun[Trust]) -> Actor:
    """Return what the agent of a run folder does in evaluations, with a share `epsilon` of uniformly drawn actions.

    Raises:
        UsageError: there is no such run or checkpoint.
    """
    return with_epsilon(Run(run, trust).load_agent(checkpoint), action_space, epsilon)
