"""The compiled loop against the Python loop, bit for bit: agents, environments, generators, statistics, files."""

from __future__ import annotations

import filecmp
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import refused, succeed
from gymnasium.envs.toy_text import FrozenLakeEnv
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import Play
from making import configured
from twins import Twin, random_mdp

import rlkit
from rlkit.agents.q_learning import QLearning
from rlkit.algorithms.tabular.compiled import compiled_loop
from rlkit.algorithms.tabular.compiled_rules import CompiledRule
from rlkit.algorithms.tabular.traces import EligibilityTraces, Step
from rlkit.core.schedules import Constant, Exponential, Linear, Multiplicative
from rlkit.core.types import RunError, UsageError
from rlkit.runs import build
from toys import assert_same

AGENTS = ("q_learning", "double_q_learning", "sarsa", "expected_sarsa")
CREDITS = ("agent.n_step=1", "agent.n_step=4", "agent.trace_decay=0.8")
ENVS = ("env=frozen_lake", "env=taxi", "env=bias action_mask=true")
MORE_ENVS = (
    "env=frozen_lake env.kwargs.is_slippery=false",
    "env=cliff_walking +env.kwargs.max_episode_steps=50",
    "env=safecab env.max_steps=25",
    "env=bias",
    "env=random_walk",
    "env=windy_gridworld env.max_steps=40",
    "env=car_rental env.max_steps=15 env.max_cars=5",
)


@pytest.mark.parametrize(("agent", "credit"), list(zip(AGENTS, [*CREDITS, CREDITS[-1]], strict=True)))
@pytest.mark.parametrize("env", ENVS)
def test_everything_is_as_the_python_loop_leaves_it(agent: str, credit: str, env: str) -> None:
    equal(f"agent={agent} {credit} {env}")


@pytest.mark.parametrize(
    "env", [*ENVS[:2], "env=bias env.max_steps=9 action_mask=true", "env=safecab env.max_steps=25"]
)
@pytest.mark.parametrize("first", ["true", "false"])
def test_so_it_is_with_whole_episodes(first: str, env: str) -> None:
    equal(f"agent=mc_control agent.learning_rate_decay=0.7 agent.first_visit={first} {env}")


@pytest.mark.parametrize("env", MORE_ENVS)
def test_so_it_is_in_every_environment(env: str) -> None:
    equal(f"agent=sarsa agent.n_step=3 {env}")


def equal(words: str) -> None:
    walked, leapt = Play(words), Play(words)
    for at in (1, 2, 400, 513):
        walked.walk(at)
        leapt.leap(at)
        assert_same(leapt.everything(), walked.everything())
    assert walked.episodes


@pytest.mark.parametrize("agent", [*(f"{name} agent.n_step=3" for name in AGENTS), "mc_control"])
def test_the_two_loops_go_on_from_each_other(agent: str) -> None:
    words = f"agent={agent} env=taxi"
    walked, mixed = Play(words), Play(words)
    walked.walk(900)
    for start in range(0, 900, 60):
        mixed.walk(start + 23)
        mixed.leap(start + 60)
    assert_same(mixed.everything(), walked.everything())


SCHEDULES = (
    "schedule@agent.epsilon=constant agent.epsilon.value=0.3",
    "agent.epsilon.steps=150",
    "schedule@agent.epsilon=exponential agent.epsilon.rate=0.01",
    "schedule@agent.epsilon=multiplicative agent.epsilon.factor=0.993",
)


@pytest.mark.parametrize("counts", ["steps", "episodes"])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_have_the_same_bits(schedule: str, counts: str) -> None:
    words = f"agent=expected_sarsa {schedule} agent.epsilon_counts={counts} env=frozen_lake"
    walked, leapt = Play(words), Play(words)
    walked.walk(3_000)
    leapt.leap(3_000)
    assert_same(leapt.everything(), walked.everything())


def test_values_that_overflow_are_refused_by_either_loop() -> None:
    words = "agent=q_learning agent.learning_rate_decay=0 env=cliff_walking agent.gamma=1"
    walked, leapt = Play(words), Play(words)
    for play in (walked, leapt):
        play.agent.q.learning_rate = 1e200  # which nobody can set
    for go_on in (walked.walk, leapt.leap):
        with np.errstate(all="ignore"), pytest.raises(RunError, match="value is not a number"):
            go_on(400)


