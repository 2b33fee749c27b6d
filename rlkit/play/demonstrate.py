"""Recording: somebody plays whole episodes, and each step is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from rlkit.config import instantiate
from rlkit.config.run_config import EnvironmentConfig
from rlkit.core import tree
from rlkit.core.loop import interact
from rlkit.core.random_actions import random_action
from rlkit.core.seeding import Seeds
from rlkit.core.spaces import COMPOSED_SPACES
from rlkit.core.types import (
    Actor,
    Array,
    Environment,
    Memory,
    TimeStep,
    Transition,
    UsageError,
    a_kind,
    require_probability,
)
from rlkit.learners.datasets.demonstrations import Demonstration, EpisodeFolder
from rlkit.runs.action_log import ENVIRONMENT


class Discarded(Exception):  # noqa: N818 - not an error: the person starts again
    """The episode under way is not to be kept."""


class Noise(NamedTuple):
    """Random actions that are done in place of the player's, so that there is something to recover from.

    After DART (Laskey et al., 2017): what the player meant to do is recorded beside what was done.
    """

    share: float  # of steps, 0 to 1
    hold: int  # steps for which a random action goes on

    def checked(self) -> Noise:
        """Return it.

        Raises:
            UsageError: a share beyond 0 to 1, or nothing that is held.
        """
        require_probability("epsilon", self.share)
        if self.hold < 1:
            raise UsageError(f"hold is {self.hold}; it must be at least 1")
        return self

    @property
    def chance(self) -> float:
        """With which probability a random action begins where none goes on."""
        return self.share / (self.share + self.hold * (1 - self.share)) if self.share else 0.0


class RecordingActor:
    """What is done in one environment while somebody's intentions are recorded.

    The player acts, unless a learner does: then the player only says what it would do (DAgger; Ross et al., 2011). In
    place of either, random actions are done now and then.

    Attributes:
        intended: what the player meant last, [1] or [1, ...].
    """

    def __init__(self, player: Actor, action_space: Any, noise: Noise, learner: Actor | None = None):
        """Record `player`; `learner` acts where there is one."""
        self._player, self._learner = player, learner
        self._space, self._noise = action_space, noise.checked()
        self._left, self._random = 0, np.zeros(0)
        self.intended: Array = self._random

    def initial_memory(self, n: int) -> Memory:
        """Return what player and learner remember."""
        return self._player.initial_memory(n), () if self._learner is None else self._learner.initial_memory(n)

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Array, Memory]:
        """Ask the player, and return the action that is done, [1] or [1, ...]."""
        own, learner_memory = memory
        self.intended, own = self._player.act(timestep, own, explore=explore, rng=rng)
        action = self.intended
        if self._learner is not None:
            action, learner_memory = self._learner.act(timestep, learner_memory, explore=explore, rng=rng)
        return self._disturbed(action, timestep.legal_actions, rng), (own, learner_memory)

    def _disturbed(self, action: Array, legal: Array | None, rng: np.random.Generator) -> Array:
        if not self._left and self._noise.share and rng.random() < self._noise.chance:
            self._left = self._noise.hold
            drawn = random_action(self._space, rng, None if legal is None else legal[0])
            self._random = np.array([drawn], np.asarray(action).dtype)
        if not self._left:
            return action
        self._left -= 1
        return self._random


def record_episodes(
    player: Actor,
    env: Environment,
    folder: EpisodeFolder,
    *,
    name: str,
    episodes: int,
    seed: int,
    noise: Noise,
    max_steps: int,
    learner: Actor | None = None,
) -> Iterator[Mapping[str, Any]]:
    """Let `player` play, put each episode into `folder`, and yield its facts: return, length, seed.

    The seed of an episode comes from `seed` and its number in the folder, so that what is appended is new.

    Args:
        player: acts.
        env: one environment.
        folder: takes the episodes.
        name: of the player, kept with each episode.
        episodes: how many.
        seed: of the episodes and of what is drawn.
        noise: random actions.
        max_steps: an episode that lasts longer is truncated.
        learner: acts in the player's place, who only says what it would do.

    Raises:
        UsageError: actions that are no arrays.
    """
    if isinstance(env.action_space, COMPOSED_SPACES):
        raise UsageError(f"a recording needs actions that are one array, not {env.action_space}; wrap the environment")
    recorded = 0
    while recorded < episodes:
        number = len(folder)
        episode_seed = Seeds(seed).integers("recorded episodes", number, size=1)
        rng = Seeds(seed).generator("recorded actions", number)
        actor = RecordingActor(player, env.action_space, noise, learner)
        stream = interact(actor, env, explore=False, rng=rng, reset_seeds=lambda _, seeds=episode_seed: seeds)  # type: ignore[misc]
        try:
            steps, score = _played(stream, actor, max_steps)
        except Discarded:
            continue
        facts = {"seed": episode_seed[0], "return": score, "player": name}
        folder.add(_episode(steps, facts))
        recorded += 1
        yield {"length": len(steps), **facts}


def _played(stream: Iterator[Transition], actor: RecordingActor, max_steps: int) -> tuple[list[tuple[Any, ...]], float]:
    """Return the steps of an episode, each with what was intended, and its raw return."""
    steps, score = [], 0.0
    for transition in stream:
        if not transition.valid[0]:
            continue
        # Copied: an environment may write the next observation where this one is.
        step = (transition.observation, transition.action, actor.intended, transition.reward, transition.discount)
        steps.append(_first_row((*step, transition.next_observation)))
        score += float(transition.info.raw_reward[0])
        if transition.info.game_over[0] or len(steps) >= max_steps:
            break
    return steps, score


def _first_row(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return copies of the first row of each column [N, ...], which may be a tree."""
    return tree.map(lambda leaf: np.array(leaf[0]), columns)  # type: ignore[no-any-return]


def _episode(steps: list[tuple[Any, ...]], facts: Mapping[str, Any]) -> Demonstration:
    *columns, final = zip(*steps, strict=True)
    observation, action, intended, reward, discount = map(tree.stack, columns)
    return Demonstration(observation, action, intended, reward, discount, final[-1], facts)


def about(config: EnvironmentConfig, env: Environment) -> dict[str, Any]:
    """Return what a folder says of the environment."""
    return {
        **{key: getattr(config, key) for key in ENVIRONMENT},
        "observation_space": str(env.observation_space),
        "action_space": str(env.action_space),
    }


def make_player(config: Mapping[str, Any], env: Environment) -> Actor:
    """Build the node `expert`, whose constructor can ask for `observation_space` and `action_space`.

    Raises:
        UsageError: it does not fit its options, or is no player.
    """
    context: Mapping[str, Callable[[str], Any]] = {
        "observation_space": lambda path: env.observation_space,
        "action_space": lambda path: env.action_space,
    }
    player = instantiate.build(config, context, "expert")
    if not callable(getattr(player, "act", None)):
        raise UsageError(f"expert is {a_kind(player)}, which does not act as an rlkit.core.types.Actor")
    return player  # type: ignore[no-any-return]
