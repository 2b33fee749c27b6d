"""Ranges of settings: as they are typed, what is drawn from them, and where a configuration has their values."""

from __future__ import annotations

from typing import Any

import pytest

from rlkit.config import plugins
from rlkit.config.compose import composed
from rlkit.config.literals import literal
from rlkit.config.search_space import Dimension, at, dimension, parted_ranges, places, put
from rlkit.core.types import UsageError

OFTEN = ("ppo", "dqn", "sac", "td3", "q_learning")
AGENTS = [
    pytest.param(entry, id=entry.name, marks=[] if entry.name in OFTEN else [pytest.mark.slow])
    for entry in plugins.entries("search")
    if entry.name != "none"
]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("choice(32,64)", Dimension("a.b", "choice(32,64)", (32, 64))),
        ("32,64", Dimension("a.b", "32,64", (32, 64))),
        ("choice([64],[64,64])", Dimension("a.b", "choice([64],[64,64])", ([64], [64, 64]))),
        ("tanh,relu", Dimension("a.b", "tanh,relu", ("tanh", "relu"))),
        ("interval(0.1,0.4)", Dimension("a.b", "interval(0.1,0.4)", (), 0.1, 0.4)),
        ("range(1,11)", Dimension("a.b", "range(1,11)", (), 1, 10, 1)),
        ("range(2,11,4)", Dimension("a.b", "range(2,11,4)", (), 2, 10, 4)),
        ("tag(log,interval(1e-5,2e-3))", Dimension("a.b", "tag(log,interval(1e-5,2e-3))", (), 1e-5, 2e-3, log=True)),
        ("tag(log,int(interval(8,512)))", Dimension("a.b", "tag(log,int(interval(8,512)))", (), 8, 512, 1, log=True)),
        (
            "tag(log,one_minus,interval(0.97,0.9999))",
            Dimension("a.b", "tag(log,one_minus,interval(0.97,0.9999))", (), 1e-4, 0.03, None, True, True),
        ),
    ],
)
def test_a_range_is_read_as_hydra_writes_it(text: str, made: Dimension) -> None:
    assert dimension("a.b", text) == made


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("3", "a.b=3 is no range to search: write a.b=choice(1,2)"),
        ("choice(3)", "a.b=choice(3) is no choice: a search chooses from two values or more"),
        ("choice(3,3)", "is no choice: a search chooses from two values or more, all different"),
        ("interval(0.4,0.1)", "is an empty range; its first number must be the lower one"),
        ("range(1,2)", "holds 1 values; a search chooses from two or more"),
        ("range(0.5,2.5,0.5)", "is a range of whole numbers; for others, a.b=interval(0.1,0.4)"),
        ("tag(log,interval(0,1))", "begins at 0; the logarithm is of numbers above 0"),
        ("tag(lag,interval(0.1,1))", "has the tag lag; there is: log, one_minus"),
        ("glob(*)", "is no range to search"),
        ("interval(", "cannot read the range a.b=interval("),
    ],
)
def test_what_is_no_range_is_refused_in_a_line(text: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        dimension("a.b", text)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_are_drawn_with_four_digits_within_their_range() -> None:
    one = dimension("a", "interval(0.12342,0.98768)")
    assert [one.rounded(drawn) for drawn in (0.4567891, 0.12342, 0.98768)] == [0.4568, 0.12342, 0.98768]
    whole = dimension("a", "range(1,100)")
    assert whole.rounded(57) == 57


def test_what_is_drawn_of_one_minus_a_value_is_its_distance_to_one() -> None:
    gamma = dimension("agent.gamma", "tag(log,one_minus,interval(0.97,0.9999))")
    assert (gamma.name, gamma.value(0.0125), gamma.drawn(0.9875)) == ("1 - agent.gamma", 0.9875, 0.0125)
    assert gamma.two() == (0.9999, 0.97)


def test_lists_are_drawn_as_text_and_come_back_as_lists() -> None:
    hidden = dimension("network.hidden", "choice([64],[64,64])")
    assert hidden.value("[64,64]") == [64, 64]
    assert hidden.drawn([64]) == "[64]"


def test_all_places_that_follow_a_setting_are_found_and_no_others() -> None:
    config, _ = composed("train", ["agent=dqn", "env=cartpole"])
    found = places(config, dimension("network.hidden", "choice([8],[8,8])"))
    assert found == ["agent.network.torso.hidden", "network.hidden"]
    assert places(config, dimension("agent.gamma", "interval(0.9,0.99)")) == ["agent.gamma"]
    assert places(config, dimension("agent.network.torso.hidden", "choice([8],[8,8])")) == [
        "agent.network.torso.hidden"
    ]


def test_what_others_are_computed_from_is_refused() -> None:
    config, _ = composed("train", ["agent=dqn", "env=cartpole", "log.info=['x${seed}']"])
    with pytest.raises(UsageError, match=r"seed cannot be searched: other values are computed from it"):
        places(config, dimension("seed", "range(0,9)"))


def test_values_are_replaced_where_they_are_and_nowhere_else() -> None:
    values: dict[str, Any] = {"a": {"b": [1, {"c": 2}]}}
    put(values, "a.b.1.c", 3)
    assert (values, at(values, "a.b.0")) == ({"a": {"b": [1, {"c": 3}]}}, 1)
    with pytest.raises(LookupError):
        put(values, "a.x", 3)


def test_words_with_a_range_are_parted_from_those_with_a_value() -> None:
    words = ["agent=ppo", "agent.gamma=interval(0.9,0.99)", "agent.epochs=1,5", "total_steps=3", "broken=["]
    fixed, ranges, keys = parted_ranges(words)
    assert fixed == ["agent=ppo", "total_steps=3", "broken=["]
    assert {key: one.text for key, one in ranges.items()} == {
        "agent.gamma": "interval(0.9,0.99)",
        "agent.epochs": "1,5",
    }
    assert keys == {"agent", "total_steps"}


@pytest.mark.parametrize("entry", AGENTS)
def test_the_ranges_of_an_agent_are_of_settings_that_it_has(entry: plugins.Entry) -> None:
    node, _ = composed("search", [f"search={entry.name}"])
    ranges = [dimension(str(key), text) for key, text in node.search.items()]
    assert len(ranges) >= 5
    words = [f"{one.key}={literal(one.two()[1])}" for one in ranges]
    env = "env=tic_tac_toe" if entry.name == "alphazero" else "env=cartpole"
    composed("train", [f"agent={entry.name}", env, "tuned=none", *words])