def test_it_stops_after_so_many_episodes() -> None:
    walked, leapt = (Play("agent=q_learning env=taxi") for _ in range(2))
    leapt.leap(10**9, episodes=7)
    assert len(leapt.episodes) == 7
    assert leapt.episodes[-1].step == leapt.stream.steps
    walked.walk(leapt.stream.steps)
    assert_same(leapt.everything(), walked.everything())


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("agent=q_learning env=blackjack", "one finite MDP"),
        ("agent=q_learning agent.gamma=0 env=bandit", "one finite MDP"),
        ("agent=q_learning env=taxi +env.kwargs.fickle_passenger=true", "one finite MDP"),
        ("agent=q_learning env=taxi action_mask=true", "one finite MDP"),
        ("agent=q_learning env=safecab vectorization=native", "one finite MDP"),
        ("agent=mc_control agent.off_policy=true env=safecab", "learns by q_learning"),
        ("agent=mc_control agent.exploring_starts=true env=safecab", "learns by q_learning"),
        ("agent=mc_control env=cliff_walking", "whole episodes of limited length"),
        ("agent=random env=safecab", "learns by q_learning"),
    ],
)
def test_what_is_not_compiled_is_refused(words: str, rule: str) -> None:
    play = Play(words)
    with pytest.raises(UsageError, match=rule):
        compiled_loop(play.agent, play.env, action_mask=play.config.action_mask)


def test_an_environment_that_always_has_masks_has_them_in_either_loop() -> None:
    mdp = random_mdp(1, states=5, actions=3, outcomes=2, masked=True, ends=0.2, rewards=(-1.0, 0.0))
    options: dict[str, Any] = {
        "n_step": 1,
        "trace_decay": 0.0,
        "learning_rate": 0.5,
        "learning_rate_decay": 0.0,
        "initial_value": 0.0,
        "epsilon_counts": "steps",
        "epsilon": Constant(0.3),
    }
    walked, leapt = (
        Twin(mdp, "q_learning", max_steps=20, masked=False, metadata={"action_mask": True}, **options) for _ in range(2)
    )
    walked.walk(200)
    leapt.leap(200)
    assert_same(leapt.everything(), walked.everything())
    assert not leapt.agent.visits[~mdp.mask].any()


def test_a_schedule_of_ones_own_is_not_compiled() -> None:
    play = Play("agent=q_learning env=taxi")
    play.agent.epsilon = lambda step: 0.5
    with pytest.raises(UsageError, match="schedules"):
        compiled_loop(play.agent, play.env, action_mask=False)


class Renamed(QLearning):
    """Learns as its base does."""

    name = "renamed"

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.note = "mine"


class Pessimist(QLearning):
    """A rule of its own: a successor is worth what its worst action is."""

    def target(self, step: Step) -> float:
        return step.r_t + step.discount_t * float(self.q.values[step.s_t].min())


class Outer(Pessimist):
    """Inherits a rule that nobody compiled."""


class Twice(QLearning):
    """One attribute more than its base, and another rule."""

    num_tables = 2


class Sworn(QLearning):
    """Overrides a method, and says that the rule is the same."""

    compiled_rule = CompiledRule.Q_LEARNING

    def target(self, step: Step) -> float:
        return step.r_t + step.discount_t * self.q.max_value(step.s_t, step.legal_t)


class Declined(QLearning):
    """Wants the Python loop."""

    compiled_rule = None


class Late(EligibilityTraces):
    """Traces of somebody's own."""

    def update(self, q: Any, i: int, step: Step, target: float) -> list[float]:
        return super().update(q, i, step, 0.5 * target)


def learner(kind: type, env: str = "env=frozen_lake", credit: str = "") -> Play:
    return Play(f"agent=q_learning agent._target_={kind.__module__}.{kind.__name__} {env} {credit}")


@pytest.mark.parametrize("kind", [Renamed, Sworn])
def test_a_subclass_that_learns_as_its_base_is_compiled(kind: type) -> None:
    walked, leapt = (learner(kind, credit="agent.n_step=2") for _ in range(2))
    assert type(leapt.agent) is kind
    walked.walk(400)
    leapt.leap(400)
    assert_same(leapt.everything(), walked.everything())


