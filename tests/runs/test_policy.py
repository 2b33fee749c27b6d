"""A policy in somebody else's loop acts as `rlkit eval` does, whatever wraps the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import rlkit
from rlkit.core.seeding import Seeds
from rlkit.core.types import RunError, UsageError
from rlkit.runs.run import Run

QUIET = ["video=none", "logger=[csv]", "eval.every=0"]
SKIP = "{_target_: rlkit.preprocess.FrameSkip, skip: 3}"
STACK = "{_target_: rlkit.preprocess.FrameStack, size: 2}"
RESCALED = "{_target_: gymnasium.wrappers.RescaleAction, min_action: -1, max_action: 1}"
CASES = {
    "bare": ["agent=ppo", "env=cartpole", "tuned=none", "agent.n_steps=16", "total_steps=32"],
    "skips and stacks": [
        *("agent=ppo", "env=cartpole", "tuned=none", "agent.n_steps=16", "total_steps=32"),
        f"preprocess=[{SKIP},{STACK},gymnasium.wrappers.TimeAwareObservation]",
    ],
    "statistics and other actions": [
        *("agent=ppo", "env=pendulum", "tuned=none", "agent.n_steps=16", "total_steps=32"),
        *("agent.network.standardize=true", f"preprocess=[{RESCALED}]"),
    ],
    "memory": [
        *("agent=a2c", "env=cartpole", "tuned=none", "agent.n_steps=16", "total_steps=32", "num_envs=1"),
        "agent.network.recurrent=gru",
    ],
    "masks": ["agent=ppo", "env=taxi", "tuned=none", "agent.n_steps=16", "total_steps=32", "action_mask=true"],
    "a tuple": ["agent=ppo", "env=blackjack", "tuned=none", "agent.n_steps=16", "total_steps=32"],
}


def trained(tmp_path: Path, words: list[str]) -> Run:
    return rlkit.train(*words, *QUIET, run_dir=str(tmp_path / "run"))


def played(run: Run, policy: Any, env: gymnasium.Env[Any, Any], episodes: int, steps: int) -> list[tuple[float, int]]:
    """Play as a script does."""
    results = []
    for seed in Seeds(0).integers("final evaluation episodes", size=episodes):
        observation, info = env.reset(seed=seed)
        policy.reset()
        total, length, over = 0.0, 0, False
        while not over and length < steps:
            observation, reward, terminated, truncated, info = env.step(policy(observation, info))
            total, length, over = total + float(reward), length + 1, terminated or truncated
        results.append((total, length))
    return results


@pytest.mark.parametrize("case", CASES)
def test_a_policy_in_a_loop_of_ones_own_makes_the_returns_of_an_evaluation(case: str, tmp_path: Path) -> None:
    run = trained(tmp_path, CASES[case])
    expected = run.evaluate(2, num_envs=1, max_steps=60)
    # A decision of the agent may be several steps of the environment.
    steps = 180 if "skip" in case else 60
    results = played(run, run.policy(), run.make_env(), 2, steps)
    returns = [total for total, _ in results]
    assert np.isclose(np.mean(returns), expected["return/raw"]["mean"], rtol=1e-6), (returns, expected)
    assert np.isclose(np.min(returns), expected["return/raw"]["min"], rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_a_batch_gets_the_actions_of_its_rows(case: str, tmp_path: Path) -> None:
    run = trained(tmp_path, CASES[case])
    envs = [run.make_env() for _ in range(3)]
    batched, singles = run.policy(), [run.policy() for _ in envs]
    now = [env.reset(seed=i) for i, env in enumerate(envs)]
    for step in range(12):
        observations, infos = [one[0] for one in now], [one[1] for one in now]
        actions = batched(observations, infos)
        assert len(actions) == 3
        now, ended = [], np.zeros(3, bool)
        for i, env in enumerate(envs):
            action = singles[i](observations[i], infos[i])
            assert np.allclose(action, actions[i], rtol=1e-5)  # a batch rounds otherwise
            observation, _, terminated, truncated, info = env.step(action)
            # Episodes end apart from each other.
            ended[i] = terminated or truncated or step == 3 * i + 2
            if ended[i]:
                observation, info = env.reset(seed=100 * step + i)
                singles[i].reset(np.array([True]))
            now.append((observation, info))
        batched.reset(ended)


def test_an_array_of_observations_is_a_batch_and_a_vector_environment_s_infos_are_read(tmp_path: Path) -> None:
    policy = trained(tmp_path, CASES["masks"]).policy()
    actions = policy(np.array([0, 1, 2]), {"action_mask": np.eye(6, dtype=np.int8)[[4, 0, 5]]})
    assert actions.tolist() == [4, 0, 5]
    assert actions.dtype == np.int64


def test_actions_are_what_the_environment_accepts(tmp_path: Path) -> None:
    run = trained(tmp_path, CASES["statistics and other actions"])
    action = run.policy()(np.zeros(3, np.float32))
    assert run.make_env().action_space.contains(action)
    assert run.policy()(np.zeros((5, 3), np.float32)).shape == (5, 1)


class Breaks(gymnasium.ObservationWrapper[Any, Any, Any]):
    state_fields: tuple[str, ...] = ()

    def observation(self, observation: Any) -> Any:
        if observation[0] > 1:
            raise ArithmeticError("too far")
        return observation


def test_mistakes_are_said_in_a_line(tmp_path: Path) -> None:
    run = trained(tmp_path, CASES["masks"])
    policy = run.policy()
    with pytest.raises(UsageError, match=r"the environment's info has no action_mask"):
        policy(3)
    policy = run.policy()
    with pytest.raises(
        UsageError, match=r"policy\(\) was passed 700, which is no observation of the environment's Discrete\(500\)"
    ):
        policy(700, {"action_mask": np.ones(6)})
    mask = {"action_mask": np.ones((2, 6))}
    policy = run.policy()
    policy(np.array([1, 2]), mask)
    with pytest.raises(UsageError, match=r"the batch has 1 observations, and had 2 before: call policy.reset\(\)"):
        policy(1, {"action_mask": np.ones(6)})
    with pytest.raises(UsageError, match=r"reset was given 3 flags for a batch of 2"):
        policy.reset(np.zeros(3, bool))
    policy.reset()
    policy(1, {"action_mask": np.ones(6)})


def test_a_wrapper_that_fails_is_named(tmp_path: Path) -> None:
    run = trained(tmp_path, [*CASES["bare"], f"preprocess=[{__name__}.Breaks]"])
    policy = run.policy()
    policy(np.zeros(4, np.float32))
    with pytest.raises(RunError, match=r"a wrapper of preprocess= raised ArithmeticError: too far"):
        policy(np.array([2, 0, 0, 0], np.float32))


def test_an_agent_that_searches_from_the_simulator_s_state_is_refused(tmp_path: Path) -> None:
    words = ["agent=mcts", "env=tic_tac_toe", "tuned=none", "agent.simulations=4", "total_steps=4"]
    policy = trained(tmp_path, words).policy()
    env = trained(tmp_path / "other", words).make_env()
    observation, info = env.reset(seed=0)
    with pytest.raises(UsageError, match=r"searches from the state of the simulator, which a policy does not have"):
        policy(observation, info)
