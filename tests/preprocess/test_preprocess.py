from __future__ import annotations

from typing import Any

import ale_py
import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation, TimeLimit, TransformObservation
from making import configured

from rlkit import preprocess
from rlkit.config.run_config import EnvironmentConfig
from rlkit.config.schemas import Vectorization
from rlkit.core.types import UsageError
from rlkit.preprocess import (
    ClipReward,
    Crop,
    FireReset,
    FrameSkip,
    FrameStack,
    Gray,
    LifeLoss,
    MaxFrames,
    NoopStarts,
    Resize,
    SignReward,
    TerminalReward,
)
from rlkit.runs import build
from rlkit.vector import snapshot
from rlkit.vector.frame_stack import frame_stack
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import Line, OwnVector, assert_same


class Screen(gymnasium.Env):
    """A game on a screen [6, 4, 3]: noise that depends on the actions, lives that are lost, an end after 23 steps."""

    observation_space = spaces.Box(0, 255, (6, 4, 3), np.uint8)
    action_space = spaces.Discrete(3)

    def __init__(self, length: int = 23, life: int = 7):
        self._length, self._life = length, life
        self._at = self._total = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._at, self._total = 0, int(self.np_random.integers(100))
        return self._screen(), self._info()

    def step(self, action: int) -> Any:
        self._at, self._total = self._at + 1, self._total + 7 * int(action) + 1
        return self._screen(), float(self._at % 5 - 1), self._at == self._length, False, self._info()

    def get_action_meanings(self) -> list[str]:
        return ["NOOP", "RIGHT", "FIRE"]

    def get_state(self) -> Any:
        return [self._at, self._total]

    def set_state(self, state: Any) -> None:
        self._at, self._total = state

    def _info(self) -> dict[str, Any]:
        return {"lives": 3 - self._at // self._life, "total": self._total}

    def _screen(self) -> Any:
        return (np.arange(72).reshape(6, 4, 3) * 31 + self._total * 53 + self._at * self._at % 17).astype(np.uint8)


def play(env: gymnasium.Env, actions: Any) -> list[Any]:
    """Return the steps of the actions, reset where an episode ends."""
    steps = []
    for action in actions:
        steps.append(env.step(int(action)))
        if steps[-1][2] or steps[-1][3]:
            steps.append(env.reset())
    return steps


def raws(env: gymnasium.Env, seed: int, actions: Any) -> list[Any]:
    return [env.reset(seed=seed)[0], *[env.step(int(action))[0] for action in actions]]


class TestTerminalReward:
    def test_the_reward_of_a_terminating_step_is_replaced_and_the_raw_one_passed_on(self) -> None:
        env = TerminalReward(Line(2, terminates=True), -5.0)
        env.reset(seed=0)
        assert env.step(0) == (1, 1.0, False, False, {"rlkit/raw_reward": 1.0})
        assert env.step(0) == (2, -5.0, True, False, {"rlkit/raw_reward": 1.0})

    def test_a_truncating_step_keeps_its_reward(self) -> None:
        env = TerminalReward(Line(1), -5.0)
        env.reset(seed=0)
        assert env.step(0) == (1, 1.0, False, True, {"rlkit/raw_reward": 1.0})

    def test_through_two_wrappers_the_environments_own_reward_is_passed_on(self) -> None:
        env = TerminalReward(TerminalReward(Line(1, terminates=True), -5.0), -7.0)
        env.reset(seed=0)
        assert env.step(0) == (1, -7.0, True, False, {"rlkit/raw_reward": 1.0})

    def test_the_stream_keeps_both_apart(self) -> None:
        env = SerialEnvironment([lambda: TerminalReward(Line(1, terminates=True), -5.0)])
        env.reset([0])
        timestep = env.step(np.array([0]))
        assert timestep.reward.tolist() == [-5.0]
        assert timestep.info.raw_reward.tolist() == [1.0]


class TestRewards:
    def test_clipped_rewards_lie_between_the_bounds(self) -> None:
        env = ClipReward(Screen(), -0.5, 2.0)
        env.reset(seed=0)
        steps = [env.step(0) for _ in range(5)]
        assert [step[1] for step in steps] == [0.0, 1.0, 2.0, 2.0, -0.5]
        assert [step[4]["rlkit/raw_reward"] for step in steps] == [0.0, 1.0, 2.0, 3.0, -1.0]

    def test_of_signed_rewards_the_sign_is_left(self) -> None:
        env = SignReward(Screen())
        env.reset(seed=0)
        steps = [env.step(0) for _ in range(5)]
        assert [step[1] for step in steps] == [0.0, 1.0, 1.0, 1.0, -1.0]
        assert [step[4]["rlkit/raw_reward"] for step in steps] == [0.0, 1.0, 2.0, 3.0, -1.0]

    @pytest.mark.parametrize(
        "wrap", [lambda env: ClipReward(FrameSkip(env, 4), -1, 1), lambda env: FrameSkip(ClipReward(env, -1, 1), 4)]
    )
    def test_raw_rewards_are_the_games_own_through_skip_and_clip(self, wrap: Any) -> None:
        env = SerialEnvironment([lambda: wrap(Screen())])
        env.reset([0])
        steps = [env.step(np.array([0])) for _ in range(6)]
        assert [step.info.raw_reward[0] for step in steps] == [6.0, 2.0, 3.0, 4.0, 5.0, 3.0]
        assert sum(step.reward[0] for step in steps) < 23.0

    def test_bounds_the_wrong_way_round_are_refused(self) -> None:
        with pytest.raises(UsageError, match="low is 1 and high -1; low must not be greater"):
            ClipReward(Screen(), 1, -1)


class TestFrames:
    def test_a_skipping_step_holds_the_action_and_stops_at_the_end(self) -> None:
        env = FrameSkip(Screen(length=6), 4)
        _, info = env.reset(seed=0)
        observation, reward, terminated, truncated, after = env.step(2)
        assert after["total"] == info["total"] + 4 * 15
        assert (reward, terminated, truncated) == (6.0, False, False)
        observation, reward, terminated, _, _ = env.step(0)
        # Two steps are left, not four.
        assert (reward, terminated) == (-1.0, True)
        assert np.array_equal(observation, env.unwrapped._screen())

    def test_a_skipping_step_stops_at_a_truncation(self) -> None:
        env = FrameSkip(TimeLimit(Screen(), 5), 4)
        env.reset(seed=0)
        assert env.step(0)[1:4] == (6.0, False, False)
        observation, reward, terminated, truncated, _ = env.step(0)
        # One step is left, not four.
        assert (reward, terminated, truncated) == (-1.0, False, True)
        assert np.array_equal(observation, env.unwrapped._screen())

    def test_pooled_pictures_are_the_greater_of_the_last_two(self) -> None:
        actions = [0, 2, 1, 1, 0]
        seen, pooled = raws(Screen(), 1, actions), raws(MaxFrames(Screen()), 1, actions)
        assert np.array_equal(pooled[0], seen[0])
        for k in range(1, 6):
            assert np.array_equal(pooled[k], np.maximum(seen[k - 1], seen[k]))

    def test_the_first_picture_of_an_episode_is_not_pooled_with_the_last_of_the_one_before(self) -> None:
        env = MaxFrames(Screen(length=3))
        env.reset(seed=1)
        play(env, [0, 0])
        first, _ = env.reset()
        assert np.array_equal(first, env.unwrapped._screen())
        assert np.array_equal(env.step(1)[0], np.maximum(first, env.unwrapped._screen()))

    def test_pooling_within_skipping_pools_the_last_two_of_the_skipped(self) -> None:
        seen = raws(Screen(), 1, [2] * 8)
        env = FrameSkip(MaxFrames(Screen()), 4)
        env.reset(seed=1)
        assert np.array_equal(env.step(2)[0], np.maximum(seen[3], seen[4]))
        assert np.array_equal(env.step(2)[0], np.maximum(seen[7], seen[8]))

    def test_stacks_are_gymnasiums(self) -> None:
        ours, theirs = FrameStack(Screen(length=9), 3), FrameStackObservation(Screen(length=9), 3)
        assert ours.observation_space == theirs.observation_space
        assert_same(ours.reset(seed=2), theirs.reset(seed=2))
        actions = [0, 1, 2, 2, 1, 0, 0, 1, 2, 1, 1, 1, 0]
        assert_same(play(ours, actions), play(theirs, actions))

    def test_a_stack_that_was_given_out_stays_as_it_was(self) -> None:
        env = FrameStack(Screen(), 3)
        shown = [env.reset(seed=2)[0], *[env.step(1)[0] for _ in range(5)]]
        copies = [stack.copy() for stack in shown]
        play(env, [2] * 30)
        assert_same(shown, copies)

    @pytest.mark.parametrize(
        ("wrap", "line"),
        [
            (lambda: FrameSkip(Screen(), 0), "skip is 0; it must be at least 1"),
            (lambda: FrameStack(Screen(), 0), "size is 0; it must be at least 1"),
            (lambda: FrameStack(Line(3), 4), r"FrameStack takes Box observations, not Discrete\(10000\)"),
            (lambda: MaxFrames(Line(3)), "MaxFrames takes Box observations"),
        ],
    )
    def test_what_cannot_be_is_refused(self, wrap: Any, line: str) -> None:
        with pytest.raises(UsageError, match=line):
            wrap()


class TestImages:
    def test_grey_is_the_luma_to_which_the_standard_rounds(self) -> None:
        env = Gray(Screen())
        assert env.observation_space == spaces.Box(0, 255, (6, 4), np.uint8)
        seen = raws(Screen(), 3, [1] * 30)
        grey = raws(env, 3, [1] * 30)
        exact = np.array(seen) @ np.array([0.299, 0.587, 0.114])
        assert np.abs(np.array(grey) - exact).max() <= 0.51
        assert grey[0].dtype == np.uint8

    def test_grey_is_what_ale_draws(self) -> None:
        words = "agent=dqn env=atari env.game=Seaquest env.stepping=python env.sticky=0 env.noop_max=0 env.grey=false"
        env: Any = build.make_single(configured(f"{words} env.size=[210,160] env.stack=1").environment)
        drawn = np.zeros((210, 160), np.uint8)
        env.reset(seed=0)
        for t in range(60):
            env.step(t % 18)
            colour: Any = env.unwrapped._ale.getScreenRGB()
            env.unwrapped._ale.getScreenGrayscale(drawn)
            assert np.array_equal(Gray.observation(Gray(Screen()), colour), drawn)
        assert isinstance(env.unwrapped._ale, ale_py.ALEInterface)

    def test_area_takes_means_and_nearest_takes_pixels(self) -> None:
        seen = raws(Screen(), 3, [1])[1].astype(float)
        area = raws(Resize(Screen(), [3, 2]), 3, [1])[1]
        means = seen.reshape(3, 2, 2, 2, 3).mean((1, 3))
        assert np.abs(area - means).max() <= 0.5
        nearest = raws(Resize(Screen(), [3, 2], "nearest"), 3, [1])[1]
        assert np.array_equal(nearest, seen[::2, ::2])

    @pytest.mark.parametrize("channels", [(), (1,), (3,)])
    def test_the_shape_is_that_of_the_space(self, channels: tuple[int, ...]) -> None:
        space = spaces.Box(0, 255, (6, 4, *channels), np.uint8)
        shape = lambda picture: picture[..., :1] if channels == (1,) else picture if channels else picture[..., 0]  # noqa: E731
        env = TransformObservation(Screen(), shape, space)
        for wrapped in (Resize(env, [5, 7]), Crop(env, 1, 2, 0, 1)):
            observation, _ = wrapped.reset(seed=0)
            assert wrapped.observation_space.contains(observation)
            assert observation.shape == ((5, 7) if isinstance(wrapped, Resize) else (3, 3)) + channels

    def test_cropped_pictures_are_what_lies_within(self) -> None:
        seen, cropped = raws(Screen(), 3, [1]), raws(Crop(Screen(), 1, 2, 0, 1), 3, [1])
        assert np.array_equal(cropped[1], seen[1][1:4, :3])

    @pytest.mark.parametrize(
        ("wrap", "line"),
        [
            (lambda env: Gray(Gray(env)), r"Gray takes color images, \[height, width, 3\] uint8"),
            (lambda env: Gray(FrameStack(env, 4)), "put it before FrameStack"),
            (lambda env: Resize(env, [84]), r"takes size=\[height, width\], e\.g\. \[84,84\], not \[84\]"),
            (lambda env: Resize(env, [84, 84], "nearst"), "no interpolation nearst; did you mean nearest"),
            (lambda env: Crop(env, 3, 3, 0, 0), "leaves nothing of 6x4"),
            (lambda env: Crop(env, 0, -1, 0, 0), "is negative"),
        ],
    )
    def test_what_cannot_be_is_refused(self, wrap: Any, line: str) -> None:
        with pytest.raises(UsageError, match=line):
            wrap(Screen())


class TestStarts:
    def test_no_op_starts_are_as_often_of_each_length(self) -> None:
        env = NoopStarts(Screen(), 3)
        env.reset(seed=0)
        counts = np.bincount([env.unwrapped._at for _ in range(400) if env.reset()], minlength=4)
        assert counts.sum() == 400
        assert counts.min() > 70

    def test_the_number_of_no_ops_comes_from_the_seed(self) -> None:
        env, other = NoopStarts(Screen(), 20, action=1), NoopStarts(Screen(), 20, action=1)
        starts = [(env.reset(seed=seed)[1]["total"], env.unwrapped._at) for seed in range(20)]
        assert starts == [(other.reset(seed=seed)[1]["total"], other.unwrapped._at) for seed in range(20)]
        assert len({at for _, at in starts}) > 5

    def test_a_game_that_ends_during_the_no_ops_begins_anew(self) -> None:
        env = NoopStarts(Screen(length=5), 30)
        env.reset(seed=0)
        assert {env.unwrapped._at for _ in range(100) if env.reset()} == {0, 1, 2, 3, 4}

    def test_fire_is_pressed_once_where_there_is_such_a_button(self) -> None:
        env = FireReset(Screen())
        before, _ = Screen().reset(seed=4)
        env.reset(seed=4)
        assert env.unwrapped._at == 1
        assert np.array_equal(env.unwrapped._screen(), raws(Screen(), 4, [2])[1])
        assert not np.array_equal(before, env.unwrapped._screen())

    def test_without_the_button_nothing_is_pressed(self) -> None:
        class Unarmed(Screen):
            def get_action_meanings(self) -> list[str]:
                return ["NOOP", "LEFT", "RIGHT"]

        env = FireReset(Unarmed())
        env.reset(seed=4)
        assert env.unwrapped._at == 0

    def test_a_game_that_ends_by_the_press_begins_anew(self) -> None:
        env = FireReset(Screen(length=1), action=1)
        env.reset(seed=4)
        assert env.unwrapped._at == 0

    def test_who_does_not_say_what_fires_is_asked_for_it(self) -> None:
        with pytest.raises(UsageError, match=r"has no get_action_meanings\(\); give action="):
            FireReset(Line(3))
        with pytest.raises(UsageError, match="max is -1"):
            NoopStarts(Line(3), -1)


class TestLifeLoss:
    def test_a_lost_life_ends_the_episode_and_not_the_game(self) -> None:
        env = SerialEnvironment([lambda: LifeLoss(Screen(length=23, life=7))])
        env.reset([0])
        steps = [env.step(np.array([1])) for _ in range(30)]
        # Lives are 3, 2 after 7 steps, 1 after 14, 0 after 21 (which no rule calls a lost life), and the end after 23.
        assert [t for t, step in enumerate(steps, 1) if step.last[0]] == [7, 14, 23, 30]
        assert [t for t, step in enumerate(steps, 1) if step.info.game_over[0]] == [23]
        assert [step.discount[0] for step in steps if step.last[0]] == [0, 0, 0, 0]
        for t in (7, 14):
            assert np.array_equal(steps[t - 1].observation, steps[t - 1].next_observation)
        assert not np.array_equal(steps[22].observation, steps[22].next_observation)

    def test_the_observations_are_those_of_the_game_without_it(self) -> None:
        plain, ours = TimeLimit(Screen(), 100), LifeLoss(Screen())
        plain.reset(seed=1)
        ours.reset(seed=1)
        for t in range(22):
            expected, (observation, _, terminated, _, _) = plain.step(t % 3), ours.step(t % 3)
            assert np.array_equal(observation, expected[0])
            if terminated:
                assert np.array_equal(ours.reset()[0], observation)

    def test_a_reset_with_a_seed_or_before_any_loss_begins_a_new_game(self) -> None:
        env = LifeLoss(Screen())
        env.reset(seed=1)
        assert [env.step(0)[2] for _ in range(7)][-1]
        env.reset(seed=1)
        assert env.unwrapped._at == 0
        env.step(0)
        env.reset()
        assert env.unwrapped._at == 0

    def test_within_a_stack_the_history_begins_anew_and_outside_of_it_goes_on(self) -> None:
        for wrap, repeated in (
            (lambda env: FrameStack(LifeLoss(env), 3), True),
            (lambda env: LifeLoss(FrameStack(env, 3)), False),
        ):
            env: Any = wrap(Screen())
            env.reset(seed=1)
            ended = [env.step(1)[0] for _ in range(7)][-1]
            begun, _ = env.reset()
            assert np.array_equal(begun[2], ended[2])
            assert np.array_equal(begun[0], ended[2] if repeated else ended[0])

    def test_an_environment_without_lives_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"LifeLoss needs info\['lives'\]"):
            LifeLoss(Line(3)).reset()


