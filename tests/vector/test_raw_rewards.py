"""Raw rewards are those of the innermost environment, whatever wraps it, however it is stepped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import WrapperSpec
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeReward, TimeLimit, TransformObservation, TransformReward
from gymnasium.wrappers import vector as vector_wrappers

import rlkit
from rlkit.core.types import Environment
from rlkit.preprocess import ClipReward, FrameSkip, NoopStarts
from rlkit.rendering.render_wrapper import RenderWrapper
from rlkit.vector import snapshot
from rlkit.vector.raw_rewards import RawReward, with_raw_rewards
from rlkit.vector.serial import SerialEnvironment
from rlkit.vector.subprocess import SubprocessEnvironment
from rlkit.vector.vector import VectorEnvironment
from toys import Bare, OwnVector


class Rising(gymnasium.Env[Any, int]):
    """Rewards ``start``, ``start + .5``, …, whole numbers as int; it never ends by itself."""

    observation_space = spaces.Box(0, 999, (1,), np.float32)
    action_space = spaces.Discrete(2)
    tells = False  # whether it calls something else than its reward raw

    def __init__(self, start: float = 0.0):
        self._start = start

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._at = 0
        return np.zeros(1, np.float32), {"rlkit/raw_reward": -999}

    def step(self, action: int) -> Any:
        reward = self._start + self._at / 2
        self._at += 1
        info = {"rlkit/raw_reward": -reward} if self.tells else {}
        shown = int(reward) if reward.is_integer() else reward
        return np.full(1, self._at, np.float32), shown, False, False, info


class Telling(Rising):
    """Calls the negative of its reward raw, as a game does where the turn has passed."""

    tells = True


class Shaped(gymnasium.RewardWrapper[Any, Any]):
    """A user's own."""

    def reward(self, reward: Any) -> float:
        return 10 * float(reward) - 3


