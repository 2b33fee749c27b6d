"""Agents learn: each reaches a stated score on a small problem under fixed seeds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import rlkit
from rlkit.core.csv_tables import read_table
from rlkit.envs.tic_tac_toe import TicTacToe
from rlkit.play.games.match import play_match
from rlkit.play.games.players import Spec, named_player, player_of

GAMMA = 0.95


def lake() -> tuple[np.ndarray, np.ndarray]:
    """Return (transitions [S, A, S], expected rewards [S, A]) of FrozenLake 4x4 from Gymnasium's own table."""
    table: Any = gymnasium.make("FrozenLake-v1").unwrapped.P  # type: ignore[attr-defined]
    transitions, rewards = np.zeros((16, 4, 16)), np.zeros((16, 4))
    for state, actions in table.items():
        for action, outcomes in actions.items():
            for probability, successor, reward, terminated in outcomes:
                rewards[state, action] += probability * reward
                transitions[state, action, successor] += probability * (not terminated)
    return transitions, rewards


def optimal_value() -> float:
    """Value iteration, to a fixed point."""
    transitions, rewards = lake()
    values = np.zeros(16)
    for _ in range(10_000):
        values = (rewards + GAMMA * transitions @ values).max(axis=1)
    return float(values[0])


def policy_value(policy: np.ndarray) -> float:
    """Exact policy evaluation by a linear solve."""
    transitions, rewards = lake()
    states = np.arange(16)
    return float(np.linalg.solve(np.eye(16) - GAMMA * transitions[states, policy], rewards[states, policy])[0])


