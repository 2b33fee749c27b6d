"""The training of one rank: what it does at the same steps as all others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from rlkit.config.run_config import TrainRunConfig
from rlkit.core import tree
from rlkit.core.checkpoint import CheckpointError
from rlkit.core.ranks import RankedAgent, Ranks
from rlkit.core.types import RunError, State
from rlkit.runs.callbacks import Callbacks, Hook, P, notify
from rlkit.runs.evaluations import EvaluationError
from rlkit.runs.training import Training, may_resume


class RankedTraining(Training):
    """Trains with the other ranks: all take their steps, updates, checkpoints and the end at the same steps.

    The first rank evaluates, and its callbacks listen; the others wait then. Each rank writes a checkpoint of its own,
    the first one last.
    """

    def __init__(self, config: TrainRunConfig, directory: Path, videos: Path, *, ranks: Ranks, **parts: Any):
        """Prepare to train with `ranks`; arguments and errors are those of `Training`.

        Raises:
            RunError: the ranks begin with different weights.
        """
        super().__init__(config, directory, videos, ranks=ranks, **parts)
        self._ranks = ranks
        self._held: str | None = None
        self._ending = False
        self._signaled: Callable[[], str | None] = lambda: None
        cast(RankedAgent, self._agent).join_ranks(ranks)
        self._meet()

    def _meet(self) -> None:
        """Wait for all, and check that they have the same weights.

        Raises:
            RunError: they do not.
        """
        digests = self._ranks.gather(_digest(self._agent.state_dict()["network"]))
        if len(set(digests)) > 1:
            raise RunError(
                "the weights of the processes of this run differ, which they may not: they need the same versions of "
                "everything, the same kind of processor, and an agent whose updates do not depend on the process"
            )

    def run(self, interrupted: Callable[[], str | None]) -> None:
        """Train until `total_steps` or until a rank has a reason to stop, of which all know at the same step."""
        self._signaled = interrupted
        self._ranks.listen(interrupted)
        super().run(self._asked)

    def _asked(self) -> str | None:
        return (self._signaled() or "SIGTERM") if self._ending or self._ranks.stop_asked() else None

    def wait(self) -> None:
        """Wait until all ranks have come to the end of the run."""
        if not self.stuck:
            self._ranks.all(True)

    def _notify(self, callbacks: Callbacks, hook: Hook[P], *arguments: P.args, **keywords: P.kwargs) -> None:
        """Call a hook of each; a reason to stop is kept until the others hear of it."""
        self._held = notify(callbacks, hook, *arguments, **keywords) or self._held

    def _reason_to_stop(self) -> str | None:
        """Return the first reason that a rank has, and hear whether one was signaled."""
        own, self._held = (self._held, self._signaled() is not None), None
        reasons = self._ranks.gather(own)
        self._ending = self._ending or any(signaled for _, signaled in reasons)
        return self.stopped or next((reason for reason, _ in reasons if reason is not None), None)

    def _evaluates(self, before: int, interrupted: Callable[[], str | None]) -> bool:
        """Let the first rank evaluate, and return whether it was not interrupted."""
        failed: EvaluationError | None = None
        evaluated = True
        if self._ranks.rank == 0:
            try:
                evaluated = self._evaluate(self._signaled)
            except EvaluationError as error:
                failed = error
        own = (evaluated, failed is not None, self.stopped, self.interrupted)
        evaluated, fails, self.stopped, self.interrupted = self._ranks.gather(own)[0]
        if fails:
            self._save_unfinished(before)
            raise failed or RunError("the first process could not evaluate")
        return evaluated

    def _evaluate_at_end(self, interrupted: Callable[[], str | None]) -> None:
        if self._ranks.rank == 0:
            super()._evaluate_at_end(self._signaled)

    def _save(self, *, resumable: bool) -> None:
        """Write a checkpoint: where the first rank's is there, those of all others are."""
        if self._ranks.rank:
            super()._save(resumable=resumable)
        self._meet()
        if not self._ranks.rank:
            super()._save(resumable=resumable)

    def _has_checkpoints(self) -> bool:
        begun = self._ranks.all(super()._has_checkpoints())
        if not begun:
            self._store.drop_after(-1)
        return begun

    def _newest(self, *, segments: bool) -> tuple[int, State]:
        """Return the newest checkpoint that every rank can resume from.

        Raises:
            CheckpointError: there is none.
        """
        known = map(set, self._ranks.gather(self._usable(segments=segments)))
        if not (shared := set.intersection(*known)):
            raise CheckpointError(f"no checkpoint in {self._store.directory} is whole in all processes; start again")
        return max(shared), self._store.load(max(shared), segments=segments)

    def _usable(self, *, segments: bool) -> list[int]:
        found = []
        for step in self._store.steps():
            try:
                if may_resume(self._store.load(step, segments=segments)):
                    found.append(step)
            except CheckpointError as error:
                self.say(str(error))
        return found


def _digest(weights: Any) -> str:
    found = hashlib.sha256()
    for leaf in tree.leaves(weights):
        found.update(np.ascontiguousarray(leaf).tobytes())
    return found.hexdigest()
