"""Every run ends with an evaluation, outside of the schedule: an extended run is one that was longer at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rlkit
from rlkit.cli.main import main
from rlkit.core.types import RunError, UsageError
from rlkit.runs import evaluations, session
from rlkit.runs.evaluations import Evaluations
from rlkit.runs.launch import RESUME_KEYS
from rlkit.runs.run import Run

WORDS = ("agent=q_learning", "env=frozen_lake", "tuned=none", "video=none", "logger=[csv]", "eval.episodes=3")
PERIODS = ("eval.every=200", "checkpoint.every=200", "log.every=100")
FILES = ("metrics.csv", "episodes.csv", "evaluations.csv", "curve.png")
OPAQUE = ("agent=random", "env=gym", "env.id=Opaque-v0", *WORDS[2:], *PERIODS)


class Opaque(gymnasium.Env[int, int]):
    """Its state cannot be read, so that its runs go on from multiples of checkpoint.every alone."""

    observation_space = action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self._left = int(self.np_random.integers(2, 9))
        return 0, {}

    def step(self, action: int) -> Any:
        self._left -= 1
        return 1, float(self.np_random.random()), self._left <= 0, False, {}


class Unpaid(Opaque):
    """Gives rewards that are no numbers."""

    def step(self, action: int) -> Any:
        observation, _, *rest = super().step(action)
        return observation, float("nan"), *rest


@pytest.fixture(autouse=True)
def _away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    gymnasium.register("Opaque-v0", Opaque)
    gymnasium.register("Unpaid-v0", Unpaid)
    yield
    for name in ("Opaque-v0", "Unpaid-v0"):
        del gymnasium.registry[name]


def small(*words: str, **keys: Any) -> Run:
    return rlkit.train(*WORDS, *PERIODS, *words, **keys)


def evaluated(run: Run) -> list[tuple[int, int]]:
    """Return (step, whether it was the final one) of each evaluation."""
    return sorted(set(zip(*(run.evaluations[name].astype(int).tolist() for name in ("step", "final")), strict=True)))


def bests(run: Run) -> list[str]:
    return sorted(path.name for path in (run.directory / "checkpoints/best").iterdir())


def content(run: Run) -> dict[str, bytes]:
    """Return the bytes of all that equal runs have alike."""
    paths = [run.directory / name for name in FILES]
    paths += sorted((run.directory / "checkpoints").rglob("manifest.json"))
    return {str(path.relative_to(run.directory)): path.read_bytes() for path in paths}


def within(folder: str, make: Callable[[], Run]) -> dict[str, bytes]:
    Path(folder).mkdir()
    before = Path.cwd()
    os.chdir(folder)
    try:
        return content(make())
    finally:
        os.chdir(before)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("total_steps=150",), [(150, 1)]),
        (("total_steps=500",), [(200, 0), (400, 0), (500, 1)]),
        (("total_steps=400",), [(200, 0), (400, 0)]),
        (("total_steps=398", "num_envs=4"), [(200, 0), (400, 0)]),  # it ends at 400, beyond its total
        (("total_steps=900", "stop_at=0.0"), [(200, 0)]),
        (("total_steps=150", "eval.every=0"), []),
    ],
)
def test_there_is_one_evaluation_at_the_end_of_every_run(
    words: tuple[str, ...], expected: list[tuple[int, int]]
) -> None:
    assert evaluated(small(*words)) == expected


def test_it_is_that_of_the_schedule_at_its_step_but_for_the_mark() -> None:
    final, scheduled = small("total_steps=150"), small("total_steps=150", "eval.every=150")
    assert evaluated(scheduled) == [(150, 0)]
    for name in ("step", "episode", "return/raw", "length"):
        np.testing.assert_array_equal(final.evaluations[name], scheduled.evaluations[name])


def test_the_best_agent_may_be_that_of_the_end_and_the_one_before_is_kept() -> None:
    run = small("total_steps=500")
    assert dict(run.evaluation_means())[500] == 0.0, "frozen lake is hard: all returns are 0, and the newest is best"
    assert bests(run) == ["400", "500"]
    assert run.chosen("best") == "best"


@pytest.mark.parametrize(
    ("first", "more", "words"),
    [
        ("total_steps=500", "total_steps=1300", ()),
        ("total_steps=150", "total_steps=700", ("num_envs=3",)),
        ("total_episodes=40", "total_episodes=120", ("total_steps=100000",)),
        ("total_steps=500", "total_steps=1300", ("env.kwargs.is_slippery=false", "agent.initial_value=1.0")),
    ],
)
def test_an_extended_run_equals_one_that_was_longer_at_once(first: str, more: str, words: tuple[str, ...]) -> None:
    def extended() -> Run:
        short = small(*words, first)
        assert evaluated(short)[-1][1] == 1
        return rlkit.train(f"resume={short.directory}", more)

    assert within("extended", extended) == within("at_once", lambda: small(*words, more))


def test_an_extended_run_of_an_opaque_environment_equals_one_that_was_longer_at_once() -> None:
    def extended() -> Run:
        short = rlkit.train(*OPAQUE, "total_steps=500")
        assert evaluated(short) == [(200, 0), (400, 0), (500, 1)]
        return rlkit.train(f"resume={short.directory}", "total_steps=900")

    assert within("extended", extended) == within("at_once", lambda: rlkit.train(*OPAQUE, "total_steps=900"))


def test_a_run_that_is_resumed_at_its_end_is_evaluated_as_before() -> None:
    run = small("total_steps=500")
    before = content(run)
    assert content(rlkit.train(f"resume={run.directory}")) == before


def test_a_run_that_was_killed_before_its_final_evaluation_gets_it_on_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = within("whole", lambda: small("total_steps=530"))

    def killed(*args: Any, **keys: Any) -> None:
        raise RunError("killed")

    def resumed() -> Run:
        with monkeypatch.context() as patch:
            patch.setattr(Evaluations, "evaluate", killed)
            with pytest.raises(RunError, match="killed"):
                small("total_steps=530", "eval.every=1000")
        [folder] = Path("runs").iterdir()
        assert Run(folder).chosen("best") == "last"
        return rlkit.train(f"resume={folder}")

    again = within("again", resumed)
    alone = within("alone", lambda: small("total_steps=530", "eval.every=1000"))
    assert again == alone
    assert again["episodes.csv"] == whole["episodes.csv"]


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return what sends SIGTERM once, after so many steps."""

    def after(steps: int) -> None:
        left = [steps]

        def reason() -> str | None:
            left[0] -= 1
            return "SIGTERM" if left[0] == 0 else None

        @contextmanager
        def interruptions() -> Iterator[Callable[[], str | None]]:
            yield reason

        monkeypatch.setattr(session, "interruptions", interruptions)

    return after