def trained_on_the_lake(seed: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(folder)
    run = rlkit.train("agent=q_learning", "env=frozen_lake", seed=seed, video="none", logger="[csv]")
    return run.load_agent("last")


def test_q_learning_is_exact_on_frozen_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = trained_on_the_lake(0, tmp_path, monkeypatch)
    assert abs(policy_value(agent.q_values.argmax(axis=1)) - optimal_value()) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_q_learning_is_exact_on_frozen_lake_for_ten_seeds(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = trained_on_the_lake(seed, tmp_path, monkeypatch)
    assert abs(policy_value(agent.q_values.argmax(axis=1)) - optimal_value()) < 1e-9


def test_dqn_masters_cartpole_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("total_steps=4000", "eval.every=500", "log.every=0")
    run = rlkit.train("agent=dqn", "env=cartpole", *words, seed=0, video="none", logger="[csv]")
    evaluations = read_table(run.directory / "evaluations.csv")
    late = [evaluations["return/raw"][evaluations["step"] == step] for step in np.unique(evaluations["step"])[-3:]]
    assert len(late) == 3
    assert min(returns.mean() for returns in late) >= 475
    assert run.evaluate(episodes=100, checkpoint="last")["return/raw"]["mean"] >= 475


@pytest.mark.slow
def test_dqn_masters_cartpole_for_ten_seeds_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [rlkit.train("agent=dqn", "env=cartpole", seed=seed, video="none", logger="[csv]") for seed in range(10)]
    best, last = (
        [run.evaluate(episodes=100, checkpoint=checkpoint)["return/raw"]["mean"] for run in runs]
        for checkpoint in ("best", "last")
    )
    assert min(best) >= 475
    assert sum(score >= 475 for score in last) >= 9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_dqn_masters_cartpole_where_its_torso_learns_in_bfloat16(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("agent=dqn", "env=cartpole", "agent.precision=bfloat16")
    run = rlkit.train(*words, seed=seed, video="none", logger="[csv]", stop_at=500)
    assert run.evaluate(episodes=100)["return/raw"]["mean"] >= 475


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_an_actor_critic_with_action_values_masters_cartpole(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("agent=actor_critic", "env=cartpole", "agent.network.action_values=true")
    run = rlkit.train(*words, seed=seed, video="none", logger="[csv]")
    assert run.evaluate(episodes=100)["return/raw"]["mean"] >= 475


def test_random_scores_what_chance_does_on_cartpole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = rlkit.train("agent=random", "env=cartpole", total_steps=2000, video="none", logger="[csv]")
    assert 18 < run.evaluate(episodes=200)["return/raw"]["mean"] < 27


def test_a_tabular_run_imports_neither_torch_nor_wandb_nor_matplotlib_while_it_trains(tmp_path: Path) -> None:
    script = """
import sys
from rlkit.runs import training
save = training.Training._save
def check(self, **keywords):
    loaded = {"torch", "wandb", "matplotlib", "sklearn", "numba"} & set(sys.modules)
    assert not loaded, loaded
    save(self, **keywords)
training.Training._save = check
from rlkit.cli.main import main
status = main("train agent=q_learning env=frozen_lake total_steps=2000 tuned=none video=none".split())
assert status == 0
assert not {"torch", "wandb"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_linear_sarsa_solves_mountain_car(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = rlkit.train("agent=linear_sarsa", "env=mountain_car", video="none", logger="[csv]")
    assert run.evaluate(episodes=100)["return/raw"]["mean"] >= -120


def hidden_velocity(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> float:
    """Return the best agent's mean return on CartPole without velocities."""
    monkeypatch.chdir(folder)
    run = rlkit.train("experiment=cartpole_hidden_velocity", *words, seed=0, video="none", logger="[csv]", stop_at=500)
    return float(run.evaluate(episodes=100)["return/raw"]["mean"])


@pytest.mark.slow
def test_a_memory_makes_up_for_hidden_velocities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hidden_velocity(tmp_path, monkeypatch) >= 475


@pytest.mark.slow
def test_without_a_memory_hidden_velocities_are_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hidden_velocity(tmp_path, monkeypatch, "agent.network.recurrent=none", "total_steps=120000") < 100


BY_SEQUENCES = (
    *("agent=dqn", "env=cartpole", "tuned=none", "network=mlp", "network.hidden=[64]", "num_envs=8"),
    "preprocess=[{_target_: rlkit.preprocess.Keep, indices: [0, 2]}, "
    "{_target_: gymnasium.wrappers.RescaleObservation, min_obs: -4.0, max_obs: 4.0}]",
    *("agent.network.recurrent=gru", "agent.network.recurrent_size=64", "replay=sequences", "replay.length=14"),
    *("replay.burn_in=6", "replay.n_step=3", "agent.batch_size=128", "agent.learning_starts=400"),
    *("agent.epsilon.steps=5000", "agent.epsilon.end=0.05", "agent.learning_rate=0.001", "agent.target_every=1"),
    *("agent.tau=0.01", "agent.train_freq=8", "agent.gradient_steps=2", "total_steps=60000"),
    *("eval.every=2000", "eval.num_envs=20", "eval.max_steps=500"),
)


@pytest.mark.slow
def test_a_memory_that_learns_from_a_replay_makes_up_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = rlkit.train(*BY_SEQUENCES, seed=0, video="none", logger="[csv]", stop_at=475)
    assert run.evaluate(episodes=100)["return/raw"]["mean"] >= 250


@pytest.mark.slow
def test_the_door_of_door_key_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minigrid")
    monkeypatch.chdir(tmp_path)
    run = rlkit.train("agent=ppo", "env=minigrid", seed=0, video="none", logger="[csv]")
    assert run.evaluate(episodes=100)["return/raw"]["mean"] >= 0.9


@pytest.mark.slow
def test_alphazero_plays_tic_tac_toe_perfectly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = rlkit.train("experiment=alphazero_tic_tac_toe", seed=0, video="none", logger="[csv]")
    game = TicTacToe()
    for simulations in (50, 0):  # with its search, and by the network's first choice alone
        spec = Spec(str(run.directory), "last", simulations)
        players = [player_of(spec, game), named_player("perfect", game, None)]
        result = play_match(game, players, pairs=100, plies=0, rng=np.random.default_rng(0))
        lost = np.count_nonzero(result.score == 0)
        assert lost <= (0 if simulations else 10)
