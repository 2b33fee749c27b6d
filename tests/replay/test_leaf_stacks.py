"""Observations whose parts stack different numbers of frames come back from a replay, each frame stored once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rlkit.agents.random import Random
from rlkit.core import tree
from rlkit.core.loop import interact
from rlkit.core.schedules import Constant
from rlkit.core.types import Transition
from rlkit.preprocess import FrameStack, Part
from rlkit.replay import PrioritizedReplay, UniformReplay
from rlkit.replay.frames import bytes_of
from rlkit.vector.serial import SerialEnvironment
from toys import Nested, assert_same

STACKS = {"where": (2, 1), "image": 3, "flags": {"even": 1, "rest": 1}}


def stacking() -> Any:
    return Part(Part(Nested(), "image", lambda part: FrameStack(part, 3)), "where/0", lambda part: FrameStack(part, 2))


def stream(n: int) -> tuple[SerialEnvironment, Any]:
    env = SerialEnvironment([stacking] * n)
    agent: Any = Random(env.action_space)
    rng = np.random.default_rng(0)
    return env, interact(agent, env, explore=True, rng=rng, reset_seeds=lambda _: list(range(n)))


def replay_of(env: SerialEnvironment, capacity: int, kind: Any = UniformReplay, **options: Any) -> Any:
    return kind(capacity, np.random.default_rng(1), frame_stack=env.frame_stack, num_envs=env.num_envs, **options)


def rows_of(transition: Transition) -> list[Any]:
    columns = (transition.observation, transition.next_observation, transition.reward)
    return [tree.map(lambda leaf, i=i: leaf[i].tolist(), columns) for i in np.flatnonzero(transition.valid)]


@pytest.mark.parametrize("skipped", [False, True])
def test_they_come_back_as_they_were_in_every_order_of_steps(skipped: bool) -> None:
    env, steps = stream(2)
    assert env.frame_stack == STACKS
    replay, known = replay_of(env, 37), []
    for k in range(60):
        transition = next(steps)
        if skipped and k % 7 == 3:
            transition = transition._replace(valid=np.array([True, False]))
        replay.add(transition)
        known += rows_of(transition)
        stored = replay.everything()
        found = rows_of(Transition(*stored[:5], None, np.ones(len(stored.reward), bool), None, None, None))
        assert found == known[-37:]


def test_targets_of_several_steps_have_the_successor_of_the_last() -> None:
    env, steps = stream(1)
    replay, seen = replay_of(env, 50, n_step=3), []
    for _ in range(40):
        seen.append(next(steps))
        replay.add(seen[-1])
    stored = replay.everything(0.9)
    for i in range(30):
        end = next((k for k in range(i, i + 3) if seen[k].last[0]), i + 2)
        assert_same(tree.take(stored.observation, i), tree.take(seen[i].observation, 0))
        assert_same(tree.take(stored.next_observation, i), tree.take(seen[end].next_observation, 0))


def test_each_frame_is_stored_once_and_memory_is_told_by_part() -> None:
    env, steps = stream(2)
    replay = replay_of(env, 500)
    begun = 2
    for _ in range(200):
        transition = next(steps)
        replay.add(transition)
        begun += int(transition.last.sum())
    # At its beginning an episode shows one frame more, repeated.
    assert 400 < replay._shown <= 400 + begun
    frames = replay._frames.read(np.zeros(1, np.int64))
    assert frames["image"].shape == (1, 2, 3)
    assert tree.nbytes(frames) == bytes_of(env.observation_space, STACKS) == 6 + 8 + 8 + 2 + 4


@pytest.mark.parametrize("kind", [UniformReplay, PrioritizedReplay])
def test_a_replay_restored_from_its_state_goes_on_as_the_first_would_have(kind: Any) -> None:
    options = {} if kind is UniformReplay else {"alpha": 0.6, "beta": Constant(0.4), "epsilon": 0.01}
    env, steps = stream(2)
    replay, other = (replay_of(env, 60, kind, **options) for _ in range(2))
    for _ in range(45):
        replay.add(next(steps))
    other.load_state_dict(replay.state_dict())
    for _ in range(30):
        transition = next(steps)
        for one in (replay, other):
            one.add(transition)
        first, second = replay.sample(7), other.sample(7)
        assert_same(first._asdict(), second._asdict())
        for one in (replay, other):
            one.update_priorities(first.index, np.linspace(0, 2, 7, dtype=np.float32))
