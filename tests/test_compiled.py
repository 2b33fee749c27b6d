"""The compiled loop against the Python loop, bit for bit: agents, environments, generators, statistics, files."""

from __future__ import annotations

import filecmp
from pathlib import Path

import numpy as np
import pytest
from commands import refused, succeed
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import Play

from rlkit.compiled import compiled_loop
from rlkit.core import UsageError
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


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("credit", CREDITS)
@pytest.mark.parametrize("agent", AGENTS)
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


@settings(max_examples=25, deadline=None)
@given(
    agent=st.one_of(
        st.sampled_from(["mc_control", "mc_control agent.first_visit=false"]),
        st.builds(
            "{} {}".format,
            st.sampled_from(AGENTS),
            st.one_of(
                st.integers(1, 7).map("agent.n_step={}".format),
                st.floats(0.0, 1.0).map("agent.trace_decay={:.17g}".format),
            ),
        ),
    ),
    gamma=st.floats(0.0, 1.0),
    rate=st.floats(0.0, 1.9),
    decay=st.sampled_from([0.0, 0.65, 1.0, 0.123456789]),
    initial=st.sampled_from([0.0, -7.3, 1e6]),
    epsilon=st.sampled_from([0.0, 0.05, 1.0]),
    env=st.sampled_from(["env=frozen_lake", "env=bias action_mask=true", "env=gridworld", "env=safecab"]),
)
def test_any_settings_have_the_same_bits(
    agent: str, gamma: float, rate: float, decay: float, initial: float, epsilon: float, env: str
) -> None:
    # Whole episodes are compiled where they are of limited length.
    limit = "env.max_steps=50" if agent.startswith("mc") and env != "env=frozen_lake" else ""
    words = (
        f"agent={agent} {env} {limit} agent.gamma={gamma!r} agent.learning_rate={rate!r} "
        f"agent.learning_rate_decay={decay} agent.initial_value={initial} "
        f"schedule@agent.epsilon=constant agent.epsilon.value={epsilon}"
    )
    walked, leapt = Play(words), Play(words)
    walked.walk(300)
    leapt.leap(300)
    assert_same(leapt.everything(), walked.everything())


def test_values_that_overflow_have_the_same_bits() -> None:
    words = "agent=q_learning agent.learning_rate=1e200 agent.learning_rate_decay=0 env=cliff_walking agent.gamma=1"
    walked, leapt = Play(words), Play(words)
    with np.errstate(all="ignore"):
        walked.walk(400)
        leapt.leap(400)
    assert not np.isfinite(walked.agent.q).all()
    np.testing.assert_array_equal(leapt.agent.q, walked.agent.q)
    assert leapt.episodes == walked.episodes


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
        compiled_loop(play.agent, play.env, action_mask=play.config["action_mask"])


def test_a_subclass_and_a_schedule_of_ones_own_are_not_compiled() -> None:
    play = Play("agent=q_learning env=taxi")
    own = type("Own", (type(play.agent),), {})
    play.agent.epsilon = lambda step: 0.5
    with pytest.raises(UsageError, match="schedules"):
        compiled_loop(play.agent, play.env, action_mask=False)
    play.agent.__class__ = own
    with pytest.raises(UsageError, match="learns by"):
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
    assert "give it a total_episodes beyond that" in again
    succeed("train", "resume=numba", "total_episodes=200", "inner_loop=python", cwd=tmp_path)
    assert len((tmp_path / "numba" / "episodes.csv").read_text().splitlines()) == 201


def test_it_is_refused_by_name_where_it_cannot_be(tmp_path: Path) -> None:
    line = refused("train", "agent=mc_control", "agent.off_policy=true", "env=taxi", "inner_loop=numba", cwd=tmp_path)
    assert "inner_loop=numba learns by q_learning" in line
