"""Any wrapper on one part of a Dict or Tuple, as if that part were alone, and the rest as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from making import run_config
from sights import Sights

from rlkit.core.types import UsageError
from rlkit.preprocess import FrameSkip, FrameStack, Keep, Part, Resize
from rlkit.runs.build import make_environment, make_single
from rlkit.vector import snapshot
from rlkit.vector.frame_stack import frame_stack
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from toys import Nested, assert_same

WORDS = "agent=random env=cartpole env._target_=sights.Sights ~env.id ~env.kwargs +env.cue=image"


def resized(env: gymnasium.Env) -> gymnasium.Env:
    return Resize(env, (10, 8))


def stacked(size: int) -> Callable[[gymnasium.Env], gymnasium.Env]:
    return lambda env: FrameStack(env, size)


def played(env: gymnasium.Env, steps: int = 40) -> list[Any]:
    """Return what an environment shows, with its rewards."""
    shown = [(env.reset(seed=3)[0], 0.0)]
    for _ in range(steps):
        observation, reward, _, truncated, _ = env.step(1)
        shown.append((observation, reward))
        if truncated:
            shown.append((env.reset()[0], 0.0))
    return shown


def test_a_part_is_wrapped_as_if_it_were_alone_and_the_rest_stays() -> None:
    env = Part(Sights("image"), "image", lambda part: FrameStack(resized(part), 3))
    assert env.observation_space["image"].shape == (3, 10, 8, 1)
    assert env.observation_space["vector"] == Sights("image").observation_space["vector"]
    assert list(env.observation_space) == ["image", "vector"]
    stack: list[Any] = []
    for (shown, reward), (plain, wanted) in zip(played(env), played(Sights("image")), strict=True):
        small = Resize(Sights("image", alone=True), (10, 8)).observation(plain["image"])
        begins = not stack or reward == wanted == 0.0
        assert env.observation_space.contains(shown)
        assert (reward, shown["vector"].tolist()) == (wanted, plain["vector"].tolist())
        assert_same(shown["image"][-1], small)
        if not begins:
            assert_same(shown["image"][:-1], stack[-1][1:])
        stack.append(shown["image"])


def test_its_state_is_read_and_restored_in_the_middle_of_an_episode() -> None:
    make = lambda: Part(Sights("image"), "image", stacked(3))  # noqa: E731
    env, other = make(), make()
    played(env, 5)
    saved = snapshot.capture(env)
    assert saved is not None
    snapshot.restore(other, saved)
    for _ in range(20):
        assert_same(env.step(0)[:3], other.step(0)[:3])


@pytest.mark.parametrize(
    ("wrap", "frames"),
    [
        (lambda env: Part(env, "image", stacked(3)), {"image": 3, "vector": 1}),
        (lambda env: Part(Part(env, "image", stacked(3)), "vector", stacked(2)), {"image": 3, "vector": 2}),
        (lambda env: Part(Part(env, "image", stacked(2)), "vector", stacked(2)), 2),
        (lambda env: Part(Part(env, "image", stacked(3)), "image", resized_frames), 1),
        (lambda env: Part(Part(env, "image", stacked(3)), "vector", kept), {"image": 3, "vector": 1}),
        (lambda env: Part(Part(env, "image", stacked(3)), "vector", lambda part: FrameSkip(part, 2)), 1),
        (lambda env: FrameSkip(Part(env, "image", stacked(3)), 2), 1),
        (lambda env: Part(env, "vector", kept), 1),
    ],
)
def test_only_certain_stacks_count_and_each_part_has_its_own(wrap: Any, frames: Any) -> None:
    assert frame_stack(wrap(Sights("image"))) == frames


def kept(env: gymnasium.Env) -> gymnasium.Env:
    return Keep(env, [0, 2])


class Halved(gymnasium.ObservationWrapper):
    def observation(self, observation: Any) -> Any:
        return observation // 2


def resized_frames(env: gymnasium.Env) -> gymnasium.Env:
    return Halved(env)


def test_a_nested_part_and_an_unknown_one() -> None:
    env = Part(Nested(), "where/0", lambda part: Keep(part, [1]))
    observation = env.reset(seed=0)[0]
    assert env.observation_space.contains(observation)
    assert observation["where"][0].shape == (1,)
    assert isinstance(observation["where"], tuple)
    with pytest.raises(UsageError, match=r"no part 'where/2'; name one of its parts: where/0, where/1, image, flags/"):
        Part(Nested(), "where/2", stacked(2))
    with pytest.raises(
        UsageError, match=r"FrameStack takes Box observations.*give it _part_: name where it is for one"
    ):
        FrameStack(Nested(), 2)


@pytest.mark.parametrize("kind", [SerialEnvironment, SubprocessEnvironment])
def test_the_adapter_says_how_many_frames_each_part_stacks(kind: Any) -> None:
    env = kind([lambda: Part(Sights("image"), "image", stacked(3))] * 2)
    try:
        assert env.frame_stack == {"image": 3, "vector": 1}
        first = env.reset([1, 2]).observation
        assert {name: part.shape for name, part in first.items()} == {"image": (2, 3, 20, 20, 1), "vector": (2, 4)}
    finally:
        env.close()


def test_a_preset_names_the_part_of_each_wrapper() -> None:
    resize, stack = "Resize,size:[10,8]", "FrameStack,size:3"
    wrappers = ",".join(f"{{_target_:rlkit.preprocess.{one},_part_:image}}" for one in (resize, stack))
    config = run_config(*WORDS.split(), f"preprocess=[{wrappers}]")
    env = make_environment(config.environment, num_envs=2)
    assert env.observation_space["image"].shape == (3, 10, 8, 1)
    assert env.frame_stack == {"image": 3, "vector": 1}
    wrong = run_config(*WORDS.split(), "preprocess=[{_target_:rlkit.preprocess.FrameStack,size:2,_part_:imgae}]")
    with pytest.raises(UsageError, match=r"no part 'imgae'; name one of its parts: image, vector"):
        make_single(wrong.environment)


def test_a_part_that_is_a_dict_itself_can_be_filtered() -> None:
    env = Part(Nested(), "flags", lambda part: gymnasium.wrappers.FilterObservation(part, ["even"]))
    assert list(env.reset(seed=0)[0]["flags"]) == ["even"]
    assert env.observation_space["flags"] == spaces.Dict(even=spaces.MultiBinary(2))
    assert np.array_equal(env.step(env.action_space.sample())[0]["image"].shape, (2, 3))
