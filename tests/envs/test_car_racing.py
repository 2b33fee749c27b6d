"""CarRacing: the same pictures as Gymnasium's, seven actions, and a driver that stays on the track."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from making import run_config
from recordings import record

from rlkit import preprocess
from rlkit.config import instantiate
from rlkit.config.compose import compose_alone
from rlkit.core.types import UsageError
from rlkit.learners.datasets.demonstrations import read_episodes
from rlkit.play.keyboard import keys_for
from rlkit.runs import build

pytest.importorskip("Box2D")

from gymnasium.envs.box2d.car_racing import CarRacing

from rlkit.envs.car_racing import CLASSES, CentreLine, make
from rlkit.envs.car_racing_world import Racing
from rlkit.rendering.render_wrapper import headless


def options(**changed: Any) -> dict[str, Any]:
    node = instantiate.plain(compose_alone("env/car_racing"))["env"]
    return {**{key: value for key, value in node.items() if key != "_target_"}, **changed}


def driver() -> CentreLine:
    return instantiate.build(instantiate.plain(compose_alone("expert/centre_line"))["expert"], {}, "expert")  # type: ignore[no-any-return]


def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be drawn, which takes most of the time."""
    nothing = np.zeros((96, 96, 3), np.uint8)
    monkeypatch.setattr(Racing, "_render", lambda self, mode: nothing)


def test_pictures_and_rewards_are_gymnasiums_bit_by_bit() -> None:
    ours, theirs = Racing(render_mode="rgb_array"), CarRacing(render_mode="rgb_array")
    rng = np.random.default_rng(0)
    with headless():
        assert np.array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
        for t in range(80):
            action = np.array(CLASSES[rng.choice(7, p=[0.1, 0.5, 0.02, 0.15, 0.02, 0.2, 0.01])], np.float32)
            mine, its = ours.step(action), theirs.step(action)
            assert np.array_equal(mine[0], its[0]), t
            assert mine[1:4] == its[1:4]
        assert np.array_equal(ours.render(), theirs.render())


def test_an_episode_depends_on_nothing_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    blind(monkeypatch)
    env = make(**options())
    runs = []
    for before in (0, 25):
        env.reset(seed=8)
        for _ in range(before):
            env.step(5)
        env.reset(seed=9)
        for t in range(60):
            env.step(1 if t % 3 else 3)
        runs.append(tuple(env.unwrapped.car.hull.position))  # type: ignore[attr-defined]
    assert runs[0] == runs[1]


def test_what_is_seen_is_grey_without_the_panel() -> None:
    env, raw = make(**options(stack=2)), Racing()
    seen, _ = env.reset(seed=1)
    assert env.observation_space.contains(seen)
    assert seen.shape == (2, 84, 84)
    picture, _ = raw.reset(seed=1)
    grey = np.rint(picture @ [0.299, 0.587, 0.114])
    assert np.abs(seen[1].astype(float) - grey[:84, 6:90]).max() <= 1
    colour = make(**options(grey=False, crop=None, size=[48, 48]))
    assert colour.reset(seed=1)[0].shape == (1, 48, 48, 3)


def test_actions_are_the_seven_classes_and_brake_as_hard_as_asked_for() -> None:
    seen: list[Any] = []
    env = make(**options(brake=0.25))
    world: Any = env.unwrapped
    world.step = lambda action: (seen.append(action), (np.zeros((96, 96, 3), np.uint8), 0.0, False, False, {}))[1]
    world.reset = lambda **keys: (np.zeros((96, 96, 3), np.uint8), {})
    env.reset()
    for action in range(7):
        env.step(action)
    assert np.array_equal(seen, np.array(CLASSES) * [1, 1, 0.25])
    assert make(**options(discrete=False)).action_space.shape == (3,)  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r"env.brake is 2; it must be from 0 to 1"):
        make(**options(brake=2))


def test_arrow_keys_drive() -> None:
    pytest.importorskip("pygame")
    keys = keys_for(make(**options()))
    held = lambda *names: keys.action(frozenset(names))  # noqa: E731
    assert keys.idle == 0
    assert [held("up"), held("down"), held("left"), held("right")] == [1, 2, 3, 5]
    assert [held("left", "down"), held("right", "down")] == [4, 6]
    # There is no class for gas in a bend: steering goes before it.
    assert [held("left", "up"), held("right", "up")] == [3, 5]


def test_the_driver_completes_tracks_that_it_has_never_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    blind(monkeypatch)
    path = record(tmp_path / "e", "env=car_racing", player=driver(), episodes=2, max_steps=1000)
    found = read_episodes(path)
    scores = [facts["return"] for facts in found.episodes]
    assert min(scores) > 850, scores
    assert {*found.action} == set(range(7))


def test_the_driver_is_refused_where_it_cannot_drive() -> None:
    config = run_config("agent=random", "env=car_racing", "env.discrete=false").environment
    with pytest.raises(UsageError, match=r"drives in env=car_racing with env.discrete=true only"):
        driver().read(build.make_single(config))  # type: ignore[arg-type]


class TestDiscreteActions:
    def test_a_choice_stands_for_a_row(self) -> None:
        import gymnasium

        seen: list[Any] = []
        inner: Any = gymnasium.make("Pendulum-v1")
        inner.step = lambda action: seen.append(action)
        env = preprocess.DiscreteActions(inner, [[-2], [0], [1.5]])
        for action in (2, 0):
            env.step(action)
        assert [action.tolist() for action in seen] == [[1.5], [-2.0]]
        assert env.action_space.n == 3

    def test_what_is_no_action_is_refused(self) -> None:
        import gymnasium

        with pytest.raises(UsageError, match=r"actions\[1\] is \[3.0\], which is not in Box"):
            preprocess.DiscreteActions(gymnasium.make("Pendulum-v1"), [[0], [3]])
        with pytest.raises(UsageError, match="needs actions that are rows of numbers, not Discrete"):
            preprocess.DiscreteActions(gymnasium.make("CartPole-v1"), [[0]])
