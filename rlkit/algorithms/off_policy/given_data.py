"""Data that are given: recorded episodes in the replay before an agent acts, and steps that learn from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.types import Array, Replay, StepInfo, Transition, UsageError
from rlkit.learners.datasets.demonstrations import Recorded, read_episodes
from rlkit.learners.datasets.demonstrations.rows import require_made_for


class GivenData:
    """Fills a replay with recorded episodes, and says from when on the agent's own steps are stored, too."""

    def __init__(
        self, episodes: str, steps: int | None, *, notify: Callable[[str], None], num_actions: int | None, **spaces: Any
    ):
        """Learn from `episodes`.

        Args:
            episodes: a folder that ``rlkit play record=true`` wrote, or a Minari data set; read when a run begins.
            steps: decisions for which they are all that is learned from; None: always.
            notify: is called with a line for the user.
            num_actions: A, of discrete actions; None: as the spaces say.
            spaces: `observation_space` and `action_space` of the environment, where the agent knows them.
        """
        self._episodes, self._steps, self._notify = episodes, steps, notify
        self._num_actions, self._spaces = num_actions, spaces

    def keeps(self, transition: Transition, decisions: int, replay: Replay, add: Callable[[Transition], None]) -> bool:
        """Return whether a transition of the agent's own is stored; an empty replay is filled before.

        Args:
            transition: [N, ...] of the agent.
            decisions: of the agent before.
            replay: is filled.
            add: stores a transition in it.

        Raises:
            UsageError: there are no episodes, or they are of another environment or too many for the replay.
            RunError: the recording is damaged.
        """
        if len(replay) == 0:
            self._fill(transition, replay, add)
        return self._steps is not None and decisions >= self._steps

    def _fill(self, own: Transition, replay: Replay, add: Callable[[Transition], None]) -> None:
        recorded = read_episodes(self._episodes)
        require_made_for(recorded, self._episodes, **self._spaces)
        self._require_alike(recorded, own)
        masks = None if own.next_legal_actions is None else np.ones_like(own.next_legal_actions)
        if masks is not None:
            self._notify("recordings do not say which actions were legal: where values are learned all count as legal")
        for transition in transitions(recorded, len(own.valid)):
            add(transition._replace(legal_actions=masks, next_legal_actions=masks))
        steps = len(recorded.last)
        if len(replay) < steps:
            raise UsageError(
                f"agent.episodes={self._episodes} holds {steps:,} steps, of which the replay keeps {len(replay):,}; "
                f"set replay.capacity={2 * steps} or more"
            )
        self._notify(f"learning from {steps:,} recorded steps of {len(recorded.episodes):,} episodes")

    def _require_alike(self, recorded: Recorded, own: Transition) -> None:
        """Check that steps have the shapes and dtypes of an agent's `own`, and actions that it has."""
        for name in ("observation", "action"):
            shapes = [
                [(leaf.shape[1:], leaf.dtype.kind) for leaf in tree.leaves(getattr(steps, name))]
                for steps in (recorded, own)
            ]
            if shapes[0] != shapes[1]:
                raise UsageError(
                    f"agent.episodes={self._episodes}: an {name} is {shapes[0]}, the environment's is {shapes[1]}; "
                    "choose the env= in which they were recorded"
                )
        if self._num_actions is not None and recorded.action.max() >= self._num_actions:
            raise UsageError(
                f"agent.episodes={self._episodes} has actions up to {recorded.action.max()}, the environment only "
                f"{self._num_actions}; choose the env= in which they were recorded"
            )


def transitions(recorded: Recorded, num_envs: int) -> Iterator[Transition]:
    """Yield all steps as `num_envs` environments would have made them.

    Each goes through episodes one after the other. Where one has gone through all of its own its rows are not `valid`.
    """
    following = recorded.next_observation
    rows = _lanes(recorded.starts, num_envs)
    before, reached = rows[:, 0], None
    for index in rows.T:
        goes_on = reached is not None and bool((index == before + 1).all()) and not recorded.last[before].any()
        observation = reached if goes_on else tree.take(recorded.observation, index)
        # The very object again, by which a replay recognizes what it stores anyway.
        before, reached = index, tree.take(following, index)
        yield _transition(recorded, index, observation, reached)


def _lanes(starts: Array, num_envs: int) -> Array:
    """Return the steps [N, T] int64 of each environment in order: whole episodes, about as many each; -1: none."""
    lanes: list[list[Array]] = [[] for _ in range(num_envs)]
    lengths = np.zeros(num_envs, np.int64)
    for low, high in pairwise(starts):
        shortest = int(lengths.argmin())
        lanes[shortest].append(np.arange(low, high))
        lengths[shortest] += high - low
    rows = np.full((num_envs, int(lengths.max())), -1)
    for row, lane in zip(rows, lanes, strict=True):
        row[: sum(map(len, lane))] = np.concatenate(lane) if lane else ()
    return rows


def _transition(recorded: Recorded, index: Array, observation: Any, reached: Any) -> Transition:
    """Return the steps `index` [N]; what replays store as bytes has the dtypes of an environment's."""
    action, last = recorded.action[index], recorded.last[index]
    return Transition(
        observation=observation,
        action=action.astype(np.int64) if action.ndim == 1 and action.dtype.kind in "iu" else action,
        reward=recorded.reward[index].astype(np.float32),
        discount=recorded.discount[index].astype(np.float32),
        next_observation=reached,
        last=last,
        valid=index >= 0,
        legal_actions=None,
        next_legal_actions=None,
        info=StepInfo(recorded.reward[index].astype(np.float64), last, np.zeros(len(last), bool)),
    )


def given(
    episodes: str | None,
    steps: int | None,
    *,
    recurrent: bool,
    needed: bool = False,
    num_actions: int | None = None,
    **of_run: Any,
) -> GivenData | None:
    """Return the data of the settings `agent.episodes` and `agent.offline_steps`; None: there are none.

    Raises:
        UsageError: `steps` without episodes, none where they are `needed`, or networks are `recurrent`, as nobody
            recorded what they would remember.
    """
    if episodes is None and needed:
        raise UsageError("the agent learns from recorded episodes; say where they are: agent.episodes=")
    if episodes is None:
        if steps is not None:
            raise UsageError(f"agent.offline_steps is {steps}, but there are no data; set agent.episodes, too")
        return None
    if recurrent:
        raise UsageError("agent.episodes: what a memory would hold was not recorded; leave out recurrent networks")
    return GivenData(episodes, steps, num_actions=num_actions, **of_run)
