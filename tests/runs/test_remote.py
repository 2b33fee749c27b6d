"""Environments in actors that act in fragments: the files of one process, whoever is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import figures
import numpy as np
import pytest
from kills import compare
from local_actors import LocalEngine

import rlkit
from rlkit.cli.main import main
from rlkit.core import tree
from rlkit.core.callback import Callback
from rlkit.core.csv_tables import read_table
from rlkit.core.types import RunError
from rlkit.runs.remote.fragment import PlayedStep, joined, packed, rows, step_of
from rlkit.vector.serial import SerialEnvironment
from toys import Line, actions, assert_same

SHORT = (
    *("tuned=none", "num_envs=4", "total_steps=600", "checkpoint.every=150", "checkpoint.keep=9", "log.every=50"),
    *("eval.every=300", "eval.episodes=1", "eval.max_steps=20", "logger=[csv]", "video=none"),
)
PPO = ("agent=ppo", "agent.n_steps=20", "agent.epochs=2")
IN_TWO = ("vectorization=ray", "actors=2")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rlkit.runs.remote.ray_engine.RayEngine", LocalEngine)
    monkeypatch.setattr(LocalEngine, "dies", set())


def trained(folder: str, *words: str, **more: Any) -> Path:
    """Train; return the folder of the run, which is called the same everywhere."""
    rlkit.train(*SHORT, *words, name="run", run_dir=f"{folder}/run", **more)
    return Path(folder, "run")


@pytest.mark.parametrize(
    "words",
    [
        (*PPO, "env=cartpole"),
        pytest.param(
            (*PPO, "env=cartpole", "agent.network.recurrent=gru", "agent.batch_size=40", "checkpoint.every=130"),
            marks=pytest.mark.slow,
        ),
        (*PPO, "env=pendulum", "agent.network.standardize=true", "agent.scale_rewards=true"),
        ("agent=a2c", "env=taxi", "action_mask=true"),
        pytest.param(("agent=a2c", "env=catch", "actors=4"), marks=pytest.mark.slow),
    ],
    ids=["ppo", "recurrent", "standardized", "masked", "images"],
)
def test_the_files_are_those_of_one_process(words: tuple[str, ...]) -> None:
    local = trained("local", *[word for word in words if not word.startswith("actors")])
    assert compare(local, trained("remote", *IN_TWO, *words)) == []
    assert {actor for actor, _ in LocalEngine.calls} == set(range(4 if "actors=4" in words else 2))


def test_a_checkpoint_within_a_fragment_has_the_state_of_that_step() -> None:
    words = (*PPO, "env=cartpole", "agent.n_steps=64", "total_episodes=6")
    assert compare(trained("local", *words), trained("remote", *IN_TWO, *words)) == []
    assert (1, "replay") in LocalEngine.calls


class Stops(Callback):
    """Fails at a step, as a killed run ends."""

    def __init__(self, at: int):
        self._at = at

    def step(self, step: int) -> str | None:
        if step >= self._at:
            raise KeyboardInterrupt
        return None


@pytest.mark.parametrize("at", [290])
def test_a_resumed_run_ends_as_one_that_was_not_stopped(at: int) -> None:
    words = (*PPO, "env=cartpole")
    whole = trained("whole", *words)
    with pytest.raises(KeyboardInterrupt):
        trained("stopped", *IN_TWO, *words, callbacks=[Stops(at)])
    rlkit.train(resume="stopped/run")
    assert compare(whole, Path("stopped/run")) == []


@pytest.mark.parametrize("at", [2, 5])
def test_a_lost_actor_is_replaced_by_one_that_gives_the_same_bits(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its calls: its reset, and again, each fragment, and what a checkpoint asks within the last one."""
    words = (*PPO, "env=cartpole", "total_steps=300")
    whole = trained("whole", *words)
    monkeypatch.setattr(LocalEngine, "dies", {(1, at), (0, at + 1)})
    assert compare(whole, trained("lost", *IN_TWO, *words)) == []
    assert LocalEngine.started == 4


def test_one_that_is_lost_again_and_again_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalEngine, "dies", {(1, n) for n in range(4, 100)})
    with pytest.raises(RunError, match=r"ended 5 times in the same fragment: it was killed; .*resume="):
        trained("lost", *IN_TWO, *PPO, "env=cartpole")


def test_where_no_state_can_be_read_all_is_the_same_but_the_loss_of_an_actor(monkeypatch: pytest.MonkeyPatch) -> None:
    words = (*PPO, "env=lunar_lander", "total_steps=400", "eval.every=0")
    whole = trained("whole", *words)
    assert compare(whole, trained("remote", *IN_TWO, *words)) == []
    monkeypatch.setattr(LocalEngine, "dies", {(1, 6)})
    with pytest.raises(RunError, match=r"no other can take its place, .* cannot be read: it was killed; .*resume="):
        trained("lost", *IN_TWO, *words)
    monkeypatch.setattr(LocalEngine, "dies", set())
    rlkit.train(resume="lost/run")
    assert compare(whole, Path("lost/run")) == []


IMPALA = ("agent=impala", "agent.n_steps=20", "env=cartpole", "checkpoint.every=130")


@pytest.fixture(scope="module")
def overlapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder of a run of IMPALA whose actors are one update behind."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("overlapped"))
        patched.setattr("rlkit.runs.remote.ray_engine.RayEngine", LocalEngine)
        figures.let_be_one_pixel(patched.setattr)
        yield trained("whole", *IN_TWO, *IMPALA).absolute()


