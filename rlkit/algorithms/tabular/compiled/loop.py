"""Strides of many steps in place of the loop of `rlkit.core.loop`, with the same results bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rlkit.algorithms.exploration import NO_NUMBER
from rlkit.algorithms.tabular.compiled.environments import Place, View, view_of
from rlkit.algorithms.tabular.compiled.learners import (
    epsilon_of,
    learns_whole_episodes,
    progress_of,
    rule_of,
    write_back,
)
from rlkit.algorithms.tabular.compiled.structures import (
    ENDED,
    EPSILONS,
    ERRORS,
    LEARNER,
    LENGTH,
    RAW,
    UPDATES,
    Epsilon,
    Last,
    Limits,
    Progress,
    Statistics,
    Where,
)
from rlkit.algorithms.tabular.control import TabularControl
from rlkit.core.divergence import diverged
from rlkit.core.loop import Interaction
from rlkit.core.statistics import Averages, Episode, EpisodeTracker
from rlkit.core.types import Agent, Array, Environment, RunError, UsageError
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.time_steps import timestep

STRIDE = 100_000
"""Steps at most, so that a run can be interrupted and shows its progress."""


def compiled_loop(agent: Agent, env: Environment, *, action_mask: bool) -> CompiledLoop:
    """Return the compiled loop of an agent in an environment.

    Raises:
        UsageError: one of the two is not compiled; the message says what is.
    """
    single = env.envs if type(env) is SerialEnvironment else []
    views = [view_of(one.env, action_mask=action_mask or bool(one.metadata.get("action_mask"))) for one in single]
    if len(views) != 1 or views[0] is None:
        here = "" if env.num_envs == 1 else f" (here {env.num_envs})"
        raise UsageError(
            f"inner_loop=numba steps one finite MDP: num_envs=1{here}, vectorization=sync, no preprocess, and a "
            "tabular environment of rlkit's or FrozenLake, CliffWalking or Taxi"
        )
    if not isinstance(agent, TabularControl) or rule_of(agent) is None:
        raise UsageError(
            "inner_loop=numba learns by q_learning, double_q_learning, sarsa, expected_sarsa or mc_control (on-policy, "
            "without exploring starts); use inner_loop=auto"
        )
    if learns_whole_episodes(agent) and views[0].chances.max_steps == 0:
        raise UsageError(
            "inner_loop=numba learns whole episodes of limited length; set the environment's limit (env.max_steps or "
            "+env.kwargs.max_episode_steps), or use inner_loop=auto"
        )
    epsilon = epsilon_of(agent.epsilon, agent.by_episode)
    if epsilon is None:
        raise UsageError(
            "inner_loop=numba knows the schedules of rlkit.algorithms.exploration; use inner_loop=auto for your own"
        )
    return CompiledLoop(agent, views[0], epsilon)


class CompiledLoop:
    """Runs many steps at once."""

    def __init__(self, agent: TabularControl, view: View, epsilon: Epsilon):
        self._agent = agent
        self._view = view
        self._epsilon = epsilon

    def needs_compiling(self) -> bool:
        """Return whether the first stride compiles, which takes seconds."""
        from rlkit.algorithms.tabular.compiled.kernel import run
        from rlkit.core.compiling import needs_compiling

        return needs_compiling(run)

    def stride(
        self, stream: Interaction, tracker: EpisodeTracker, averages: Averages, *, steps: int, episodes: int
    ) -> Iterator[Episode]:
        """Go on until the run is at `steps`, but at most `STRIDE` of them, or until so many `episodes` have ended.

        The stream, the agent, the environment, the tracker and the averages of the updates are left as the Python loop
        would leave them; the averages of the episodes are for the caller to add.

        Returns:
            the episodes that ended, made as they are asked for.

        Raises:
            DivergedError: the value of an action is not a number.
        """
        # numba takes a while to import, for nothing where the loop is asked for and cannot be had.
        from rlkit.algorithms.tabular.compiled.kernel import run

        agent, view = self._agent, self._view
        stream.begin()
        rule = rule_of(agent)
        assert rule is not None
        limits = Limits(min(steps, stream.steps + STRIDE), episodes)
        with _readable(view.chances.next_state.shape):
            progress = progress_of(agent, rule, _statistics(tracker, averages, limits.steps - stream.steps))
            place = view.place()
        _require_known(progress.steps, place, view.chances.next_state.shape)
        before = Where(*place, stream.steps, agent.steps, agent.episodes)
        generators = view.rng, stream.rng, agent.rng
        where, last = run(view.chances, rule, self._epsilon, progress, before, limits, *generators)
        if np.isnan(progress.sums[ERRORS]):
            raise diverged(NO_NUMBER)
        legal = view.chances.legal if len(view.chances.legal) else None
        write_back(agent, progress, legal)
        agent.steps, agent.episodes = where.agent_steps, where.agent_episodes
        view.put(Place(where.state, where.elapsed), last.action, last.last)
        stream.advance_to(_timestep(where.state, last, legal), where.steps)
        return _take_back(progress, tracker, averages)


@contextmanager
def _readable(shape: tuple[int, ...]) -> Iterator[None]:
    """Say what is wrong where a checkpoint has left what is no number of a state, or none that there is.

    Raises:
        RunError: it has.
    """
    try:
        yield
    except IndexError as error:
        raise RunError(_beyond(shape)) from error
    except (TypeError, ValueError, AttributeError, ArithmeticError, KeyError) as error:
        raise RunError("the checkpoint names no state for the environment; start the run again") from error


def _beyond(shape: tuple[int, ...]) -> str:
    return (
        f"the checkpoint names states or actions beyond the {shape[0]:,} and {shape[1]:,} that there are; start the "
        "run again"
    )


def _require_known(steps: Array, place: Place, shape: tuple[int, ...]) -> None:
    """Check that a checkpoint named states and actions that there are: compiled code writes wherever it is sent.

    Args:
        steps: [M, 3] int64: state, action, state after, of steps that still learn.
        place: where the environment stands.
        shape: (S, A, …) of the environment.

    Raises:
        RunError: there are others.
    """
    states, actions = shape[:2]
    counted = all(isinstance(number, (int, np.integer)) for number in place)
    if steps.min() < 0 or (steps >= (states, actions, states)).any() or not (counted and 0 <= place.state < states):
        raise RunError(_beyond(shape))


def _statistics(tracker: EpisodeTracker, averages: Averages, room: int) -> Statistics:
    sums, under_way = averages.state_dict()["sums"], tracker.state_dict()
    raw, learner, length = (under_way[name].item() for name in ("raw", "learner", "length"))
    return Statistics(sums.get("loss/td", 0.0), sums.get("epsilon", 0.0), raw, learner, length, room)


def _take_back(progress: Progress, tracker: EpisodeTracker, averages: Averages) -> Iterator[Episode]:
    sums, counts, saved = progress.sums, progress.counts, averages.state_dict()
    if counts[UPDATES]:
        for name, place in (("loss/td", ERRORS), ("epsilon", EPSILONS)):
            saved["sums"][name] = sums.item(place)
            saved["counts"][name] = saved["counts"].get(name, 0) + counts.item(UPDATES)
    averages.load_state_dict(saved)
    tracker.load_state_dict(
        {**tracker.state_dict(), "raw": sums[[RAW]], "learner": sums[[LEARNER]], "length": counts[[LENGTH]]}
    )
    rows = progress.episodes[: counts[ENDED]]
    return (Episode(int(step), 0, raw, learner, int(length), False) for step, raw, learner, length in map(_row, rows))


def _row(row: Array) -> list[float]:
    values: list[float] = row.tolist()
    return values


def _timestep(state: int, last: Last, legal: Array | None) -> Any:
    ended = np.array([last.last])
    reward = np.array([last.reward])
    rows = (None, None) if legal is None else (legal[[state]], legal[[last.next_state]])
    return timestep(
        np.array([state]),
        reward,
        [1.0 - last.terminated],
        ended,
        np.array([last.next_state]),
        raw_reward=reward,
        game_over=ended,
        legal_actions=rows[0],
        next_legal_actions=rows[1],
    )
