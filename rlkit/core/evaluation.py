"""Evaluation: whole episodes of an agent that does not learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rlkit.core import tree
from rlkit.core.loop import FIX, interact
from rlkit.core.random_actions import random_action
from rlkit.core.resources import require_memory
from rlkit.core.statistics import EvaluationEpisode
from rlkit.core.types import (
    Actor,
    Array,
    Environment,
    Interrupted,
    Memory,
    TimeStep,
    Tree,
    UsageError,
    require_probability,
)

Watch = Callable[[int, Array, Array], None]
"""Called after each step with how many episodes earlier rounds had, and of this round's which are still played [N] bool
and how many steps [N] each has."""


EPISODE_BYTES = 250
"""What the seed and the result of an episode take, about."""


def require_room(episodes: int, key: str = "episodes") -> None:
    """Refuse more episodes than can be remembered; `key` is the option that says how many.

    Raises:
        MemoryShortageError: they need more memory than is free.
    """
    noun = key.rpartition(".")[2]
    require_memory(episodes * EPISODE_BYTES, f"a list of {episodes:,} {noun}", f"set {key} lower")


def never() -> None:
    """Return no reason to stop."""


def unwatched(before: int, playing: Array, lengths: Array) -> None:
    """Do nothing with flags `playing` [N] and `lengths` [N]."""


def evaluate(
    agent: Actor,
    env: Environment,
    *,
    episodes: int,
    max_steps: int,
    rng: np.random.Generator,
    episode_seeds: list[int],
    epsilon: float = 0.0,
    sample: bool = False,
    interrupted: Callable[[], str | None] = never,
    watch: Watch = unwatched,
) -> list[EvaluationEpisode]:
    """Play whole greedy episodes and return them in the order of their seeds.

    An agent that works out exactly what it wins, by a method ``exact_return()``, is asked for that instead: its
    episodes all have this return, and no steps.

    Environments play rounds of one episode each, so that the first `episodes` started are the ones that count:
    counting the first that finish would favor short episodes.

    Args:
        agent: acts with ``explore=False``; it is not changed.
        env: fresh environments.
        episodes: how many to play.
        max_steps: an episode of this many steps is ended and counts with its return so far.
        rng: for the agent's draws and for `epsilon`.
        episode_seeds: one for each episode.
        epsilon: probability of an action drawn uniformly from the action space.
        sample: draw the other actions from the agent's policy.
        interrupted: returns the signal that asks to stop, or None.
        watch: sees how far the episodes are; it must not change what it is given.

    Raises:
        UsageError: as in `with_epsilon`.
        RunError: the environments failed.
        Interrupted: a signal asks to stop.
    """
    actor = with_epsilon(agent, env.action_space, epsilon, sample=sample)
    exact = getattr(actor, "exact_return", None)
    if exact is not None:
        return [EvaluationEpisode(float(exact()), 0, False)] * episodes
    results: list[EvaluationEpisode] = []
    for start in range(0, episodes, env.num_envs):
        seeds = [episode_seeds[(start + i) % episodes] for i in range(env.num_envs)]
        counting = min(env.num_envs, episodes - start)
        results += _round(actor, env, seeds, counting, max_steps, rng, interrupted, partial(watch, start))
    return results


def _round(
    actor: Actor,
    env: Environment,
    seeds: list[int],
    counting: int,
    max_steps: int,
    rng: np.random.Generator,
    interrupted: Callable[[], str | None],
    watch: Callable[[Array, Array], None],
) -> list[EvaluationEpisode]:
    playing = np.arange(env.num_envs) < counting
    returns = np.zeros(env.num_envs)
    lengths = np.zeros(env.num_envs, int)
    capped = np.zeros(env.num_envs, bool)
    for transition in interact(actor, env, explore=False, rng=rng, reset_seeds=lambda _: seeds, remedy=FIX):
        if (reason := interrupted()) is not None:
            raise Interrupted(reason)
        active = playing & transition.valid
        returns[active] += transition.info.raw_reward[active]
        lengths += active
        capped |= active & ~transition.info.game_over & (lengths >= max_steps)
        playing &= ~((active & transition.info.game_over) | capped)
        if not playing.any():
            break
        watch(playing, lengths)
    rows = range(counting)
    return [EvaluationEpisode(float(returns[i]), int(lengths[i]), bool(capped[i])) for i in rows]


def with_epsilon(agent: Actor, action_space: Any, epsilon: float, *, sample: bool = False) -> Actor:
    """Return an actor that draws an action uniformly with probability `epsilon`, and else acts as `agent`.

    Args:
        agent: acts greedily, unless `sample`.
        action_space: of one environment.
        epsilon: the probability.
        sample: the agent draws its actions from its policy, as in training.

    Raises:
        UsageError: `epsilon` is not a probability, or the agent has no policy to draw from.
    """
    if sample and not getattr(agent, "has_policy", False):
        raise UsageError(
            "sample= draws actions from a policy, which this agent does not have; leave it out, or set epsilon"
        )
    actor = _Sampling(agent) if sample else agent
    return actor if require_probability("epsilon", epsilon) == 0 else _WithEpsilon(actor, action_space, epsilon)


class _Sampling:
    def __init__(self, agent: Actor):
        self._agent = agent
        self.initial_memory = agent.initial_memory

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        return self._agent.act(timestep, memory, explore=True, rng=rng)


class _WithEpsilon:
    def __init__(self, agent: Actor, action_space: Any, epsilon: float):
        self._agent = agent
        self._space = action_space
        self._epsilon = epsilon
        self.initial_memory = agent.initial_memory

    def act(
        self, timestep: TimeStep, memory: Memory, *, explore: bool, rng: np.random.Generator
    ) -> tuple[Tree, Memory]:
        action, memory = self._agent.act(timestep, memory, explore=explore, rng=rng)
        action = tree.copy(action)
        for i in np.flatnonzero(rng.random(tree.length(action)) < self._epsilon):
            tree.put(action, i, random_action(self._space, rng, _row(timestep.legal_actions, int(i))))
        return action, memory


def _row(masks: Array | None, i: int) -> Array | None:
    return None if masks is None else masks[i]
