"""Rows for estimators, shares and schedules at their bounds, counts of steps and episodes: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from tables import make
from transitions import transition

from rlkit.agents.q_learning import QLearning
from rlkit.algorithms.exploration import warn_if_late
from rlkit.core.schedules import Annealed, Constant, Linear, annealed, require_probabilities
from rlkit.core.seeding import Seeds
from rlkit.core.spaces import as_rows, num_states, state_index
from rlkit.core.types import UsageError


def test_discrete_observations_are_rows_of_one_flag() -> None:
    rows = as_rows(np.array([2, 0]), spaces.Discrete(3))
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert rows.dtype == np.float32
    assert as_rows(np.array([1]), spaces.Discrete(2), np.float64).dtype == np.float64


def test_composed_observations_are_rows_of_one_flag_for_each_part() -> None:
    rows = as_rows(np.array([[1, 0], [0, 2]]), spaces.MultiDiscrete([2, 3]))
    assert rows.tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 1]]
    square = as_rows(np.array([[[1, 0], [2, 0]]]), spaces.MultiDiscrete([[2, 2], [3, 1]]))
    assert square.tolist() == [[0, 1, 1, 0, 0, 0, 1, 1]]


def test_numbers_are_flattened_and_keep_their_type_unless_another_is_asked_for() -> None:
    picture = np.arange(8, dtype=np.uint8).reshape(2, 2, 2)
    rows = as_rows(picture, spaces.Box(0, 9, (2, 2), np.uint8))
    assert rows.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert rows.dtype == np.uint8
    assert as_rows(picture, spaces.Box(0, 9, (2, 2), np.uint8), np.float32).dtype == np.float32
    switches = as_rows(np.array([[1, 0, 1]], np.int8), spaces.MultiBinary(3))
    assert (switches.tolist(), switches.dtype) == ([[1, 0, 1]], np.int8)


def test_switches_are_counted_the_last_one_fastest() -> None:
    assert num_states(spaces.MultiBinary(3), agent="a") == 8
    assert state_index(np.array([[1, 0, 0], [0, 1, 1]], np.int8), spaces.MultiBinary(3)).tolist() == [4, 3]


@pytest.mark.parametrize(
    ("schedule", "line"),
    [
        (Constant(1.5), "agent.epsilon at step 0 is 1.5; it must be from 0 to 1"),
        (Linear(-0.1, 0.5, 10), "agent.epsilon at step 0 is -0.1; it must be from 0 to 1"),
        (Linear(0.5, 1.1, 10), "agent.epsilon in the end is 1.1; it must be from 0 to 1"),
        (Linear(0.5, -1.0, 10**9), "agent.epsilon in the end is -1; it must be from 0 to 1"),
    ],
)
def test_a_schedule_of_shares_begins_and_ends_with_one(schedule: Any, line: str) -> None:
    with pytest.raises(UsageError) as refused:
        require_probabilities("agent.epsilon", schedule)
    assert str(refused.value) == line
    for right in (Constant(0.0), Constant(1.0), Linear(1.0, 0.0, 5)):
        assert require_probabilities("agent.epsilon", right) is right


def test_what_is_annealed_is_the_schedules_value_times_what_is_left() -> None:
    rate = Annealed(Linear(2.0, 1.0, 100), 200)
    # 2 * 1; 1.5 * (1 - 50 / 200); 1 * (1 - 150 / 200); nothing below 0.
    assert [rate(step) for step in (0, 50, 150, 200, 300)] == [2.0, 1.5 * 0.75, 0.25, 0.0, 0.0]
    schedule = Linear(1.0, 0.0, 10)
    assert annealed(schedule, anneal=False, total_steps=None) is schedule
    assert annealed(3, anneal=True, total_steps=10)(5) == 1.5
    with pytest.raises(UsageError, match=r"agent.learning_rate is 'fast'; it must be a number or a schedule"):
        annealed("fast", anneal=True, total_steps=10)  # type: ignore[arg-type]


def test_only_a_run_that_would_never_learn_is_told_so() -> None:
    told: list[str] = []
    for total in (None, 1000, 999, 5000):
        warn_if_late(1000, total, told.append)
    assert told == ["nothing will be learned: the first update comes after 1,000 steps, and total_steps is 999"]


def test_a_seed_of_a_name_is_the_first_of_its_seeds() -> None:
    assert Seeds(0).number("episodes") == Seeds(0).integers("episodes", size=3)[0]
    assert Seeds(0).number("episodes") != Seeds(0).number("episode")


def test_a_truncated_episode_counts_as_one_and_a_row_that_was_no_step_does_not() -> None:
    agent = make(QLearning, epsilon=Linear(1.0, 0.0, 4), epsilon_counts="episodes")
    # Terminated; truncated; goes on; no step, though it says last.
    agent.observe(
        transition(
            [0, 1, 2, 3],
            [0, 0, 0, 0],
            [0, 0, 0, 0],
            [0, 1, 1, 1],
            [0, 0, 0, 0],
            last=[True, True, False, True],
            valid=[True, True, True, False],
        )
    )
    assert (agent.steps, agent.episodes) == (3, 2)
    metrics = agent.update()
    assert metrics is not None
    assert metrics["epsilon"] == 0.5


def test_epsilon_that_counts_steps_counts_those_that_were_made() -> None:
    agent = make(QLearning, epsilon=Linear(1.0, 0.0, 4), epsilon_counts="steps")
    agent.observe(transition([0, 1], [0, 0], [0, 0], [1, 1], [0, 0], valid=[True, False]))
    metrics = agent.update()
    assert metrics is not None
    assert metrics["epsilon"] == 0.75
