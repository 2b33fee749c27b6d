from typing import Any

import numpy as np
import pytest

from rlkit.core.types import StepInfo, Transition
from rlkit.planning.search.histories import HistoryReplay, Unrolled


def step(i: int, reward: float, discount: float, *, last: bool = False, value: float = 0.0) -> Transition:
    """The i-th step of one episode, which takes action i % 2 and goes from observation i to i + 1."""
    row, ends = np.array([True]), np.array([last or discount == 0])
    policy = np.array([[1.0, 0.0]] if i % 2 else [[0.25, 0.75]], np.float32)
    return Transition(
        observation=np.array([[i]], np.float32),
        action=np.array([i % 2]),
        reward=np.array([reward], np.float32),
        discount=np.array([discount], np.float32),
        next_observation=np.array([[i + 1]], np.float32),
        last=ends,
        valid=row,
        legal_actions=None,
        next_legal_actions=None,
        info=StepInfo(np.array([reward]), ends, ~row),
        memory={"policy": policy, "legal": np.ones((1, 2), bool), "value": np.array([value], np.float32)},
    )


def filled(*steps: Any, gamma: float = 0.5, bootstrap: float = 0.0, capacity: int = 20) -> HistoryReplay:
    replay = HistoryReplay(capacity, gamma)
    for transition in steps:
        replay.add(transition, np.array([bootstrap]))
    return replay


def unrolled(replay: HistoryReplay, place: int, unroll: int, td_steps: int) -> Unrolled:
    return replay.unrolled(np.array([place]), unroll, td_steps, np.random.default_rng(0))


EPISODE = [step(0, 1, 1, value=10), step(1, 2, 1, value=20), step(2, 4, 1, value=30), step(3, 8, 0, value=40)]


class TestTargets:
    def test_rewards_of_n_steps_and_then_the_searchs_value(self) -> None:
        found = unrolled(filled(*EPISODE), 0, 2, 2)
        # 1 + 2/2 + 30/4, 2 + 4/2 + 40/4, 4 + 8/2.
        assert found.value.tolist() == [[9.5, 14, 8]]
        assert found.reward.tolist() == [[1, 2]]
        assert found.action.tolist() == [[0, 1]]
        assert found.discount.tolist() == [[1, 1]]
        assert found.policy[0].tolist() == [[0.25, 0.75], [1, 0], [0.25, 0.75]]
        assert found.successors[0, :, 0].tolist() == [1, 2]

    def test_more_steps_than_there_are_end_with_the_episode(self) -> None:
        found = unrolled(filled(*EPISODE), 0, 2, 99)
        assert found.value.tolist() == [[4, 6, 8]]

    def test_after_the_end_nothing_is_paid_and_there_is_no_policy(self) -> None:
        found = unrolled(filled(*EPISODE), 2, 4, 2)
        assert found.value.tolist() == [[8, 8, 0, 0, 0]]
        assert found.reward.tolist() == [[4, 8, 0, 0]]
        assert found.discount.tolist() == [[1, 0, 0, 0]]
        assert found.known.all()
        assert found.going.tolist() == [[True, True, False, False, False]]
        assert not found.policy[0, 2:].any()
        assert found.successors[0, :, 0].tolist() == [3, 4, 4, 4]

    def test_after_a_truncation_nothing_is_known(self) -> None:
        steps = [step(0, 1, 1, value=10), step(1, 2, 1, value=20, last=True)]
        found = unrolled(filled(*steps, bootstrap=6.0), 0, 3, 2)
        # 1 + 2/2 + 6/4, 2 + 6/2, and what the network said of the last state.
        assert found.value[0, :3].tolist() == [3.5, 5, 6]
        assert found.reward[0, :2].tolist() == [1, 2]
        assert found.known.tolist() == [[True, True, True, False]]
        assert found.going.tolist() == [[True, True, False, False]]

    def test_the_other_sides_values_count_against(self) -> None:
        game = [step(0, 0, -1, value=0.3), step(1, 0, -1, value=0.1), step(2, 1, 0, value=0.9)]
        replay = filled(*game, gamma=1.0)
        # Whoever began won.
        assert unrolled(replay, 0, 2, 9).value.tolist() == [[1, -1, 1]]
        assert unrolled(replay, 0, 2, 1).value[0].tolist() == pytest.approx([-0.1, -0.9, 1])
        assert unrolled(replay, 0, 2, 1).discount.tolist() == [[-1, -1]]

    def test_episodes_do_not_run_into_each_other(self) -> None:
        replay = filled(step(0, 5, 0), *EPISODE)
        assert unrolled(replay, 0, 2, 3).value.tolist() == [[5, 0, 0]]
        assert unrolled(replay, 2, 2, 2).value.tolist() == [[9.5, 14, 8]]


class TestKeeping:
    def test_only_whole_episodes_are_kept_and_their_last_states_never_drawn(self) -> None:
        replay = filled(*EPISODE, step(0, 1, 1))
        assert len(replay) == 5
        assert set(replay.draw(500, np.random.default_rng(0)).tolist()) == {0, 1, 2, 3}

    def test_the_oldest_give_way_around_the_ring(self) -> None:
        replay = filled(*EPISODE, *EPISODE, capacity=7)
        # The second episode lies at 5, 6, 0, 1, 2; of the first are left two positions.
        assert set(replay.draw(500, np.random.default_rng(0)).tolist()) == {5, 6, 0, 1, 3}
        assert unrolled(replay, 5, 4, 2).value.tolist() == [[9.5, 14, 8, 8, 0]]
        assert unrolled(replay, 3, 2, 2).value.tolist() == [[8, 0, 0]]

    def test_what_is_searched_again_is_learned(self) -> None:
        replay = filled(*EPISODE)
        replay.renew(np.array([0, 2]), np.array([[0.5, 0.5], [0, 1]]), np.array([1.0, 2.0]))
        found = unrolled(replay, 0, 2, 2)
        assert found.policy[0].tolist() == [[0.5, 0.5], [1, 0], [0, 1]]
        assert found.value.tolist() == [[1 + 1 + 2 / 4, 14, 8]]

    def test_a_state_brings_all_back(self) -> None:
        replay = filled(*EPISODE, step(0, 3, 1, value=1))
        other = HistoryReplay(20, 0.5)
        other.load_state_dict(replay.state_dict())
        for one in (replay, other):
            one.add(step(1, 7, 0, value=2), np.zeros(1))
        ours, theirs = (one.unrolled(np.array([0, 5]), 3, 2, np.random.default_rng(0)) for one in (replay, other))
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
        assert ours.value[1].tolist() == [6.5, 7, 0, 0]
