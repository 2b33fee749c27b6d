"""Go-Explore: places and their ways, what is begun from, and treasures that random actions do not find."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import made

import rlkit
from rlkit.algorithms.model_based.archive import CellArchive, ReachedPlace
from rlkit.algorithms.model_based.cells import Downscaled, Rounded, cells, newest
from rlkit.core.types import UsageError
from rlkit.envs.deep_sea import DeepSea
from rlkit.vector.serial import SerialEnvironment


class TestArchive:
    def test_more_reward_is_better_and_then_fewer_steps(self) -> None:
        archive = CellArchive()
        assert archive.better(b"a", -5.0, 100)
        archive.put(b"a", ReachedPlace({}, 1.0, [0, 1, 2]))
        assert archive.better(b"a", 1.5, 100)
        assert archive.better(b"a", 1.0, 2)
        assert not archive.better(b"a", 1.0, 3)
        assert not archive.better(b"a", 0.5, 1)

    def test_places_are_begun_from_by_how_seldom_they_were(self) -> None:
        archive, rng = CellArchive(), np.random.default_rng(0)
        for name in (b"a", b"b"):
            archive.put(name, ReachedPlace({"name": name}, 0.0, []))
        chosen = [archive.choose(rng).state["name"] for _ in range(3)]
        archive.put(b"c", ReachedPlace({"name": b"c"}, 0.0, []))
        visits = np.array([chosen.count(b"a"), chosen.count(b"b"), 0])
        drawn: Counter[bytes] = Counter()
        for seed in range(4000):
            copied = CellArchive()
            copied.load_state_dict(archive.state_dict())
            drawn[copied.choose(np.random.default_rng(seed)).state["name"]] += 1
        weight = 1 / np.sqrt(visits + 1)
        shares = [drawn[name] / 4000 for name in (b"a", b"b", b"c")]
        assert shares == pytest.approx((weight / weight.sum()).tolist(), abs=0.03)

    def test_a_better_way_makes_a_place_new_again(self) -> None:
        archive, rng = CellArchive(), np.random.default_rng(0)
        archive.put(b"a", ReachedPlace({}, 0.0, []))
        for _ in range(5):
            archive.choose(rng)
        assert archive.state_dict()["visits"].tolist() == [5]
        archive.put(b"a", ReachedPlace({}, 1.0, []))
        assert archive.state_dict()["visits"].tolist() == [0]


class TestCells:
    @settings(deadline=None, max_examples=25)
    @given(st.integers(0, 2**32 - 1))
    def test_images_are_the_means_of_areas_in_a_few_levels(self, seed: int) -> None:
        small = np.random.default_rng(seed).integers(0, 256, (8, 11), dtype=np.uint8)
        found = np.frombuffer(Downscaled(8, 11, 8)(np.kron(small, np.ones((3, 2), np.uint8))), np.uint8)
        assert np.array_equal(found.reshape(8, 11), small // 32)
        half = np.array([[0, 100], [100, 200]], np.uint8)
        assert Downscaled(1, 1, 256)(half) == bytes([100])

    def test_the_newest_frame_is_what_counts(self) -> None:
        stack = np.random.default_rng(0).integers(0, 256, (4, 12, 10), dtype=np.uint8)
        assert np.array_equal(newest(stack), stack[-1])
        assert np.array_equal(newest(np.moveaxis(stack, 0, -1)), stack[-1])
        color = np.full((12, 10, 3), (30, 60, 90), np.uint8)
        assert np.array_equal(newest(color), np.full((12, 10), 60))
        assert np.array_equal(newest(stack[0]), stack[0])

    def test_numbers_are_rounded_and_others_stay(self) -> None:
        same = Rounded(0.5)
        assert same(np.float32([0.2, 1.0])) == same(np.float32([-0.2, 1.1])) != same(np.float32([0.3, 1.0]))
        assert same(np.int64(3)) != same(np.int64(4))
        assert same({"a": np.int64(3), "b": np.float32([0.1])}) == same({"a": np.int64(3), "b": np.float32([0.2])})

    def test_they_are_chosen_by_the_observations(self) -> None:
        keys = {"height": 8, "width": 11, "levels": 8, "step": 1.0}
        assert isinstance(cells(gymnasium.spaces.Box(0, 255, (84, 84), np.uint8), **keys), Downscaled)
        assert isinstance(cells(gymnasium.spaces.Box(0, 1, (84, 84), np.float32), **keys), Rounded)
        assert isinstance(cells(gymnasium.spaces.Discrete(5), **keys), Rounded)


DEEP = "env=deep_sea env.size=20 env.mapping_seed=1"
"""Random actions find its treasure once in a million episodes."""


def explored(words: str, make: Any, decisions: int) -> Any:
    """Return an agent after so many explorations."""
    agent = made(f"agent=go_explore {words}", SerialEnvironment([make]))
    for _ in range(decisions):
        agent._due = 1
        agent.update()
    return agent


def test_each_way_leads_to_its_place_with_its_score() -> None:
    agent = explored("env=deep_sea env.size=8 agent.horizon=8", lambda: DeepSea(8, None, None), 300)
    assert len(agent.archive.places) > 25
    env = DeepSea(8, None, None)
    for cell, place in agent.archive.places.items():
        observation, _ = env.reset(seed=1)
        score = 0.0
        for action in place.actions:
            observation, reward, *_ = env.step(int(action))
            score += float(reward)
        assert agent._cells(observation) == cell
        assert score == pytest.approx(place.score)


def test_the_best_ways_have_more_and_more_reward() -> None:
    agent = explored("env=deep_sea env.size=8 agent.horizon=8", lambda: DeepSea(8, None, None), 600)
    scores = [score for score, _ in agent.best]
    assert all(one < other for one, other in pairwise([0.0, *scores]))
    assert scores[-1] == pytest.approx(0.99)


def test_it_finds_a_treasure_that_lies_deep_and_plays_the_way_there(tmp_path: Path) -> None:
    words = f"agent=go_explore {DEEP} agent.horizon=20 agent.hold=0.5"
    run = rlkit.train(*words.split(), "total_steps=4000", "eval.every=0", "video=none", run_dir=tmp_path / "run")
    assert run.evaluate(episodes=3)["return/raw"]["min"] == pytest.approx(0.99)


def test_without_returning_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CellArchive, "choose", lambda self, rng: next(iter(self.places.values())))
    agent = explored(f"{DEEP} agent.horizon=20 agent.hold=0.5", lambda: DeepSea(20, 1, None), 1500)
    assert not agent.best


def test_a_world_whose_state_cannot_be_read_is_refused() -> None:
    class Closed(gymnasium.Env[Any, Any]):
        observation_space = gymnasium.spaces.Discrete(2)
        action_space = gymnasium.spaces.Discrete(2)

        def __init__(self) -> None:
            self.file = object()

        def reset(self, **kwargs: Any) -> Any:
            return 0, {}

        def step(self, action: Any) -> Any:
            return 0, 0.0, False, False, {}

    from rlkit.agents.go_explore import GoExplore, GoExploreSettings

    with pytest.raises(UsageError, match="agent=go_explore returns to states of the environment"):
        GoExplore(
            cells=Rounded(1.0),
            settings=GoExploreSettings(horizon=5, hold=0.0, every=1),
            simulator=Closed,
            action_space=Closed.action_space,
            rng=np.random.default_rng(0),
        )


@pytest.mark.slow
def test_it_gets_the_key_of_montezumas_first_room(tmp_path: Path) -> None:
    # About ten minutes of one core. The key is worth 100 points, which the learner sees as 1.
    words = "agent=go_explore env=atari env.game=MontezumaRevenge env.stepping=python env.sticky=0 env.stack=1"
    more = "env.life_loss=true tuned=none total_steps=6000 eval.every=0 video=none"
    run = rlkit.train(*words.split(), *more.split(), run_dir=tmp_path / "run")
    assert run.evaluate(episodes=1, max_steps=5000)["return/raw"]["min"] >= 100
