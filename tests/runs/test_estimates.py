"""`rlkit eval recorded=…` and `Run.estimate`: beside the exact value of what the agent does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from recordings import record

import rlkit
from rlkit.cli.main import main
from rlkit.core.types import UsageError
from rlkit.learners.estimators.tree import DecisionTreeClassifier
from rlkit.planning.mdp.evaluation import exact_values
from rlkit.planning.mdp.sources import from_gymnasium
from rlkit.vector.time_steps import first_timestep

GAMMA, EPSILON = 0.9, 0.6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in the frozen lake without slipping, run/, and episodes of random actions there, random/."""
    path: Path = tmp_path_factory.mktemp("estimates")
    lake = ("env=frozen_lake", "env.kwargs.is_slippery=false")
    words = (*lake, "tuned=none", "total_steps=4000", "eval.every=0", "video=none", "logger=[csv]")
    rlkit.train("agent=q_learning", *words, run_dir=str(path / "run"))
    record(path / "random", *lake, episodes=400, max_steps=100)
    record(path / "poles", "env=cartpole", episodes=2)
    return path


def exact(run: Any) -> float:
    """Return the value of the first state where the run's agent acts, with random actions."""
    mdp = from_gymnasium(gymnasium.make("FrozenLake-v1", is_slippery=False))
    states = first_timestep(np.arange(16), None)
    action = run.load_agent().act(states, (), explore=False, rng=np.random.default_rng(0))[0]
    policy = (1 - EPSILON) * np.eye(4)[action] + EPSILON / 4
    return float(exact_values(mdp, np.resize(policy, (mdp.num_states, 4)), gamma=GAMMA)[0])


def test_estimates_are_near_the_exact_value(folder: Path) -> None:
    run = rlkit.load(folder / "run")
    keys = {"gamma": GAMMA, "epsilon": EPSILON, "iterations": 25, "refits": 2, "resamples": 200}
    found = run.estimate(str(folder / "random"), behavior=DecisionTreeClassifier(), **keys)
    truth = exact(run)
    assert truth > 0
    assert found["episodes"] == 400
    for name, estimate in found["estimates"].items():
        slack = 0.02 if name == "fitted_q_evaluation" else 0.0
        assert estimate["low"] - slack <= truth <= estimate["high"] + slack, name
    assert found["estimates"]["fitted_q_evaluation"]["mean"] == pytest.approx(truth, abs=0.03)


def test_the_verb_prints_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "eval", f"run={folder / 'run'}", f"recorded={folder / 'random'}", "gamma=0.9", "learner@regressor=linear",
        "iterations=2", "refits=2", "resamples=20", "epsilon=0.5",
    ]  # fmt: skip
    assert main(words) == 0
    assert "doubly_robust" in capsys.readouterr().out
    assert main([*words, "output=json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found) == {"episodes", "effective_episodes", "gamma", "estimates"}


def test_what_does_not_fit_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*words: str) -> str:
        assert main(["eval", f"run={folder / 'run'}", *words]) == 2
        return capsys.readouterr().err

    random = f"recorded={folder / 'random'}"
    assert "gamma= goes with recorded=" in refused("gamma=0.9")
    assert "num_envs= is of episodes that are played" in refused(random, "num_envs=3")
    assert "behavior is a regressor; it must be a classifier" in refused(random, "learner@behavior=linear")
    assert "recorded=" in refused(f"recorded={folder / 'poles'}")
    run = rlkit.load(folder / "run")
    with pytest.raises(UsageError, match="there are no recorded episodes in nowhere"):
        run.estimate("nowhere")
