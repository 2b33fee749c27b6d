"""Ranges of numbers: declared in annotations, checked before anything is built, told in one line."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping, Sequence
from math import inf, nan
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from rlkit.agents.dqn import DQNSettings
from rlkit.cli.main import main
from rlkit.config.annotations import Namespace
from rlkit.config.instantiate import build, defaults
from rlkit.config.literals import spelled
from rlkit.config.values import Declared
from rlkit.core.ranges import NonNegativeFloat, PositiveFloat, PositiveInt, Probability, Range, shown
from rlkit.core.schedules import Constant, Exponential, ProbabilitySchedule
from rlkit.core.types import UsageError

CHOICE = Literal["a", "b"]
AUTO = Literal["auto"]
EPSILON = ProbabilitySchedule


@pytest.mark.parametrize(
    ("declared", "good", "bad"),
    [
        (PositiveInt, [1, 2**63 - 1], {0: "it must be at least 1", 2**63: "it must be less than 2^63"}),
        (PositiveFloat, [1e-300], {0.0: "it must be more than 0", inf: "it must be a finite number"}),
        (Probability, [0, 0.5, 1], {1.5: "it must be from 0 to 1", -0.1: "it must be from 0 to 1"}),
        (NonNegativeFloat, [0], {-1e-9: "it must be at least 0"}),
        (float, [-1.5, 3], {inf: "it must be a finite number", -inf: "it must be a finite number"}),
        (Annotated[float, Range(0, 0.5, open_above=True)], [0.4], {0.5: "it must be from 0 to less than 0.5"}),
        (Annotated[float, Range(infinite=True)], [inf, -inf, 1.0], {}),
        (Annotated[float, Range(or_nan=True)], [nan, 1.0], {inf: "it must be a finite number"}),
    ],
)
def test_a_number_is_held_against_its_range(declared: Any, good: Sequence[float], bad: Mapping[float, str]) -> None:
    of = Declared(declared, Namespace(test_a_number_is_held_against_its_range))
    assert [of.problem(value, "a.b") for value in good] == [""] * len(good)
    for value, rule in bad.items():
        assert of.problem(value, "a.b") == f"a.b is {shown(value)}; {rule}"


def test_not_a_number_is_refused_unless_a_range_has_it() -> None:
    of = Declared("Probability | None", Namespace(test_not_a_number_is_refused_unless_a_range_has_it))
    assert of.problem(nan, "x") == "x is nan; it must be from 0 to 1, or null"
    assert of.problem(None, "x") == ""


FLOATING, INTEGER, ARRAY = np.floating, np.integer, np.ndarray


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        ("Sequence[PositiveInt]", [3, 0], "x[1] is 0; it must be at least 1"),
        ("np.floating | np.integer | np.ndarray", -1, ""),
        ("np.ndarray", [0.5, 1], ""),
        ("float | np.ndarray", "x", ""),
        ("Sequence[PositiveInt]", 5, "x is 5, but it must be a list, e.g. x=[1,2]"),
        ("PositiveInt | Sequence[PositiveInt]", 0, "x is 0; it must be at least 1"),
        ("tuple[float, float]", [1.0], "x is [1.0], but it must be a list of 2"),
        ("Mapping[int, Probability]", {1: 2}, "x.1 is 2; it must be from 0 to 1"),
        ("Mapping[int, Probability]", 3, "x is 3, but it must have keys of its own, e.g. x={key:value}"),
        ("CHOICE", "c", "x is 'c', but it must be one of a, b"),
        ("PositiveFloat | AUTO", -1, "x is -1; it must be more than 0"),
        ("PositiveInt", True, "x is true, but it must be a whole number"),
        ("float", "much", "x is 'much', but it must be a number"),
        ("FLOATING | INTEGER | ARRAY", -1, ""),
        ("FLOATING", "much", "x is 'much', but it must be a number"),
        ("INTEGER", 0.5, "x is 0.5, but it must be a whole number"),
        ("EPSILON", Constant(2.0), "x at step 0 is 2; it must be from 0 to 1"),
        ("EPSILON", Exponential(1.0, -1.0, 1.0), "x in the end is -1; it must be from 0 to 1"),
        ("OnlyForTypeCheckers", -1, ""),
        ("Any", nan, ""),
    ],
)
def test_every_kind_of_annotation(annotation: str, value: Any, text: str) -> None:
    assert Declared(annotation, Namespace(test_every_kind_of_annotation)).problem(value, "x") == text


def test_a_float_that_is_whole_is_a_whole_number() -> None:
    of = Declared("PositiveInt", Namespace(test_a_float_that_is_whole_is_a_whole_number))
    assert (of.settled(1e5), type(of.settled(1e5))) == (100_000, int)
    assert of.settled(1.5) == 1.5


def test_settings_made_in_python_are_checked() -> None:
    with pytest.raises(UsageError, match=r"^agent\.tau is 0; it must be more than 0 and at most 1$"):
        dataclasses.replace(defaults("agent/dqn"), epsilon=Constant(0.1), tau=0.0)
    assert DQNSettings.__dataclass_fields__["batch_size"].type == "PositiveInt"


def made(size: PositiveInt, make: Callable[[], int] | None = None) -> int:
    return size


def test_what_is_built_is_checked_by_its_path() -> None:
    node = {"_target_": "test_ranges.made", "size": -1}
    with pytest.raises(UsageError, match=r"^agent\.part\.size is -1; it must be at least 1$"):
        build({"part": node}, {}, "agent")
    assert build({**node, "size": 2.0}, {}, "agent") == 2


LINES = {
    "train total_steps=0": "total_steps is 0; it must be at least 1",
    "train stop_at=nan": "stop_at is nan; it must be a finite number",
    "train env=[nan]": "env=[nan]: env takes a name",
    "train callback=[nan]": "callback=[nan]: callback takes a name",
    "train ~env": "~env: env cannot be deleted; choose another (rlkit list env)",
    "train agent.epsilon=[1]": "agent.epsilon=[1]: agent.epsilon has keys of its own",
    "train agent.batch_size=0": "agent.batch_size is 0; it must be at least 1",
    "train agent.epsilon.steps=-1": "agent.epsilon.steps is -1; it must be at least 0",
    "train agent.epsilon.start=nan": "agent.epsilon.start is nan; it must be a finite number",
    "train network.hidden=[0]": "network.hidden[0] is 0; it must be at least 1",
    "train replay.capacity=0": "replay.capacity is 0; it must be at least 1",
    "train agent.optimizer=4": "agent.optimizer is 4, not a Callable: set the keys inside it",
    "train total_steps=99999999999999999999": "total_steps is 99999999999999999999; it must be less than 2^63",
    "train agent=q_learning env=taxi agent.learning_rate=-1": "agent.learning_rate is -1; it must be from 0 to 1",
    "train agent=value_iteration env=car_rental agent.theta=nan": "agent.theta is nan; it must be more than 0",
    "train agent=alphazero env=tic_tac_toe agent.train_every=-1": "agent.train_every is -1; it must be at least 1",
    "train agent=alphazero env=tic_tac_toe agent.exploration=nan": "agent.exploration is nan; it must be at least 0",
    "train agent=bandit env=recommendation data=planted_ratings agent.ridge=nan": "agent.ridge is nan",
    "train env=random_maze env.maze_seed=-1": "env.maze_seed is -1; it must be at least 0",
    "train env=bandit env.problem=-1": "env.problem is -1; it must be at least 0",
    "match mcts random env=tic_tac_toe threads=-1": "threads is -1; it must be from 1 to 1024",
    "report runs/none video_mb=nan": "video_mb is nan; it must be at least 0",
    "fit folds=-1": "folds is -1; it must be at least 0",
    "eval run=none episodes=0": "episodes is 0; it must be at least 1",
}


@pytest.mark.parametrize("line", LINES)
def test_one_line_names_key_value_and_rule(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"rlkit: {LINES[line]}")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("name=läufe/erster", "name='läufe/erster'"),
        ("name=a=b", "name='a=b'"),
        ("name=it's", r"name='it\'s'"),
        ("name=a,b", "name='a,b'"),
        ("name='a b'", "name='a b'"),
        ("name=null", "name=null"),
        ("name=2024", "name='2024'"),
        ("data.path=große tabelle.csv", "data.path='große tabelle.csv'"),
        ("data.path=${name}", "data.path=${name}"),
        ("total_steps=1e5", "total_steps=100000"),
        ("total_steps=1.5e0", "total_steps=1.5e0"),
        ("eval.every=2e3", "eval.every=2000"),
        ("agent.gamma=1e-1", "agent.gamma=1e-1"),
        ("agent.x=[1,2]", "agent.x=[1,2]"),
        ("env.drawing=é", "env.drawing='é'"),
        ("~data.path", "~data.path"),
    ],
)
def test_words_are_read_as_typed(typed: str, read: str) -> None:
    assert spelled("train", [typed]) == [read]


def test_commas_part_the_values_of_a_sweep() -> None:
    assert spelled("train", ["-m", "name=é,b", "total_steps=1e2,5"]) == ["-m", "name='é',b", "total_steps=100,5"]
    assert spelled("train", ["-m", "name=choice(a,b)"]) == ["-m", "name=choice(a,b)"]
    assert spelled("report", ["runs=[a b,é,c]"]) == ["runs=['a b','é',c]"]
