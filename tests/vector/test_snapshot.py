from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers

from rlkit import preprocess
from rlkit.core.array_spaces import as_arrays
from rlkit.core.zero_based import DiscreteTuple
from rlkit.preprocess import SignReward, TerminalReward
from rlkit.rendering.render_wrapper import RenderWrapper
from rlkit.vector import snapshot
from toys import Counting, Plain, assert_same

IDS = (
    "CartPole-v1",
    "Acrobot-v1",
    "MountainCar-v0",
    "MountainCarContinuous-v0",
    "Pendulum-v1",
    "FrozenLake-v1",
    "CliffWalking-v1",
    "CliffWalkingSlippery-v1",
    "Taxi-v4",
    "Blackjack-v1",
)


def make(env_id: str, **keys: Any) -> gymnasium.Env:
    return gymnasium.make(env_id, disable_env_checker=True, **keys)


def play(env: gymnasium.Env, steps: int) -> list[Any]:
    """Return what `env` shows under fixed actions, restarted where it ends."""
    space = env.action_space
    shown = []
    for k in range(steps):
        discrete = isinstance(space, gymnasium.spaces.Discrete)
        action = int(space.start) + k * k % int(space.n) if discrete else np.full(space.shape, np.sin(k), np.float32)
        observation, reward, terminated, truncated, _ = env.step(action)
        shown.append((np.asarray(observation), float(reward), bool(terminated), bool(truncated)))
        if terminated or truncated:
            shown.append(np.asarray(env.reset()[0]))
    return shown


def assert_continues(build: Any) -> None:
    used, untouched, other = build(), build(), build()
    for env in (used, untouched):
        env.reset(seed=3)
        play(env, 17)
    state = snapshot.capture(used)
    after = play(used, 300)
    assert_same(after, play(untouched, 300))
    other.reset(seed=4)
    play(other, 5)
    snapshot.restore(other, state)
    assert_same(play(other, 300), after)


@pytest.mark.parametrize("env_id", IDS)
def test_every_environment_of_the_table_continues_exactly(env_id: str) -> None:
    assert_continues(lambda: make(env_id))


def test_taxi_with_rain_and_a_fickle_passenger_continues_exactly() -> None:
    assert_continues(lambda: make("Taxi-v4", is_rainy=True, fickle_passenger=True))


def test_blackjack_by_the_book_continues_exactly() -> None:
    assert_continues(lambda: as_arrays(make("Blackjack-v1", sab=True)))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: wrappers.ClipAction(env),
        lambda env: wrappers.RescaleAction(env, -1, 1),
        lambda env: wrappers.DtypeObservation(env, np.float32),
        lambda env: wrappers.FlattenObservation(env),
        lambda env: wrappers.RescaleObservation(env, np.float32(-1), np.float32(1)),
        lambda env: wrappers.ReshapeObservation(env, (3, 1)),
        lambda env: wrappers.ClipReward(env, -1, 1),
        lambda env: wrappers.TimeLimit(env, 7),
        lambda env: SignReward(env),
        lambda env: TerminalReward(env, -1.0),
    ],
)
def test_every_wrapper_of_the_table_continues_exactly(wrap: Any) -> None:
    assert_continues(lambda: wrap(make("Pendulum-v1")))


def test_an_environment_that_was_never_reset_is_captured_too() -> None:
    env = make("FrozenLake-v1")
    state = snapshot.capture(env)
    env.reset(seed=1)
    after = play(env, 30)
    other = make("FrozenLake-v1")
    snapshot.restore(other, state)
    other.reset(seed=1)
    assert_same(play(other, 30), after)


def test_a_captured_state_does_not_change_while_the_environment_goes_on() -> None:
    env = make("Blackjack-v1")
    env.reset(seed=0)
    state = snapshot.capture(env)
    hands = [list(layer["player"]) for layer in state["layers"] if "player" in layer]
    assert len(hands) == 1
    env.step(1)
    assert [layer["player"] for layer in state["layers"] if "player" in layer] == hands
    snapshot.restore(env, state)
    env.step(1)
    assert [layer["player"] for layer in state["layers"] if "player" in layer] == hands


@pytest.mark.parametrize("kind", snapshot.BIT_GENERATORS.values(), ids=list(snapshot.BIT_GENERATORS))
def test_a_generator_of_any_kind_continues_exactly(kind: Any) -> None:
    used, other = Plain(), Plain()
    used.np_random = np.random.Generator(kind(3))
    other.np_random = np.random.Generator(np.random.PCG64(4))
    used.reset()
    other.reset()
    state = snapshot.capture(used)
    after = play(used, 50)
    snapshot.restore(other, state)
    assert_same(play(other, 50), after)


def test_a_generator_that_nobody_knows_is_not_called() -> None:
    env = Plain()
    env.reset(seed=0)
    state = snapshot.capture(env)
    state["generator"]["state"]["bit_generator"] = "seed"
    with pytest.raises(KeyError):
        snapshot.restore(env, state)


def test_a_layer_that_offers_its_state_is_asked_for_it() -> None:
    env = wrappers.TimeLimit(Plain(), 50)
    assert snapshot.why_opaque(env) is None
    assert_continues(lambda: wrappers.TimeLimit(Plain(), 50))


def test_one_opaque_layer_makes_the_whole_opaque_and_is_named() -> None:
    transformed = wrappers.TransformObservation(Plain(), lambda observation: observation, None)
    for env, culprit in (
        (Counting(), "toys.Counting"),
        (wrappers.TimeLimit(Counting(), 5), "toys.Counting"),
        (wrappers.TimeLimit(transformed, 5), "gymnasium.wrappers.transform_observation.TransformObservation"),
    ):
        why = f"{culprit} declares no state_fields and offers no get_state() and set_state(state)"
        assert snapshot.why_opaque(env) == why
        assert snapshot.capture(env) is None


def test_layers_go_from_the_outside_in() -> None:
    env = DiscreteTuple(make("Blackjack-v1"))
    assert [type(layer).__name__ for layer in snapshot.layers(env)] == [
        "DiscreteTuple",
        "OrderEnforcing",
        "BlackjackEnv",
    ]


@pytest.mark.parametrize("name", preprocess.__all__)
def test_every_preprocessor_can_be_captured(name: str) -> None:
    assert snapshot.reading(getattr(preprocess, name)).refusal is None


def test_what_films_an_environment_is_no_part_of_its_state() -> None:
    plain, watched = make("CartPole-v1"), RenderWrapper(make("CartPole-v1"), lambda frame: None)
    for env in (plain, watched):
        env.reset(seed=3)
        env.step(0)
    assert_same(snapshot.capture(plain), snapshot.capture(watched))
    snapshot.restore(watched, snapshot.capture(plain))
    assert_same(play(watched, 50), play(plain, 50))