@pytest.mark.parametrize("kind", [Pessimist, Outer, Twice, Declined])
def test_a_subclass_with_a_rule_of_its_own_is_not_run_by_the_kernel_of_its_base(kind: type, tmp_path: Path) -> None:
    play = learner(kind)
    with pytest.raises(UsageError, match="learns by q_learning"):
        compiled_loop(play.agent, play.env, action_mask=False)
    words = f"agent=q_learning agent._target_={kind.__module__}.{kind.__name__} env=frozen_lake tuned=none seed=4"
    config = configured(f"{words} total_steps={build.COMPILED_FROM}")
    assert build.compiled_loop(config, play.agent, play.env) is None, "inner_loop=auto takes the Python loop"


def test_traces_of_ones_own_are_not_compiled() -> None:
    play = learner(Renamed, credit="agent.trace_decay=0.5")
    play.agent.traces = Late(0.5)
    with pytest.raises(UsageError, match="learns by q_learning"):
        compiled_loop(play.agent, play.env, action_mask=False)


def test_a_declared_rule_that_there_is_not_is_named() -> None:
    class Misspelt(QLearning):
        compiled_rule = "q_learning"  # type: ignore[assignment]

    play = learner(Renamed)
    play.agent.__class__ = Misspelt
    with pytest.raises(UsageError, match="compiled_rule of Misspelt is 'q_learning'; it must be one of rlkit"):
        compiled_loop(play.agent, play.env, action_mask=False)


def test_a_toy_with_steps_of_its_own_is_not_compiled() -> None:
    class Icy(FrozenLakeEnv):
        def step(self, action: Any) -> Any:
            return super().step(0)  # type: ignore[no-untyped-call]

    class Named(FrozenLakeEnv):
        """Only a name."""

    play = Play("agent=q_learning env=frozen_lake")
    core: Any = play.env.envs[0].unwrapped
    core.__class__ = Named
    assert compiled_loop(play.agent, play.env, action_mask=False) is not None
    core.__class__ = Icy
    with pytest.raises(UsageError, match="one finite MDP"):
        compiled_loop(play.agent, play.env, action_mask=False)


def test_run_folders_are_equal_and_runs_go_on_in_the_other_loop(tmp_path: Path) -> None:
    words = [
        "train",
        "agent=sarsa",
        "env=frozen_lake",
        "total_steps=6000",
        "checkpoint.every=2500",
        "checkpoint.keep=9",
        "eval.every=2000",
        "eval.episodes=3",
        "log.every=700",
        "video=none",
        "name=x",
    ]
    succeed(*words, "inner_loop=python", "run_dir=python", cwd=tmp_path)
    succeed(*words, "inner_loop=numba", "run_dir=numba", cwd=tmp_path)
    succeed(*words, "inner_loop=numba", "run_dir=both", "total_steps=3100", cwd=tmp_path)
    succeed("train", "resume=both", "total_steps=6000", "inner_loop=python", cwd=tmp_path)
    files = [file.relative_to(tmp_path / "python") for file in (tmp_path / "python").rglob("*") if file.is_file()]
    clock = ("config.yaml", "curve.png", "map.png", "timings.csv", "train.log", "versions.json")
    for file in (file for file in files if file.name not in clock and "3100" not in str(file)):
        for other in ("numba", "both"):
            assert filecmp.cmp(tmp_path / "python" / file, tmp_path / other / file, shallow=False), (other, file)