def test_a_run_that_is_interrupted_is_not_at_its_end(interrupt: Callable[[int], None]) -> None:
    def resumed() -> Run:
        interrupt(130)
        run = small("total_steps=530", "logger=[csv,terminal]")
        assert (run.stopped, evaluated(run)) == ("SIGTERM", [])
        assert run.metrics["step"].tolist() == [100.0]
        assert run.chosen("best") == "last"
        assert "no evaluation yet: the first is due at step 200" in (run.directory / "train.log").read_text()
        return rlkit.train(f"resume={run.directory}", "logger=[csv]")

    assert within("resumed", resumed) == within("whole", lambda: small("total_steps=530"))


def test_without_evaluations_nothing_is_called_best(capsys: pytest.CaptureFixture[str]) -> None:
    run = rlkit.train("agent=random", "env=cartpole", "total_steps=30", "eval.every=0", "video=final", "logger=[csv]")
    assert not (run.directory / "checkpoints/best").exists()
    assert [path.name for path in run.videos.glob("*.mp4")] == ["last-seed0-0.mp4"]
    assert [path.name for path in run.play(max_steps=3)] == ["last-seed0-0.mp4"]
    assert main(["eval", f"run={run.directory}", "episodes=2"]) == 0
    assert "checkpoint last, 2 episodes" in capsys.readouterr().out


def test_what_was_evaluated_is_called_best(capsys: pytest.CaptureFixture[str]) -> None:
    run = small("total_steps=150")
    assert main(["eval", f"run={run.directory}", "episodes=2"]) == 0
    assert "checkpoint best, 2 episodes" in capsys.readouterr().out