NODES = [
    {"_target_": "rlkit.preprocess.NoopStarts", "max": 3},
    {"_target_": "rlkit.preprocess.FireReset"},
    {"_target_": "rlkit.preprocess.MaxFrames"},
    {"_target_": "rlkit.preprocess.FrameSkip", "skip": 2},
    {"_target_": "rlkit.preprocess.Crop", "top": 1, "bottom": 1, "left": 0, "right": 0},
    {"_target_": "rlkit.preprocess.Gray"},
    {"_target_": "rlkit.preprocess.Resize", "size": [3, 3]},
    {"_target_": "rlkit.preprocess.FrameStack", "size": 4},
    {"_target_": "rlkit.preprocess.LifeLoss"},
    {"_target_": "rlkit.preprocess.ClipReward", "low": -1, "high": 1},
    {"_target_": "rlkit.preprocess.CountBonus", "scale": 0.5},
]


def composed(vectorization: str = "sync") -> Any:
    node = {"_target_": "test_preprocess.Screen"}
    config = EnvironmentConfig(node, NODES, vectorization=Vectorization[vectorization])
    return build.make_environment(config, num_envs=2)


class TestTogether:
    def test_all_compose_from_yaml(self) -> None:
        env = composed()
        assert env.observation_space == spaces.Box(0, 255, (4, 3, 3), np.uint8)
        assert env.reset([1, 2]).observation.shape == (2, 4, 3, 3)

    @pytest.mark.parametrize("vectorization", ["sync", "async"])
    def test_their_state_is_in_the_environments(self, vectorization: str) -> None:
        env, other = composed(vectorization), composed(vectorization)
        env.reset([1, 2])
        other.reset([8, 9])
        acts = np.random.default_rng(0).integers(3, size=(60, 2))
        for act in acts[:5]:
            env.step(act)
        state = env.get_state()
        after = [env.step(act)[:6] for act in acts[5:]]
        assert any(step[3].any() for step in after)
        other.set_state(state)
        assert_same([other.step(act)[:6] for act in acts[5:]], after)
        env.close()
        other.close()

    def test_a_lost_life_can_be_saved_before_the_reset_after_it(self) -> None:
        env, other = LifeLoss(FrameStack(Screen(), 3)), LifeLoss(FrameStack(Screen(), 3))
        env.reset(seed=1)
        assert [env.step(1)[2] for _ in range(7)][-1]
        other.reset(seed=2)
        snapshot.restore(other, snapshot.capture(env))  # type: ignore[arg-type]
        assert_same(other.reset(), env.reset())
        assert_same(play(other, [0, 1, 2] * 12), play(env, [0, 1, 2] * 12))


