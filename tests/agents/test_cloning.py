"""Behavioural cloning: what it learns from, what it does, and that it does as well as whom it watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import refused
from gymnasium import spaces
from making import by_keys
from recordings import Balancing, record
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

import rlkit
from rlkit.agents.cloning import Cloning
from rlkit.core.types import UsageError
from rlkit.play.demonstrate import Noise
from rlkit.vector.time_steps import first_timestep

WORDS = (
    "agent=cloning",
    "env=cartpole",
    "total_steps=200",
    "eval.every=200",
    "eval.episodes=4",
    "eval.max_steps=500",
    "log.every=100",
)
QUIET = ("video=none", "logger=[csv]")


@pytest.fixture(scope="module")
def balancing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes in which the pole is kept up, in spite of some pushes."""
    path: Path = tmp_path_factory.mktemp("balancing") / "episodes"
    return record(path, "env=cartpole", player=Balancing(), episodes=6, max_steps=300, noise=Noise(0.1, 1))


def agent(episodes: Any, estimator: Any, **keys: Any) -> Cloning:
    settings: dict[str, Any] = {
        "prepare": {},
        "held_out": 0.2,
        "balance": 0.0,
        "repeat": {},
        "draw": False,
        "observation_space": SPACES[0],
        "action_space": SPACES[1],
        "threads": 1,
        "rng": np.random.default_rng(0),
        "notify": lambda line: None,
        "on_epoch": lambda epoch, epochs, metrics: None,
    }
    return by_keys(Cloning, episodes=str(episodes), estimator=estimator, **{**settings, **keys})  # type: ignore[no-any-return]


def cartpole() -> tuple[Any, Any]:
    import gymnasium

    env = gymnasium.make("CartPole-v1")
    return env.observation_space, env.action_space


SPACES = cartpole()


def acted(agent: Cloning, observation: Any, legal: Any = None, explore: bool = False, seed: int = 0) -> Any:
    timestep = first_timestep(np.array(observation, np.float32), None if legal is None else np.array(legal))
    return agent.act(timestep, (), explore=explore, rng=np.random.default_rng(seed))[0]


LEANING = [[0, 0, 0.1, 0], [0, 0, -0.1, 0]]


@pytest.mark.parametrize("learner", ["mlp", "logistic", "tree", "forest"])
def test_a_clone_keeps_the_pole_up_as_its_teacher_did(learner: str, balancing: Path, tmp_path: Path) -> None:
    few = {"mlp": ("agent.estimator.n_epochs=20",), "forest": ("agent.estimator.n_estimators=10",)}
    words = (*WORDS, *QUIET, f"learner@agent.estimator={learner}", *few.get(learner, ()))
    run = rlkit.train(*words, f"agent.episodes={balancing}", run_dir=str(tmp_path / "run"))
    # The teacher itself reaches 500 without pushes; an agent that draws, about 22.
    assert run.evaluate(episodes=10)["return/raw"]["mean"] > 400
    assert run.metrics["held_out/accuracy"].max() > 0.9


def test_continuous_actions_are_learnt_by_regression(tmp_path: Path) -> None:
    class Law:
        """An affine law, which a linear regression finds exactly."""

        def initial_memory(self, n: int) -> Any:
            return ()

        def act(self, timestep: Any, memory: Any, *, explore: bool, rng: Any) -> Any:
            seen = timestep.observation
            return (0.3 * seen[:, 1:2] - 0.1 * seen[:, 2:3] + 0.2).astype(np.float32), memory

    path = record(tmp_path / "e", "env=pendulum", player=Law(), episodes=2, max_steps=50)
    words = (
        "agent=cloning",
        "env=pendulum",
        f"agent.episodes={path}",
        "learner@agent.estimator=linear",
        "log.every=10",
        *QUIET,
    )
    run = rlkit.train(*words, total_steps=20, run_dir=str(tmp_path / "run"), **{"eval.every": 20, "eval.episodes": 1})
    assert run.metrics["held_out/rmse"].max() < 1e-5
    seen = np.array([[0.6, 0.8, 1.0]], np.float32)
    assert acted(run.load_agent("last"), seen) == pytest.approx(0.3 * 0.8 - 0.1 + 0.2, abs=1e-4)
    # Beyond the torque that there is, it is clipped.
    assert acted(run.load_agent("last"), 100 * seen).tolist() == [[2.0]]


def test_it_learns_once_and_says_how_well(balancing: Path) -> None:
    lines: list[str] = []
    clone = agent(balancing, DecisionTreeClassifier(random_state=0), notify=lines.append)
    assert clone.model is None
    figures = clone.update()
    assert figures is not None
    assert figures["train/accuracy"] == 1.0
    assert 0.8 < figures["held_out/accuracy"] < 1.0
    assert lines[0].startswith("learning from ")
    assert clone.update() is None
    assert acted(clone, LEANING).tolist() == [1, 0]


def test_a_player_who_always_does_the_same_is_cloned(tmp_path: Path) -> None:
    class Stubborn(Balancing):
        def act(self, timestep: Any, memory: Any, *, explore: bool, rng: Any) -> Any:
            return np.ones(1, np.int64), memory

    path = record(tmp_path / "e", "env=cartpole", player=Stubborn(), episodes=3)
    clone = agent(path, DecisionTreeClassifier())
    figures = clone.update()
    assert figures is not None
    assert figures["held_out/accuracy"] == 1.0
    assert acted(clone, LEANING).tolist() == [1, 1]


