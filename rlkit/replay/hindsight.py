"""Hindsight experience replay (Andrychowicz et al., 2017): one learns as if what was reached had been wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from rlkit.core import tree
from rlkit.core.ranges import NonNegativeInt, PositiveInt
from rlkit.core.types import Array, Batch, FromRun, Goals, Transition, Tree, UsageError
from rlkit.replay.frames import TreeFrames
from rlkit.replay.tracked import TrackedReplay
from rlkit.replay.uniform import LARGE_SAMPLE

ACHIEVED, DESIRED = "achieved_goal", "desired_goal"

WRONG_SHARE = 0.1
"""Share of rewards that may differ from those of ``compute_reward``, by rounding at the edge of a goal."""


class HindsightReplay(TrackedReplay):
    """The newest transitions of an environment with goals, most of them with another goal than was wanted.

    Of `n_sampled_goal` + 1 transitions of a sample, `n_sampled_goal` on average get as their ``desired_goal`` what was
    achieved after a step of the same episode. Their rewards, and whether they terminate, are those for that goal. An
    episode that goes on is one up to its newest row. Goals are drawn at each sample, so nothing is stored twice.
    """

    def __init__(
        self,
        capacity: PositiveInt,
        rng: FromRun[np.random.Generator],
        *,
        goals: FromRun[Callable[[], Goals]],
        strategy: Literal["future", "final", "episode"],
        n_sampled_goal: NonNegativeInt,
        **options: Any,
    ):
        """Store up to `capacity` transitions.

        Args:
            capacity: number of transitions.
            rng: draws the samples and their goals.
            goals: returns the rules of the environment's goals; not called where the agent only acts.
            strategy: of whose steps a goal is drawn: ``future``, of this or a later one; ``final``, the last one;
                ``episode``, any one.
            n_sampled_goal: transitions with another goal for each that keeps its own; 0: none has.
            options: of `UniformReplay`.

        Raises:
            UsageError: observations without goals, or an environment without ``compute_reward``.
        """
        space = options.get("observation_space")
        if space is not None:
            _require_goals(getattr(space, "spaces", {}), space)
        super().__init__(capacity, rng, **options)
        self._goals = goals() if options.get("learns", True) else None
        self._strategy = strategy
        self._share = n_sampled_goal / (n_sampled_goal + 1)
        self._compared = False

    def sample(self, batch_size: int, gamma: float | None = None) -> Batch:
        """Draw `batch_size` transitions with replacement, and other goals for some; all weights are one.

        `gamma` and errors as in `UniformReplay.sample`.

        Raises:
            UsageError: the rewards of the environment are not those of its ``compute_reward``.
        """
        self._enter()
        if batch_size >= LARGE_SAMPLE:
            self._require_room(batch_size)
        numbers = self._first + self._rng.integers(self._rows.total - self._first, size=batch_size)
        rows = np.flatnonzero(self._rng.random(batch_size) < self._share)
        if not self._compared:
            self._compare_rewards(numbers)
        batch = self._batch(numbers, np.ones(batch_size, np.float32), gamma)
        if not len(rows):
            return batch
        goal = self._leaf(ACHIEVED, self._sources(numbers[rows]) % self._rows.capacity)
        rules = lambda slots: self._earned(slots, goal)  # noqa: E731
        slots = numbers[rows] % self._rows.capacity
        batch.reward[rows], batch.discount[rows], _ = self._rows.walk(slots, self._n_step, gamma or 1.0, rules)
        for observation in (batch.observation, batch.next_observation):
            tree.map_many(lambda leaf, values: _put(leaf, rows, values), observation[DESIRED], goal)
        return batch

    def _sources(self, numbers: Array) -> Array:
        """Return the rows [K] whose achieved goals the rows `numbers` [K] get."""
        assert self._episodes is not None
        if self._strategy == "final":
            return self._episodes.final(numbers)
        share = self._rng.random(len(numbers))
        if self._strategy == "future":
            return self._episodes.later(numbers, share)
        return self._episodes.any(numbers, share, self._first)

    def _leaf(self, key: str, slots: Array) -> Tree:
        """Return a goal, by its key, after the steps in `slots` [K]: arrays [K, ...]."""
        assert isinstance(self._frames, TreeFrames)
        return self._frames.at(key).read(self._rows.take("window", slots)[:, -1])

    def _earned(self, slots: Array, goal: Tree) -> tuple[Array, Array]:
        """Return reward and discount, float32 [K], of single steps if `goal` [K, ...] had been wanted.

        A step that terminated for another reason than its goal still does.
        """
        assert self._goals is not None
        achieved, own = self._leaf(ACHIEVED, slots), self._rows.take("discount", slots)
        reward = self._goals.reward(achieved, goal).astype(np.float32)
        if self._goals.terminated is None:
            return reward, own
        ended = own == 0
        if ended.any():
            ended[ended] = ~self._goals.terminated(*(self._leaf(key, slots[ended]) for key in (ACHIEVED, DESIRED)))
        ended |= self._goals.terminated(achieved, goal)
        return reward, np.where(ended, np.float32(0), np.where(own == 0, np.float32(1), own))

    def _compare_rewards(self, numbers: Array) -> None:
        """Refuse to go on where steps did not earn what the rules say for the goals that were wanted."""
        assert self._goals is not None
        slots = numbers % self._rows.capacity
        found = self._rows.take("reward", slots)
        wanted = self._goals.reward(*(self._leaf(key, slots) for key in (ACHIEVED, DESIRED)))
        wrong = ~np.isclose(found, wanted, rtol=1e-3, atol=1e-3)
        if wrong.mean() > WRONG_SHARE:
            i = int(wrong.argmax())
            raise UsageError(
                f"replay=hindsight: a step earned {found[i]:g}, and compute_reward says {wanted[i]:g} for its goals; "
                "leave out preprocess= that changes rewards or goals, or take replay=uniform"
            )
        self._compared = True

    def _begin(self, transition: Transition) -> None:
        observation = transition.next_observation
        _require_goals(observation if isinstance(observation, dict) else {}, "these observations")
        stacks = {} if self._stacks is None else self._stacks.numbers
        if self._stack > 1 and any(tree.leaves(stacks.get(key, self._stack)) != [1] for key in (ACHIEVED, DESIRED)):
            raise UsageError("replay=hindsight needs goals that are not stacked: stack _part_: observation alone")
        super()._begin(transition)


def _require_goals(parts: Any, shown: Any) -> None:
    missing = [key for key in (ACHIEVED, DESIRED) if key not in parts]
    if missing:
        raise UsageError(
            f"replay=hindsight needs observations with achieved_goal and desired_goal; {shown} has no "
            f"{' and no '.join(missing)}; take replay=uniform"
        )


def _put(leaf: Any, rows: Array, values: Array) -> None:
    """Write `values` [K, ...] to `rows` [K] of an array or a tensor [B, ...]."""
    if isinstance(leaf, np.ndarray):
        leaf[rows] = values
    else:
        import torch

        leaf[torch.from_numpy(rows).to(leaf.device)] = torch.from_numpy(values).to(leaf.device)