class Twice(gymnasium.ObservationWrapper):
    def observation(self, observation: Any) -> Any:
        return observation


class TestFrameStackIsTold:
    @pytest.mark.parametrize(
        ("wrap", "frames"),
        [
            (lambda env: env, 1),
            (lambda env: FrameStack(env, 4), 4),
            (lambda env: FrameStackObservation(env, 3, padding_type="zero"), 3),
            (lambda env: ClipReward(LifeLoss(TimeLimit(NoopStarts(FrameStack(env, 4), 3), 50)), -1, 1), 4),
            (lambda env: FrameStack(Gray(env), 2), 2),
            # What may be done to the stack from outside is not known.
            (lambda env: Twice(FrameStack(env, 4)), 1),
            (lambda env: FrameSkip(FrameStack(env, 4), 2), 1),
            (lambda env: MaxFrames(FrameStack(env, 4)), 1),
        ],
    )
    def test_of_wrapped_environments(self, wrap: Any, frames: int) -> None:
        assert frame_stack(wrap(Screen())) == frames
        assert SerialEnvironment([lambda: wrap(Screen())]).frame_stack == frames

    def test_of_environments_in_workers(self) -> None:
        env = SubprocessEnvironment([lambda: FrameStack(Screen(), 4)])
        assert env.frame_stack == 4
        env.close()

    def test_of_vector_environments_that_say_it(self) -> None:
        class Stacking(OwnVector):
            frame_stack = 5

        assert VectorEnvironment(lambda: Stacking([lambda: Line(3)])).frame_stack == 5
        assert VectorEnvironment(lambda: OwnVector([lambda: Line(3)])).frame_stack == 1

    def test_stacks_move_by_one_frame_wherever_it_is_told(self) -> None:
        env = composed()
        before, moved = env.reset([1, 2]), 0
        for act in np.random.default_rng(0).integers(3, size=(60, 2)):
            after = env.step(act)
            assert np.array_equal(after.next_observation[:, :-1], before.observation[:, 1:])
            moved += not np.array_equal(after.next_observation[:, -1], before.observation[:, -1])
            before = after
        assert moved > 50


def test_only_some_numbers_of_an_observation_are_kept() -> None:
    whole = gymnasium.make("CartPole-v1")
    env = preprocess.Keep(gymnasium.make("CartPole-v1"), [2, 0])
    np.testing.assert_array_equal(env.observation_space.high, whole.observation_space.high[[2, 0]])
    shown, all_of_it = env.reset(seed=3)[0], whole.reset(seed=3)[0]
    np.testing.assert_array_equal(shown, all_of_it[[2, 0]])
    assert env.observation_space.contains(shown)
    with pytest.raises(UsageError, match=r"indices are \[4\]; they must be from 0 to 3"):
        preprocess.Keep(whole, [4])
    with pytest.raises(UsageError, match=r"rows of numbers, not Discrete\(16\)"):
        preprocess.Keep(gymnasium.make("FrozenLake-v1"), [0])
