"""Planners: agents that know the model, against the solvers of `rlkit.planning.mdp` and the book's figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import refused, succeed
from making import run_config

from rlkit.core.seeding import Seeds
from rlkit.planning.mdp import from_environment, model_of, value_iteration
from rlkit.runs import build
from rlkit.runs.run import Run
from toys import assert_same

PLANNERS = ("value_iteration", "policy_iteration")


def planner(*words: str) -> Any:
    config = run_config(*words, "tuned=none")
    env = build.make_environment(config.environment, num_envs=1)
    return build.make_agent(config.agent_config, env, Seeds(0))


def think(agent: Any) -> int:
    rounds = 0
    while agent.plan() is not None:
        rounds += 1
    return rounds


@pytest.mark.parametrize("agent", PLANNERS)
def test_on_the_gridworld_values_are_distances_and_ties_are_shared(agent: str) -> None:
    found = planner(f"agent={agent}", "env=gridworld", "agent.gamma=1")
    think(found)
    np.testing.assert_allclose(found.v, [0, -1, -2, -3, -1, -2, -3, -2, -2, -3, -2, -1, -3, -2, -1, 0], atol=1e-12)
    # From cell 6 up and left are best: half the time each.
    np.testing.assert_array_equal(found.policy[5], [0.5, 0, 0, 0.5])


def test_the_first_round_of_policy_iteration_evaluates_the_uniform_policy() -> None:
    found = planner("agent=policy_iteration", "env=gridworld", "agent.gamma=1")
    found.plan()
    np.testing.assert_allclose(found.v.reshape(4, 4)[0], [0, -14, -20, -22])
    np.testing.assert_allclose(found.q[5], [-15, -21, -21, -15])


@pytest.mark.parametrize("theta", ["null", "1e-12"])
@pytest.mark.parametrize("agent", PLANNERS)
@pytest.mark.parametrize(("env", "gamma"), [("frozen_lake", 0.99), ("taxi", 0.99), ("safecab", 0.618)])
def test_it_is_optimal(agent: str, env: str, gamma: float, theta: str) -> None:
    given = "1e-12" if agent == "value_iteration" else theta
    found = planner(f"agent={agent}", f"env={env}", f"agent.gamma={gamma}", f"agent.theta={given}")
    rounds = think(found)
    best = value_iteration(found.mdp, gamma=gamma, theta=1e-12)
    np.testing.assert_allclose(found.v, best.values, atol=1e-9)
    np.testing.assert_array_equal(found.policy, best.policy)
    assert found.plan() is None
    assert rounds < 20 or agent == "value_iteration"


@pytest.mark.parametrize("agent", PLANNERS)
def test_a_run_goes_on_from_its_checkpoint_as_if_there_had_been_no_break(agent: str, tmp_path: Path) -> None:
    words = f"train agent={agent} env=frozen_lake eval.every=20 eval.episodes=4 log.every=5 video=none".split()
    succeed(*words, "checkpoint.every=10", "total_steps=40", "run_dir=whole", cwd=tmp_path)
    succeed(*words, "checkpoint.every=10", "total_steps=10", "run_dir=broken", cwd=tmp_path)
    succeed("train", "resume=broken", "total_steps=40", cwd=tmp_path)
    whole, broken = (Run(tmp_path / name).load_agent("last").state_dict() for name in ("whole", "broken"))
    assert_same(broken, whole)
    for name in ("metrics.csv", "episodes.csv", "evaluations.csv"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_environment_that_does_not_say_what_it_is_is_tried_out(tmp_path: Path) -> None:
    line = refused("train", "agent=value_iteration", "env=blackjack", cwd=tmp_path)
    assert "BlackjackEnv has no model: it has no attribute mdp" in line
    assert "agent.samples" in line
    found = planner("agent=value_iteration", "env=blackjack", "agent.samples=3")
    think(found)
    assert found.v.any()


def test_illegal_actions_are_left_out() -> None:
    found = planner("agent=value_iteration", "env=taxi", "action_mask=true")
    think(found)
    assert not found.policy[~found.mdp.mask].any()


def test_samples_find_the_table() -> None:
    env = build.make_single(run_config("agent=random", "env=cliff_walking").environment)
    told = model_of(env, samples=None, seed=0)
    tried = from_environment(env, samples=1, seed=0)
    assert value_iteration(told, gamma=0.9, theta=1e-9).values[36] == pytest.approx(
        value_iteration(tried, gamma=0.9, theta=1e-9).values[36]
    )