def test_the_lag_is_one_update(overlapped: Path) -> None:
    """Of the first two rollouts the policies are equal: the second was begun before anything was learned."""
    ratio = read_table(overlapped / "metrics.csv")["ratio"]
    assert ratio[1] == 1.0  # of the first update; there was none before the first row
    assert all(value != 1.0 for value in ratio[-3:])
    assert compare(overlapped, trained("again", *IN_TWO, *IMPALA)) == []
    assert compare(overlapped, trained("local", *IMPALA)) != []


@pytest.mark.parametrize("at", [164, 520])
def test_with_a_lag_a_resumed_run_ends_as_one_that_was_not_stopped(at: int, overlapped: Path) -> None:
    """From checkpoints at 132, 260, 392 and 520, the last at the end of a fragment, the others within one."""
    with pytest.raises(KeyboardInterrupt):
        trained("stopped", *IN_TWO, *IMPALA, callbacks=[Stops(at)])
    rlkit.train(resume="stopped/run")
    assert compare(overlapped, Path("stopped/run")) == []


@pytest.mark.parametrize("at", [4, pytest.param(9, marks=pytest.mark.slow)])
def test_with_a_lag_a_lost_actor_is_replaced(at: int, overlapped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalEngine, "dies", {(0, at), (1, at + 1)})
    assert compare(overlapped, trained("lost", *IN_TWO, *IMPALA)) == []
    assert LocalEngine.started == 4


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), IN_TWO], ids=["local", "actors"])
def test_impala_balances_the_pole(words: tuple[str, ...]) -> None:
    run = rlkit.train("agent=impala", "env=cartpole", "video=none", "logger=[csv]", *words)
    assert run.evaluate(episodes=100)["return/raw"]["mean"] >= 475


def test_dqn_in_actors_is_repeated_and_resumed() -> None:
    """From a checkpoint within a fragment; nothing was learned before step 100."""
    words = ("agent=dqn", "env=cartpole", "agent.learning_starts=100", "agent.epsilon_spread=7", "checkpoint.every=330")
    whole = trained("whole", *IN_TWO, *words)
    with pytest.raises(KeyboardInterrupt):
        trained("stopped", *IN_TWO, *words, callbacks=[Stops(500)])
    rlkit.train(resume="stopped/run")
    assert compare(whole, Path("stopped/run")) == []


def test_each_environment_of_an_actor_has_the_epsilon_of_its_place_among_all(monkeypatch: pytest.MonkeyPatch) -> None:
    powers = []

    def act(agent: Any, timestep: Any, memory: Any, *, explore: bool, rng: Any) -> Any:
        powers.append(memory.tolist())
        return np.zeros(len(memory), np.int64), memory

    monkeypatch.setattr("rlkit.agents.dqn.DQN.act", act)
    trained("remote", *IN_TWO, "agent=dqn", "env=cartpole", "agent.epsilon_spread=6", "eval.every=0")
    assert [powers.count([1.0, 3.0]), powers.count([5.0, 7.0])] == [len(powers) // 2] * 2
    assert len(powers) >= 300


@pytest.mark.slow
def test_with_a_lag_and_without_states_runs_are_repeated_and_resumed() -> None:
    words = (*IN_TWO, *IMPALA, "env=lunar_lander", "total_steps=400", "eval.every=0")
    whole = trained("whole", *words)
    with pytest.raises(KeyboardInterrupt):
        trained("stopped", *words, callbacks=[Stops(350)])
    rlkit.train(resume="stopped/run")
    assert compare(whole, Path("stopped/run")) == []


def test_what_cannot_be_split_among_actors(capsys: pytest.CaptureFixture[str]) -> None:
    for words, line in (
        ("actors=2", "actors=2 is for vectorization=ray, which is missing"),
        ("vectorization=ray actors=3 agent=ppo", "actors=3 does not divide num_envs=4; each actor has as many"),
        ("vectorization=ray agent=q_learning env=taxi", "vectorization=ray needs an agent that says what lag it"),
        ("vectorization=ray agent=ppo video=every", "video=every needs vectorization=sync, not ray"),
    ):
        assert main(["train", *SHORT, *words.split()]) == 2
        [said] = capsys.readouterr().err.splitlines()
        assert said.startswith(f"rlkit: {line}")


def test_an_error_of_an_environment_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.py").write_text(BAD)
    assert main(["train", *SHORT, *PPO, *IN_TWO, "env=bad.py:Bad", "eval.every=0"]) == 1
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith("rlkit: the environment raised OSError: no cable (after step ")


BAD = """
import gymnasium

class Bad(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Discrete(2)
    state_fields = ("count",)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return 0, {}
    def step(self, action):
        self.count += 1
        if self.count == 30:
            raise OSError("no cable")
        return 0, 0.0, False, False, {}
"""


def test_a_fragment_has_the_steps_that_it_is_made_of() -> None:
    """Of four environments, some of whose episodes end at a time, in two halves."""
    env = SerialEnvironment([lambda n=n, ends=n == 5: Line(n, terminates=ends) for n in (3, 5, 3, 4)])
    env.reset([0] * 4)
    found = [
        PlayedStep(taken := actions(env.action_space, 4, k), {"a": taken + k, "b": ()}, env.step(taken), {"state": k})
        for k in range(9)
    ]
    fragment = joined([packed([_half(step, part) for step in found]) for part in (slice(0, 2), slice(2, 4))])
    for t, step in enumerate(found):
        again = step_of(fragment, t)
        assert_same(again.action, step.action)
        assert_same(again.memory, step.memory)
        assert_same(again.after, step.after._replace(state=None))
    assert sorted(fragment.reached) == [2, 3, 4, 5, 7, 8]


def _half(step: PlayedStep, part: slice) -> PlayedStep:
    after = rows(step.after, part)
    if step.after.next_observation is step.after.observation:
        after = after._replace(next_observation=after.observation)
    return PlayedStep(step.action[part], tree.take(step.memory, part), after, step.rng)
