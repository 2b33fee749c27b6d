"""Gymnasium's own checker is asked first, and nothing of what it says is lost or said twice."""

from __future__ import annotations

import inspect
import re
import warnings
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
from broken import environments
from gymnasium import spaces
from gymnasium.utils import env_checker, passive_env_checker

from rlkit.preprocess import NoopStarts
from rlkit.testing import Result, check_env
from rlkit.testing import environments as rules
from rlkit.testing.gymnasium_checker import SAME, LegalActions, findings

RULE = "gymnasium_check_env"


def said(make: Any) -> list[Result]:
    """Return what is said in Gymnasium's name."""
    return [result for result in check_env(make, steps=60, strict=False) if result.rule == RULE]


def test_a_sound_environment_gets_one_line_and_it_is_the_first() -> None:
    told: list[Result] = []
    results = check_env(environments.Walk, steps=60, on_result=told.append)
    assert told == results
    assert results[0] == Result(RULE, True, "")
    assert [result.rule for result in results].count(RULE) == 1


def test_each_warning_is_a_remark_of_one_line() -> None:
    class Loose(environments.Walk):
        def __init__(self, render_mode: str | None = None):
            super().__init__(render_mode)
            self.action_space = spaces.Box(-2, 3, (1,), np.float32)
            self.metadata = {"render_modes": ["rgb_array"]}

    makes: list[Any] = [partial(gymnasium.make, "CartPole-v1"), Loose]
    (low, high), (action, frames) = map(said, makes)
    assert low == Result(RULE, True, "A Box observation space minimum value is -infinity. This is probably too low.")
    assert high == Result(RULE, True, "A Box observation space maximum value is infinity. This is probably too high.")
    assert action.message.startswith("For Box action spaces, we recommend using a symmetric and normalized space")
    assert frames.message.startswith("No render fps was declared in the environment")


def test_what_gymnasium_alone_sees_breaks_its_rule() -> None:
    class SharesItsInfo(environments.Walk):
        info: Any = {"list": np.zeros(2)}  # noqa: RUF012

        def step(self, action: Any) -> Any:
            return *super().step(action)[:4], self.info

    [result] = said(SharesItsInfo)
    assert not result.passed
    assert result.message.startswith("The infos returned by `env.step() (call 2)` and `env.step() (call 3)` share an")


def test_what_a_broken_rule_of_ours_says_too_is_said_once() -> None:
    results = check_env(environments.WrongDtype, steps=60, strict=False)
    assert [result.rule for result in results if not result.passed] == ["observations_fit_the_space"]
    assert results[-1] == Result(RULE, True, "it finds what observations_fit_the_space says")


def test_what_a_rule_of_ours_might_say_and_does_not_is_not_lost() -> None:
    class ShowsOneArray(environments.Walk):
        shown = np.zeros(2, np.float32)

        def observe(self) -> Any:
            return self.shown

    results = check_env(ShowsOneArray, steps=60, strict=False)
    assert {result.rule for result in results if not result.passed} == {RULE}
    assert results[-1].message.startswith(
        "The observations returned by `env.reset() (call 1)` and `env.step() (call 2)`"
    )


def test_what_the_environment_raises_is_said_once_by_our_rule() -> None:
    class Raises(environments.Walk):
        def step(self, action: Any) -> Any:
            raise KeyError("door")

    broken = [result for result in check_env(Raises, strict=False) if not result.passed]
    assert [result.rule for result in broken] == ["reset_and_step_follow_gymnasium"]


@pytest.mark.parametrize("wrap", [lambda env: env, lambda env: NoopStarts(env, 0, action=1)])
def test_actions_that_a_mask_rules_out_are_not_tried(wrap: Any) -> None:
    class Narrow(environments.Guarded):
        def allowed(self) -> Any:
            return np.array([False, True, False])

    assert findings(lambda: wrap(Narrow())) == []


def test_the_first_legal_value_of_each_choice_is_taken_instead() -> None:
    class Masked(gymnasium.Env):
        action_space = spaces.MultiDiscrete([2, 3], start=[5, 0])

        def reset(self, **kwargs: Any) -> Any:
            return 0, {"action_mask": [1, 0, 0, 1, 1]}

        def step(self, action: Any) -> Any:
            return action, 0.0, False, False, {"action_mask": [0, 1, 1, 1, 1]}

    env = LegalActions(Masked())
    env.reset()
    assert env.step(np.array([6, 0]))[0].tolist() == [5, 1]
    assert env.step(np.array([6, 0]))[0].tolist() == [6, 0]


def test_wrappers_that_cannot_be_built_again_are_no_finding() -> None:
    class Own(gymnasium.Wrapper):
        """Without Gymnasium's RecordConstructorArgs."""

    assert all(finding.passed for finding in findings(lambda: Own(gymnasium.make("CartPole-v1"))))


def test_every_rule_that_is_held_against_gymnasiums_is_there_and_every_pattern_is_of_its_text() -> None:
    known = {rule.__name__ for rule in (*rules.ESSENTIAL, *rules.RULES)}
    text = "".join(map(inspect.getsource, (env_checker, passive_env_checker)))
    for pattern, names in SAME:
        assert set(names) <= known
        for part in pattern.split("|") if "(" not in pattern else [pattern]:
            assert part == "^raised " or re.search(part.lstrip("^"), text), part


class ShortStep(environments.Walk):
    def step(self, action: Any) -> Any:
        observation, reward, terminated, _, info = super().step(action)
        return observation, reward, terminated, info


class LongReset(environments.Walk):
    def reset(self, **keys: Any) -> Any:
        return *super().reset(**keys), 0


class TextObservation(environments.Walk):
    def step(self, action: Any) -> Any:
        raise ValueError("could not convert string to float: 'far'")


@pytest.mark.parametrize("kind", [ShortStep, LongReset, TextObservation])
def test_a_checker_that_stops_at_a_mistake_is_not_taken_for_one_that_cannot_compare(kind: Any) -> None:
    results = check_env(kind, steps=60, strict=False)
    broken = [result.rule for result in results if not result.passed]
    assert "reset_and_step_follow_gymnasium" in broken
    [own] = [result for result in results if result.rule == RULE]
    assert (own.passed, own.message) == (True, "it finds what reset_and_step_follow_gymnasium says")


def test_an_observation_beyond_its_bounds_is_a_broken_rule_without_a_warning_beside_it() -> None:
    class Beyond(environments.Walk):
        def step(self, action: Any) -> Any:
            observation, *rest = super().step(action)
            return observation + 1e6, *rest

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = check_env(Beyond, steps=60, strict=False)
    assert [warning for warning in caught if "outside of" in str(warning.message)] == []
    assert next(result.rule for result in results if not result.passed) == "observations_fit_the_space"
