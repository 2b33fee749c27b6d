"""Preprocessors and pictures at their edges: values by hand."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlkit.core.types import RunError, UsageError
from rlkit.preprocess import ClipReward, Crop, DiscreteActions, FrameSkip, Gray, LifeLoss, Resize, SignReward
from rlkit.rendering.frames import GAP, check_frame, scaled, tiled


class Told(gymnasium.Env):
    """Shows how many steps were made since the reset, and says of each what it was told: reward, end, lives."""

    observation_space: Any = spaces.Box(0, 255, (1,), np.uint8)
    action_space = spaces.Discrete(2)

    def __init__(self, *steps: tuple[float, bool, bool, dict[str, Any]]):
        self._steps, self.resets = steps, 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self._at, self.resets = 0, self.resets + 1
        return np.array([0], np.uint8), {"lives": 3}

    def step(self, action: int) -> Any:
        reward, terminated, truncated, info = self._steps[self._at % len(self._steps)]
        self._at += 1
        return np.array([self._at], np.uint8), reward, terminated, truncated, dict(info)


def lives(number: int, *, over: bool = False) -> tuple[float, bool, bool, dict[str, Any]]:
    return 1.0, over, False, {"lives": number}


class TestLifeLoss:
    def test_a_new_game_by_a_seed_forgets_the_lost_life(self) -> None:
        env = LifeLoss(Told(lives(2)))
        env.reset()
        assert env.step(0)[2]
        assert env.reset(seed=1)[0].tolist() == [0]
        # At once again: there is no lost life to go on from.
        assert env.reset()[0].tolist() == [0]
        assert env.unwrapped.resets == 3

    def test_after_a_lost_life_the_game_goes_on_once(self) -> None:
        env = LifeLoss(Told(lives(2)))
        env.reset()
        env.step(0)
        assert [env.reset()[0].tolist() for _ in range(2)] == [[1], [0]]
        assert env.unwrapped.resets == 2

    def test_more_lives_or_none_left_are_no_lost_life(self) -> None:
        env = LifeLoss(Told(lives(3), lives(4), lives(3), lives(0), lives(0, over=True)))
        env.reset()
        steps = [env.step(0) for _ in range(5)]
        assert [step[2] for step in steps] == [False, False, True, False, True]
        assert [step[4].get("rlkit/game_over") for step in steps] == [None, None, False, None, None]

    def test_a_life_lost_with_the_game_is_the_games_end(self) -> None:
        for end in ({"terminated": True, "truncated": False}, {"terminated": False, "truncated": True}):
            env = LifeLoss(Told((1.0, end["terminated"], end["truncated"], {"lives": 2})))
            env.reset()
            info = env.step(0)[4]
            assert "rlkit/game_over" not in info
            assert env.reset()[0].tolist() == [0]


class TestRewards:
    def test_bounds_may_be_equal(self) -> None:
        env = ClipReward(Told((-3.0, False, False, {})), 1.0, 1.0)
        env.reset()
        assert env.step(0)[1] == 1.0

    @pytest.mark.parametrize(
        ("reward", "clipped", "sign"), [(-3, -1, -1), (-0.25, -0.25, -1), (0, 0, 0), (0.5, 0.5, 1), (7, 2, 1)]
    )
    def test_each_is_shown_as_it_should_be(self, reward: float, clipped: float, sign: float) -> None:
        for wrap, expected in ((lambda env: ClipReward(env, -1, 2), clipped), (SignReward, sign)):
            env: Any = wrap(Told((reward, False, False, {})))
            env.reset()
            _, shown, _, _, info = env.step(0)
            assert (shown, info["rlkit/raw_reward"]) == (expected, reward)

    def test_skipped_rewards_add_up_and_so_do_the_raw_ones_within(self) -> None:
        steps = [(3.0, False, False, {}), (-0.5, False, False, {}), (2.0, True, False, {}), (9.0, False, False, {})]
        env = FrameSkip(ClipReward(Told(*steps), -1, 1), 4)
        env.reset()
        observation, reward, terminated, truncated, info = env.step(0)
        assert observation.tolist() == [3]
        assert (reward, terminated, truncated, info["rlkit/raw_reward"]) == (1 - 0.5 + 1, True, False, 3 - 0.5 + 2)

    def test_skipped_rewards_count_by_the_discounts_before_them(self) -> None:
        steps = [
            (4.0, False, False, {"rlkit/discount": 0.5}),
            (2.0, False, False, {"rlkit/discount": 0.25}),
            (8.0, False, False, {}),
        ]
        env = FrameSkip(Told(*steps), 3)
        env.reset()
        _, reward, _, _, info = env.step(0)
        assert (reward, info["rlkit/raw_reward"]) == (4 + 0.5 * 2 + 0.5 * 0.25 * 8, 14)
        env = FrameSkip(Told(*steps), 2)
        env.reset()
        assert env.step(0)[-1]["rlkit/discount"] == 0.5 * 0.25

    def test_an_action_is_not_held_for_the_other_player(self) -> None:
        env = FrameSkip(Told((0.0, False, False, {"rlkit/discount": -1.0}), (1.0, False, False, {})), 2)
        env.reset()
        with pytest.raises(UsageError, match="the turn passed to another player before the last; leave it out"):
            env.step(0)
        once = FrameSkip(Told((1.0, False, False, {"rlkit/discount": -1.0})), 1)
        once.reset()
        assert (once.step(0)[1], once.step(0)[-1]["rlkit/discount"]) == (1, -1)


class Still(gymnasium.Env):
    """Shows one picture."""

    action_space = spaces.Discrete(2)

    def __init__(self, picture: Any):
        self._picture = np.array(picture, np.uint8)
        self.observation_space = spaces.Box(0, 255, self._picture.shape, np.uint8)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return self._picture, {}


class TestImages:
    def test_grey_weighs_red_green_and_blue(self) -> None:
        colors = [[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [10, 20, 30]]]
        # .299, .587 and .114 of 255; of 10, 20 and 30: 2.99 + 11.74 + 3.42.
        assert Gray(Still(colors)).reset()[0].tolist() == [[76, 150, 29, 255, 18]]

    def test_area_is_the_mean_height_comes_before_width(self) -> None:
        picture = [[0, 2, 10, 10], [4, 6, 30, 30], [0, 0, 100, 104], [0, 8, 100, 104], [9, 9, 9, 9], [9, 9, 9, 13]]
        env = Resize(Still(picture), [3, 2])
        assert env.observation_space.shape == (3, 2)
        assert env.reset()[0].tolist() == [[3, 20], [2, 102], [9, 10]]

    def test_each_side_is_cut_by_its_own_number(self) -> None:
        picture = np.arange(30).reshape(5, 6)
        shown = Crop(Still(picture), 1, 2, 0, 3).reset()[0]
        assert shown.tolist() == [[6, 7, 8], [12, 13, 14]]
        whole = Crop(Still(picture), 0, 4, 5, 0).reset()[0]
        assert whole.tolist() == [[5]]

    def test_the_nearest_choice_is_that_of_the_least_distance(self) -> None:
        env: Any = gymnasium.make("MountainCarContinuous-v0")
        choices = DiscreteActions(env, [[-1.0], [0.0], [0.5]])
        assert [choices.choice([value]) for value in (-0.6, -0.4, 0.2, 0.3, 1.0)] == [0, 1, 1, 2, 2]
        assert choices.action(2).tolist() == [0.5]


class TestPictures:
    def test_side_by_side_they_stand_apart_on_black(self) -> None:
        whole = tiled([np.full((2, 3, 3), k + 1, np.uint8) for k in range(3)])
        # Two columns and two rows; the last place stays empty.
        assert whole.shape == (2 + GAP + 2, 3 + GAP + 3, 3)
        assert whole[:, :, 0].tolist() == [
            *[[1, 1, 1, *[0] * GAP, 2, 2, 2]] * 2,
            *[[0] * (6 + GAP)] * GAP,
            *[[3, 3, 3, *[0] * GAP, 0, 0, 0]] * 2,
        ]
        assert tiled([np.ones((2, 3, 3), np.uint8)]).shape == (2, 3, 3)
        assert tiled([np.ones((2, 3, 3), np.uint8)] * 2).shape == (2, 6 + GAP, 3)
        assert tiled([np.ones((2, 3, 3), np.uint8)] * 5).shape == (4 + GAP, 9 + 2 * GAP, 3)

    def test_enlarged_by_a_whole_number_every_pixel_is_a_square(self) -> None:
        picture = np.array([[[0, 0, 0], [255, 255, 255], [10, 10, 10]], [[90, 90, 90], [0, 0, 0], [200, 200, 200]]])
        picture = picture.astype(np.uint8)
        assert scaled(picture, 6).tolist() == picture.repeat(3, axis=0).repeat(3, axis=1).tolist()
        assert scaled(picture, 2) is picture
        # 2 x 3 at height 3 is 3 x 4 (4.5, to even) and blended.
        blended = scaled(picture, 3)
        assert blended.shape == (3, 4, 3)
        assert not set(blended[:, :, 0].ravel().tolist()) <= set(picture[:, :, 0].ravel().tolist())
        assert scaled(np.zeros((100, 1, 3), np.uint8), 10).shape == (10, 1, 3)

    @pytest.mark.parametrize(
        ("picture", "found"),
        [
            (np.zeros((4, 5), np.uint8), r"uint8 \[4, 5\]"),
            (np.zeros((4, 5, 4), np.uint8), r"uint8 \[4, 5, 4\]"),
            (np.zeros((4, 5, 3)), r"float64 \[4, 5, 3\]"),
        ],
    )
    def test_what_is_no_picture_is_refused(self, picture: Any, found: str) -> None:
        with pytest.raises(RunError, match=rf"render\(\) returned {found}; a frame is"):
            check_frame(picture)
        right = np.zeros((4, 5, 3), np.uint8)
        assert check_frame(right) is right
