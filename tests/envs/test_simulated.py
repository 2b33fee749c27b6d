"""Robots of other packages in MuJoCo: states in the middle of an episode, goals, options."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlkit.core.types import UsageError
from rlkit.envs import dm_control, robotics
from rlkit.vector import snapshot
from rlkit.vector.serial import SerialEnvironment
from toys import assert_same

Make = Callable[[], gymnasium.Env[Any, Any]]


def task(domain: str, name: str, **changed: Any) -> gymnasium.Env[Any, Any]:
    return dm_control.make(**{"domain": domain, "task": name, "flat": True, "size": 64, "kwargs": {}, **changed})


FAST: dict[str, Make] = {
    "FetchReach": partial(robotics.make, "FetchReach-v4", {}),
    "FetchPush": partial(robotics.make, "FetchPush-v4", {}),
    "PointMaze": partial(robotics.make, "PointMaze_UMaze-v3", {}),
    "AntMaze": partial(robotics.make, "AntMaze_UMaze-v5", {}),
    "cheetah": partial(task, "cheetah", "run"),
    "reacher": partial(task, "reacher", "easy"),
}
SLOW: dict[str, Make] = {
    **{
        name: partial(robotics.make, name, {})
        for name in (
            *("FetchSlide-v4", "FetchPickAndPlace-v4", "HandReach-v3", "HandManipulateBlock-v1"),
            *("PointMaze_Medium_Diverse_GR-v3", "HandManipulateEgg_ContinuousTouchSensors-v1"),
        )
    },
    **{
        f"{domain} {name}": partial(task, domain, name)
        for domain, name in (
            *(("finger", "turn_hard"), ("fish", "swim"), ("humanoid", "walk"), ("manipulator", "bring_ball")),
            *(("point_mass", "hard"), ("swimmer", "swimmer6"), ("walker", "walk"), ("quadruped", "escape")),
            *(("lqr", "lqr_2_1"), ("stacker", "stack_2"), ("dog", "walk"), ("acrobot", "swingup")),
        )
    },
}


def goes_on(make: Make) -> None:
    """Check that a captured episode goes on bit for bit in another environment, and so do the next ones."""
    env, other = make(), make()
    env.reset(seed=1)
    other.reset(seed=2)
    space: Any = env.action_space
    rng = np.random.default_rng(0)
    actions = rng.uniform(space.low, space.high, (60, *space.shape)).astype(space.dtype)
    for i in range(9):
        env.step(actions[i])
        if i < 3:
            other.step(actions[i])
    saved = snapshot.capture(env)
    assert saved is not None, snapshot.why_opaque(env)
    snapshot.restore(other, saved)
    assert_same(snapshot.capture(other), saved)
    for i, action in enumerate(actions[9:]):
        assert_same(other.step(action)[:4], env.step(action)[:4])
        if i == 40:
            assert_same(other.reset()[0], env.reset()[0])
    env.close()
    other.close()


@pytest.mark.parametrize("name", FAST)
def test_a_state_of_the_middle_of_an_episode_goes_on_bit_for_bit(name: str) -> None:
    goes_on(FAST[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_so_do_those_of_more_of_them(name: str) -> None:
    goes_on(SLOW[name])


@pytest.mark.parametrize("name", ["FetchReach", "PointMaze", "cheetah"])
def test_environments_of_one_seed_have_one_state(name: str) -> None:
    envs = [FAST[name](), FAST[name]()]
    for env in envs:
        env.reset(seed=1)
    assert_same(snapshot.capture(envs[0]), snapshot.capture(envs[1]))


def test_a_version_of_mujoco_that_the_suite_cannot_read_has_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*given: object, **options: object) -> None:
        raise AttributeError("'MjModel' object has no attribute 'flex_vertedge'")

    monkeypatch.setattr("dm_control.suite.load", load)
    with pytest.raises(UsageError, match=r'cannot read this version of MuJoCo .*: pip install "mujoco<4"$'):
        FAST["cheetah"]()


def test_what_is_not_read_is_said() -> None:
    assert "AdroitHandDoorEnv sets" in str(snapshot.why_opaque(robotics.make("AdroitHandDoor-v1", {})))


@pytest.mark.parametrize("name", ["FetchReach", "PointMaze"])
def test_goals_are_those_of_the_environment(name: str) -> None:
    env = SerialEnvironment([FAST[name]])
    timestep = env.reset([0])
    rules = env.goals()
    assert rules.terminated is not None
    for _ in range(3):
        timestep = env.step(np.ones((1, *env.action_space.shape), np.float32))
        reached = timestep.next_observation
        assert rules.reward(reached["achieved_goal"], reached["desired_goal"]).tolist() == timestep.reward.tolist()
    own = np.repeat(reached["achieved_goal"], 3, axis=0)
    best = rules.reward(own, own)
    assert best.tolist() == [best.max()] * 3
    assert best.max() > timestep.reward[0]
    assert rules.terminated(own, own).tolist() == [False] * 3


def test_a_task_is_the_suite_s() -> None:
    env, parts = task("cheetah", "run"), task("cheetah", "run", flat=False)
    assert isinstance(parts.observation_space, gymnasium.spaces.Dict)
    assert env.observation_space.shape == (17,)
    env.reset(seed=0)
    ends = [env.step(np.zeros(6))[2:4] for _ in range(1000)]
    assert ends[-2:] == [(False, False), (False, True)]  # its time ends, which is no end of its own


def test_frames_without_a_screen() -> None:
    env = task("cheetah", "run", render_mode="rgb_array")
    env.reset(seed=0)
    assert np.asarray(env.render()).shape == (64, 64, 3)
    env.close()


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (partial(task, "cheeta", "run"), "env.domain=cheeta is no domain of dm_control's suite; did you mean cheetah?"),
        (partial(task, "cheetah", "walk"), "env.task=walk is no task of cheetah; there is: run"),
        (partial(task, "cheetah", "run", kwargs={"x": 1}), r"env.kwargs=\{'x': 1\} are not options of cheetah run: "),
        (partial(robotics.make, "FetchReac-v4", {}), "env.id=FetchReac-v4 is none of Gymnasium-Robotics; did you mean"),
        (partial(robotics.make, "CartPole-v1", {}), "env.id=CartPole-v1 is none of Gymnasium-Robotics"),
        (partial(robotics.make, "FetchReach-v4", {"x": 1}), r"env.kwargs=\{'x': 1\} are not options of FetchReach-v4"),
    ],
)
def test_what_does_not_exist_is_refused_in_a_line(make: Make, line: str) -> None:
    with pytest.raises(UsageError, match=f"^{line}"):
        make()


@pytest.mark.parametrize(
    ("module", "make", "remedy"),
    [
        (
            "dm_control",
            FAST["cheetah"],
            r'env=dm_control needs dm_control: pip install "shimmy\[dm-control\]" "mujoco<4"',
        ),
        ("gymnasium_robotics", FAST["FetchReach"], "needs Gymnasium-Robotics: pip install gymnasium-robotics"),
    ],
)
def test_a_missing_package_has_its_remedy(
    module: str, make: Make, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=f"{remedy}$"):
        make()