@pytest.mark.parametrize("compiles", [True, False])
def test_a_run_says_that_it_compiles(
    compiles: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("rlkit.core.compiling.needs_compiling", lambda function: compiles)
    words = ("agent=q_learning", "env=taxi", "tuned=none", "inner_loop=numba", "total_steps=100", "video=none")
    rlkit.train(*words, "eval.every=0", run_dir=tmp_path / "r")
    assert ("compiling the loop, once for all runs …" in capsys.readouterr().out.splitlines()) == compiles


def test_a_number_of_episodes_ends_either_loop(tmp_path: Path) -> None:
    for loop in ("python", "numba"):
        succeed(
            *f"train agent=q_learning env=frozen_lake tuned=none total_episodes=120 inner_loop={loop} video=none "
            f"run_dir={loop}".split(),
            cwd=tmp_path,
        )
    rows = [(tmp_path / loop / "episodes.csv").read_text() for loop in ("python", "numba")]
    assert rows[0] == rows[1]
    assert len(rows[0].splitlines()) == 121
    again = succeed("train", "resume=numba", cwd=tmp_path)
    assert "set a greater total_episodes to go on" in again
    succeed("train", "resume=numba", "total_episodes=200", "inner_loop=python", cwd=tmp_path)
    assert len((tmp_path / "numba" / "episodes.csv").read_text().splitlines()) == 201


def test_it_is_refused_by_name_where_it_cannot_be(tmp_path: Path) -> None:
    line = refused("train", "agent=mc_control", "agent.off_policy=true", "env=taxi", "inner_loop=numba", cwd=tmp_path)
    assert "inner_loop=numba learns by q_learning" in line


EPSILONS = (
    Constant(0.0),
    Constant(0.3),
    Constant(1.0),
    Linear(1.0, 0.1, 0),
    Linear(1.0, 0.1, 25),
    Exponential(0.9, 0.05, 0.02),
    Multiplicative(1.0, 0.05, 0.97),
)
ONE_STEP, STEPS, TRACES = (
    st.just({"n_step": 1, "trace_decay": 0.0}),
    st.fixed_dictionaries({"n_step": st.integers(2, 5), "trace_decay": st.just(0.0)}),
    # 1e-6: after two steps a trace is too faint to be kept.
    st.fixed_dictionaries({"n_step": st.just(1), "trace_decay": st.sampled_from([0.9, 1e-6, 1.0])}),
)
VISITS = st.fixed_dictionaries(
    {"first_visit": st.booleans(), "exploring_starts": st.just(False), "off_policy": st.just(False)}
)
LEARNERS = [(agent, credit) for agent in AGENTS for credit in (ONE_STEP, STEPS, TRACES)]
WORLDS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 10**6),
        "states": st.integers(1, 6),
        "actions": st.integers(2, 4),
        "outcomes": st.integers(1, 3),
        "masked": st.booleans(),
        "ends": st.sampled_from([0.1, 0.4, 0.0]),
        # Few, so that values tie; -0.1 is another number in float32.
        "rewards": st.sampled_from([(-1.0, 0.0, 1.0), (-0.1, 2.5), (0.0,)]),
    }
)
RATES = st.fixed_dictionaries(
    {
        "gamma": st.sampled_from([0.9, 1.0, 0.0]),
        "learning_rate": st.sampled_from([0.5, 1.0, 0.1]),
        "learning_rate_decay": st.sampled_from([0.65, 0.0, 1.0]),
        "initial_value": st.sampled_from([0.0, -3.0, 2.0]),
        "epsilon_counts": st.sampled_from(["steps", "episodes"]),
        "epsilon": st.sampled_from(EPSILONS),
        "max_steps": st.sampled_from([20, 3, 1]),
        "deviation": st.sampled_from([0.0, 0.5]),
        "sign": st.sampled_from([1, -1]),
    }
)
STOPS = st.lists(st.integers(1, 50), min_size=2, max_size=4)


@pytest.mark.parametrize(
    ("kind", "credit"), [*LEARNERS, ("mc_control", VISITS)], ids=lambda part: part if isinstance(part, str) else ""
)
@settings(max_examples=15)
@given(data=st.data(), world=WORLDS, rates=RATES, stops=STOPS)
def test_in_any_world_both_loops_do_the_same(
    kind: str, credit: Any, data: st.DataObject, world: dict[str, Any], rates: dict[str, Any], stops: list[int]
) -> None:
    options = {**rates, **data.draw(credit), "masked": world["masked"]}
    if kind != "mc_control" and data.draw(st.booleans()):
        options["max_steps"] = None
    walked, leapt = (Twin(random_mdp(**world), kind, **options) for _ in range(2))
    for at in np.cumsum(stops).tolist():
        walked.walk(at)
        leapt.leap(at)
        assert_same(leapt.everything(), walked.everything())
    # What one loop leaves, the other goes on with.
    for twin in (walked, leapt):
        twin.walk(at + 7)
    assert_same(leapt.everything(), walked.everything())