def test_returns_that_are_no_numbers_are_never_best() -> None:
    run = rlkit.train(*OPAQUE, "env.id=Unpaid-v0", "total_steps=250")
    assert evaluated(run) == [(200, 0), (250, 1)]
    assert run.chosen("best") == "last"


def test_the_averages_since_the_last_row_are_logged_at_the_end() -> None:
    run, longer = small("total_steps=530"), small("total_steps=530", "log.every=530")
    assert run.metrics["step"].tolist() == [100.0, 200.0, 300.0, 400.0, 500.0, 530.0]
    ended = run.episodes["step"]
    last = run.episodes["length"][(ended > 500) & (ended <= 530)]
    assert run.metrics["episode/length"][-1] == pytest.approx(last.mean())
    assert longer.metrics["step"].tolist() == [530.0]
    assert small("total_steps=50").metrics["step"].tolist() == [50.0]
    assert not (small("total_steps=50", "log.every=0").directory / "metrics.csv").read_text().count("\n50,")


def test_planners_that_learn_nothing_are_evaluated_too() -> None:
    for agent in ("value_iteration", "policy_iteration"):
        run = rlkit.train(f"agent={agent}", *WORDS[1:], *PERIODS, "total_steps=20")
        assert evaluated(run) == [(20, 1)]


def test_each_evaluation_has_episodes_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    evaluate = evaluations.evaluate

    def noting(*args: Any, **keys: Any) -> Any:
        seen.append(list(keys["episode_seeds"]))
        return evaluate(*args, **keys)

    monkeypatch.setattr(evaluations, "evaluate", noting)
    small("total_steps=650", "eval.every=300", "eval.episodes=20")
    assert len(seen) == 3
    assert all(len(set(seeds)) == 20 for seeds in seen)
    assert len({seed for seeds in seen for seed in seeds}) == 60, "the lists at 300, 600 and 650 are disjoint"
    other = list(seen)
    small("total_steps=650", "eval.every=300", "eval.episodes=20")
    assert seen[3:] == other, "and the same in every run of the seed"


def test_every_key_that_may_not_change_is_refused_on_resume() -> None:
    words = ("agent=dqn", "env=cartpole", *WORDS[2:], *PERIODS, "total_steps=20", "replay.capacity=100")
    run = rlkit.train(*words)
    before = content(run)
    fixed = {
        "seed": "5",
        "num_envs": "2",
        "vectorization": "async",
        "actors": "2",
        "replay.capacity": "200",
        "+env.kwargs.max_episode_steps": "9",
        "env.id": "Acrobot-v1",
        "env": "acrobot",
        "agent": "q_learning",
        "agent.gamma": "0.5",
        "agent.learning_rate": "0.5",
        "network.hidden": "[3]",
        "tuned": "none",
        "experiment": "cartpole_24_24",
        "preprocess": "[]",
        "action_mask": "true",
        "max_episode_steps": "9",
        "start_method": "spawn",
        "overlap": "true",
        "threads": "2",
        "deterministic": "true",
        "checkpoint.every": "7",
        "checkpoint.keep": "7",
        "log.every": "7",
        "stop_at": "5",
        "name": "other",
        "run_dir": "elsewhere",
        "callback": "early_stopping",
    }
    config = Run(run.directory).values
    free = {*RESUME_KEYS, "choices", "data", "distribution", "from_run", "follows", "ranks"}
    assert set(config) - free <= {key.lstrip("+").split(".")[0] for key in fixed}, "a key is free or tried here"
    for key, value in fixed.items():
        with pytest.raises(UsageError, match=f"^{re.escape(key.lstrip('+'))} cannot change on resume"):
            rlkit.train(f"resume={run.directory}", f"{key}={value}")
    assert content(run) == before


def test_going_on_forgets_the_best_agent_of_what_was_the_end() -> None:
    run = small("total_steps=500")
    assert bests(run) == ["400", "500"]
    assert bests(rlkit.train(f"resume={run.directory}", "total_steps=520", "eval.every=0")) == ["400"]
