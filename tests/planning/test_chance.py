"""Searches do not know what an environment's generator draws next."""

from __future__ import annotations

import random
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlkit.core.types import UsageError
from rlkit.planning.mdp.sources import from_environment
from rlkit.planning.search.copies import SAMPLED, CopyModel
from rlkit.vector.chance import leaves_to_chance


class Coin(gymnasium.Env):
    """Guess the next toss of a fair coin."""

    observation_space = spaces.Discrete(1)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.t = 0
        return 0, {}

    def toss(self) -> int:
        return int(self.np_random.integers(2))

    def step(self, action: int) -> Any:
        self.t += 1
        return 0, float(action == self.toss()), self.t >= 10, False, {}

    def get_state(self) -> Any:
        return {"t": self.t}

    def set_state(self, state: Any) -> None:
        self.t = state["t"]


class Fair(Coin):
    """Shows heads always: nothing is left to chance."""

    def toss(self) -> int:
        return 0


class Late(Coin):
    """Tosses only in the tenth step of an episode."""

    def toss(self) -> int:
        return super().toss() if self.t == 10 else 0


def agreements(model: CopyModel, outcome: int) -> int:
    """Return in how many of 200 states the model's `outcome` of guessing heads is that of the true environment."""
    env, same = Coin(), 0
    for seed in range(200):
        env.reset(seed=seed)
        guess, chosen = np.zeros(1, np.int64), np.full(1, outcome)
        expected = model.step(model.read(env)[None], guess, chosen).reward[0]
        same += env.step(0)[1] == expected
    return same


@pytest.mark.parametrize(("outcomes", "outcome"), [(1, 0), (None, 0), (None, 7), (8, 3)])
def test_a_copy_of_a_coin_does_not_know_the_next_toss(outcomes: int | None, outcome: int) -> None:
    # 200 fair tosses agree 100 times, give or take 7.07: within 4.2 standard deviations.
    assert 70 <= agreements(CopyModel(Coin(), outcomes), outcome) <= 130


def test_outcomes_are_drawn_where_the_generator_moves() -> None:
    assert CopyModel(Coin(), None).num_outcomes == SAMPLED
    assert CopyModel(Fair(), None).num_outcomes == 1
    assert CopyModel(Coin(), 3).num_outcomes == 3
    assert CopyModel(gymnasium.make("Blackjack-v1", disable_env_checker=True), None).num_outcomes == SAMPLED
    assert CopyModel(gymnasium.make("CartPole-v1", disable_env_checker=True), None).num_outcomes == 1


def test_the_same_state_has_the_same_outcomes() -> None:
    model, env = CopyModel(Coin(), None), Coin()
    env.reset(seed=1)
    state, guess = model.read(env)[None], np.zeros(1, np.int64)
    rows = [[model.step(state, guess, np.full(1, k)).reward[0] for k in range(SAMPLED)] for _ in range(2)]
    assert rows[0] == rows[1]
    assert set(rows[0]) == {0.0, 1.0}


class Twister(Coin):
    """Draws from a generator whose state holds an array."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        result = super().reset(seed=seed)
        self.np_random = np.random.Generator(np.random.MT19937(seed))
        return result


def test_generators_of_other_kinds_are_sampled_as_well() -> None:
    model, env = CopyModel(Twister(), None), Twister()
    env.reset(seed=1)
    assert model.num_outcomes == SAMPLED
    state, guess = model.read(env)[None], np.zeros(1, np.int64)
    assert {model.step(state, guess, np.full(1, k)).reward[0] for k in range(SAMPLED)} == {0.0, 1.0}


class Own(Coin):
    """Keeps a generator of its own in its state."""

    def __init__(self, generator: Any):
        self.own = generator

    def toss(self) -> int:
        return int(self.own.random() < 0.5)

    def get_state(self) -> Any:
        return {"t": self.t, "own": self.own}

    def set_state(self, state: Any) -> None:
        self.t, self.own = state["t"], state["own"]


class OwnBits(Own):
    """Keeps its state as plain data."""

    def get_state(self) -> Any:
        own = self.own
        return {"own": own.getstate() if isinstance(own, random.Random) else own.bit_generator.state}

    def set_state(self, state: Any) -> None:
        if isinstance(self.own, random.Random):
            self.own.setstate(state["own"])
        else:
            self.own.bit_generator.state = state["own"]


@pytest.mark.parametrize("kind", [Own, OwnBits])
@pytest.mark.parametrize("generator", [np.random.default_rng, random.Random])
def test_a_generator_of_its_own_is_refused(kind: Any, generator: Any) -> None:
    says = rf"{kind.__name__} keeps a generator of its own in its state.*draw from self\.np_random$"
    with pytest.raises(UsageError, match=says):
        CopyModel(kind(generator(0)), None)
    with pytest.raises(UsageError, match=says):
        from_environment(kind(generator(0)), samples=2, seed=0)


def test_a_generator_that_rests_is_nothing_left_to_chance() -> None:
    assert not leaves_to_chance(Fair())
    assert leaves_to_chance(Coin())
    assert leaves_to_chance(Late())