def test_before_it_has_learnt_actions_are_drawn_from_the_legal_ones(balancing: Path) -> None:
    clone = agent(balancing, DecisionTreeClassifier())
    assert {*acted(clone, np.zeros((50, 4)))} == {0, 1}
    assert {*acted(clone, np.zeros((50, 4)), [[False, True]] * 50)} == {1}


def test_actions_are_drawn_by_their_probabilities_where_asked_for(balancing: Path) -> None:
    drawn, likeliest = (agent(balancing, LogisticRegression(), draw=draw, repeat={1: 0.5}) for draw in (True, False))
    for clone in (drawn, likeliest):
        clone.update()
    nearly = np.tile([[0, 0, 0.01, 0.0]], (4000, 1))
    share = drawn.model.predict_proba(nearly[:1])[0, 1]
    assert 0.05 < share < 0.95
    assert acted(drawn, nearly).mean() == pytest.approx(share, abs=0.04)
    assert len({*acted(likeliest, nearly)}) == 1
    assert acted(drawn, nearly, seed=3).tolist() == acted(drawn, nearly, seed=3).tolist()


@pytest.mark.parametrize("estimator", [LogisticRegression(C=1000.0), LinearSVC(C=1000.0)])
def test_only_legal_actions_are_taken(estimator: Any, balancing: Path) -> None:
    clone = agent(balancing, estimator)
    clone.update()
    assert acted(clone, LEANING, [[True, False], [True, True]]).tolist() == [0, 0]
    assert acted(clone, LEANING, [[True, True], [False, True]]).tolist() == [1, 1]


def test_what_the_player_meant_is_learnt_not_what_was_drawn(tmp_path: Path) -> None:
    path = record(tmp_path / "e", "env=cartpole", player=Balancing(), episodes=8, noise=Noise(0.9, 1))
    clone = agent(path, LogisticRegression(C=100.0))
    figures = clone.update()
    assert figures is not None
    assert figures["held_out/accuracy"] > 0.95


def test_discrete_observations_are_learnt_one_by_one(tmp_path: Path) -> None:
    class Table:
        def initial_memory(self, n: int) -> Any:
            return ()

        def act(self, timestep: Any, memory: Any, *, explore: bool, rng: Any) -> Any:
            return timestep.observation * 7 % 4, memory

    path = record(tmp_path / "e", "env=frozen_lake", player=Table(), episodes=40, noise=Noise(0.7, 1))
    clone = agent(
        path,
        LogisticRegression(C=1000.0),
        observation_space=spaces.Discrete(16),
        action_space=spaces.Discrete(4),
        held_out=0.0,
    )
    figures = clone.update()
    assert figures is not None
    # Neighbouring numbers have nothing in common: a line through them would not do.
    assert figures["train/accuracy"] == 1.0


def test_what_was_learnt_comes_back_without_pickle(balancing: Path) -> None:
    clone, again = (agent(balancing, DecisionTreeClassifier(random_state=0)) for _ in range(2))
    clone.update()
    again.load_state_dict(clone.state_dict())
    observations = np.random.default_rng(0).normal(scale=0.1, size=(100, 4))
    assert acted(again, observations).tolist() == acted(clone, observations).tolist()
    assert again.update() is None


def test_a_run_can_be_evaluated_without_its_recordings(balancing: Path, tmp_path: Path) -> None:
    path = record(tmp_path / "e", "env=cartpole", player=Balancing(), episodes=3)
    words = (*WORDS, *QUIET, "learner@agent.estimator=logistic", f"agent.episodes={path}")
    run = rlkit.train(*words, run_dir=str(tmp_path / "run"))
    for part in path.iterdir():
        part.unlink()
    assert run.evaluate(episodes=2)["episodes"] == 2


def test_estimators_and_spaces_that_do_not_fit_are_refused(balancing: Path) -> None:
    with pytest.raises(UsageError, match=r"agent.estimator is a regressor; for actions Discrete.* be a classifier"):
        agent(balancing, LinearRegression())
    with pytest.raises(UsageError, match="it must be a regressor"):
        agent(balancing, DummyClassifier(), action_space=spaces.Box(-1, 1, (2,)))
    with pytest.raises(UsageError, match="learns Discrete or Box actions, not MultiBinary"):
        agent(balancing, DummyClassifier(), action_space=spaces.MultiBinary(3))
    with pytest.raises(UsageError, match="draw=true needs an estimator with probabilities"):
        agent(balancing, LinearSVC(), draw=True)
    with pytest.raises(UsageError, match=r"observation space is Box.*choose the env= in which they were recorded"):
        agent(balancing, DummyClassifier(), observation_space=spaces.Discrete(3)).update()


def test_mistakes_are_told_in_a_line(tmp_path: Path) -> None:
    words = ("train", "agent=cloning", "env=cartpole", "video=none", "total_steps=10")
    assert "there are no recorded episodes in nowhere" in refused(*words, "agent.episodes=nowhere", cwd=tmp_path)
    assert not (tmp_path / "runs/cloning_cartpole_s0").exists()
    assert "agent.episodes" in refused(*words, cwd=tmp_path)
