"""Constructors of tabular and linear agents show every setting, under the names that their YAML has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from rlkit.config import instantiate
from rlkit.config.compose import composed

FROM_RUN = {"observation_space", "action_space", "rng", "model"}
AGENTS = (
    "q_learning",
    "double_q_learning",
    "sarsa",
    "expected_sarsa",
    "mc_control",
    "td_prediction",
    "mc_prediction",
    "linear_q",
    "linear_sarsa",
    "linear_td_prediction",
    "value_iteration",
    "policy_iteration",
)


def node(*words: str) -> dict[str, Any]:
    config: dict[str, Any] = instantiate.plain(composed("train", ["tuned=none", *words])[0])
    return config["agent"]  # type: ignore[no-any-return]


def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = dict(inspect.signature(target).parameters)
    kinds = {parameter.kind for parameter in parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    return parameters


def assert_shown(settings: dict[str, Any]) -> None:
    target = instantiate.locate(settings["_target_"], "agent")
    parameters = parameters_of(target)
    given = {name for name, parameter in parameters.items() if "FromRun" in str(parameter.annotation)}
    assert set(parameters) - given == set(settings) - {"_target_"}
    assert given <= FROM_RUN
    assert all(parameter.default is parameter.empty for parameter in parameters.values())
    described = inspect.getdoc(target.__init__)  # type: ignore[misc]
    assert described is not None
    assert [name for name in parameters if f"{name}: " not in described] == []


@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_shows_every_setting(agent: str) -> None:
    assert_shown(node(f"agent={agent}"))


@pytest.mark.parametrize("discretizer", ["grid", "kmeans", "tree"])
def test_a_discretizer_shows_every_setting(discretizer: str) -> None:
    assert_shown(node("agent=q_learning", f"discretizer@agent.discretizer={discretizer}")["discretizer"])