class Liar(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Shapes the reward, and calls it raw."""

    def step(self, action: Any) -> Any:
        observation, _, terminated, truncated, info = self.env.step(action)
        return observation, 77.0, terminated, truncated, {**info, "rlkit/raw_reward": 77.0}


def times(env: gymnasium.Env, factor: float) -> gymnasium.Env:
    return TransformReward(env, lambda reward: factor * float(reward))


WRAPS: dict[str, Callable[[gymnasium.Env], gymnasium.Env]] = {
    "none": lambda env: env,
    "a user's": Shaped,
    "two": lambda env: times(Shaped(env), 0.25),
    "Gymnasium's": lambda env: NormalizeReward(env),
    "one that lies": Liar,
    "one that says nothing": lambda env: Bare(Shaped(env)),
    "around a clip": lambda env: Shaped(ClipReward(env, -1, 1)),
    "within a clip": lambda env: ClipReward(Shaped(env), -1, 1),
    "around what is seen": lambda env: Shaped(TransformObservation(env, lambda seen: seen, None)),
}
LIMITS = ((3, 3.0), (4, 0.0))  # an episode's steps, and its first reward


def made(wrap: Callable[[gymnasium.Env], gymnasium.Env], core: type[Rising] = Rising) -> list[Callable[[], Any]]:
    return [lambda limit=limit, start=start: wrap(TimeLimit(core(start), limit)) for limit, start in LIMITS]


STEPPED: dict[str, Callable[[list[Any]], Environment]] = {
    "serial": SerialEnvironment,
    "subprocess": SubprocessEnvironment,
    "same-step": lambda makes: VectorEnvironment(lambda: SyncVectorEnv(makes, autoreset_mode=AutoresetMode.SAME_STEP)),
    "next-step": lambda makes: VectorEnvironment(lambda: SyncVectorEnv(makes, autoreset_mode=AutoresetMode.NEXT_STEP)),
    "disabled": lambda makes: VectorEnvironment(lambda: SyncVectorEnv(makes, autoreset_mode=AutoresetMode.DISABLED)),
}


def raws_of(env: Environment, decisions: int = 12) -> list[list[float]]:
    """Return the raw rewards of the first valid steps of each environment."""
    env.reset([0] * env.num_envs)
    rows: list[list[float]] = [[] for _ in range(env.num_envs)]
    while min(map(len, rows)) < decisions:
        step = env.step(np.zeros(env.num_envs, np.int64))
        for i in np.flatnonzero(step.valid):
            rows[i].append(float(step.info.raw_reward[i]))
    env.close()
    return [row[:decisions] for row in rows]


THREE, FOUR = [3.0, 3.5, 4.0] * 4, [0.0, 0.5, 1.0, 1.5] * 3


@pytest.mark.parametrize("stepped", STEPPED)
@pytest.mark.parametrize("wrap", WRAPS)
def test_raw_is_what_the_innermost_environment_gave_at_truncation_too(wrap: str, stepped: str) -> None:
    assert raws_of(STEPPED[stepped](made(WRAPS[wrap]))) == [THREE, FOUR]


@pytest.mark.parametrize("stepped", STEPPED)
def test_what_an_environment_itself_calls_raw_stays_so_through_wrappers(stepped: str) -> None:
    told = [[-value for value in row] for row in (THREE, FOUR)]
    assert raws_of(STEPPED[stepped](made(Shaped, Telling))) == told


@pytest.mark.parametrize("wrap", [lambda env: Shaped(FrameSkip(env, 3)), lambda env: FrameSkip(Shaped(env), 3)])
def test_skipped_steps_add_up_to_the_end_of_an_episode(wrap: Any) -> None:
    env = SerialEnvironment([lambda: wrap(TimeLimit(Rising(1.0), 5))])
    env.reset([0])
    steps = [env.step(np.array([0])) for _ in range(4)]
    assert [step.info.raw_reward[0] for step in steps] == [1 + 1.5 + 2, 2.5 + 3, 1 + 1.5 + 2, 2.5 + 3]
    assert [step.last[0] for step in steps] == [False, True, False, True]


def test_what_a_reset_brings_in_is_nobodys_reward() -> None:
    env = SerialEnvironment([lambda: Shaped(NoopStarts(Rising(1.0), 5))])
    firsts = set()
    for seed in range(8):
        began = float(env.reset([seed]).observation[0, 0])
        assert env.step(np.array([0])).info.raw_reward[0] == 1 + began / 2
        firsts.add(began)
    assert len(firsts) > 1, "some episodes must begin with idle steps"


def test_wrappers_of_a_vector_environment_leave_raw_rewards_alone() -> None:
    for mode in AutoresetMode:
        make = lambda mode=mode: vector_wrappers.TransformReward(  # noqa: E731
            SyncVectorEnv(made(Shaped), autoreset_mode=mode), lambda reward: reward * 100
        )
        assert raws_of(VectorEnvironment(make)) == [THREE, FOUR]


def test_wrappers_of_a_users_vector_environment_leave_raw_rewards_alone_also_when_built_anew() -> None:
    def make() -> Any:
        return vector_wrappers.ClipReward(OwnVector(made(WRAPS["none"])), 0.1, 0.2)

    env = VectorEnvironment(make)
    assert raws_of(VectorEnvironment(make)) == [THREE, FOUR]
    env.restart([0, 0])
    step = env.step(np.zeros(2, np.int64))
    assert step.info.raw_reward.tolist() == [3.0, 0.0]
    np.testing.assert_allclose(step.reward, [0.2, 0.1], rtol=1e-6)


def test_whole_numbers_of_one_environment_do_not_round_those_of_another() -> None:
    # Gymnasium's workers write infos into an array of the first value's type, here that of int 3 beside .5.
    assert raws_of(SubprocessEnvironment(made(lambda env: ClipReward(env, -1, 1))))[1] == FOUR


def test_wrappers_that_leave_rewards_alone_cost_nothing_and_capture_sees_no_layer_more() -> None:
    plain = TimeLimit(Rising(), 3)
    assert with_raw_rewards(plain) is plain
    tapped = with_raw_rewards(ClipReward(TimeLimit(gymnasium.make("CartPole-v1").unwrapped, 3), -1, 1))
    assert isinstance(tapped, RawReward)
    assert with_raw_rewards(RenderWrapper(tapped, lambda frame: None)).env is tapped
    assert [type(layer).__name__ for layer in snapshot.layers(tapped)] == ["ClipReward", "TimeLimit", "CartPoleEnv"]
    assert snapshot.why_opaque(tapped) is None


def test_films_tell_the_raw_score() -> None:
    frames: list[Any] = []
    env = RenderWrapper(Shaped(TimeLimit(Rising(1.0), 3)), frames.append)
    env.reset(seed=0)
    for _ in range(3):
        env.step(0)
    assert "4.5" in frames[-1].caption


@pytest.fixture
def _shaped_id() -> Any:
    gymnasium.register(
        "Shaped-v0",
        lambda: gymnasium.make("CartPole-v1").unwrapped,
        max_episode_steps=20,
        additional_wrappers=(WrapperSpec("Shaped", f"{__name__}:Shaped", {}),),
    )
    yield
    del gymnasium.registry["Shaped-v0"]


@pytest.mark.usefixtures("_shaped_id")
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_a_run_logs_the_games_score_and_the_learners_return_apart(
    vectorization: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("agent=random", "env=gym", "env.id=Shaped-v0", "total_steps=200", "video=none", "logger=[csv]")
    again = "preprocess=[{_target_: gymnasium.wrappers.ClipReward, max_reward: 0.5}]"
    periods = ("eval.every=100", "eval.episodes=3", "num_envs=2", f"vectorization={vectorization}")
    run = rlkit.train(*words, *periods, again)
    np.testing.assert_array_equal(run.episodes["return/raw"], run.episodes["length"])
    np.testing.assert_array_equal(run.episodes["return/learner"], run.episodes["length"] / 2)
    np.testing.assert_array_equal(run.evaluations["return/raw"], run.evaluations["length"])
    score = run.evaluate(5)
    assert score["return/raw"]["mean"] == score["length"]["mean"]
