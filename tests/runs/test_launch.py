"""Starting runs: folders, names, checks before anything is allocated, failures on the way."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from commands import rlkit as rlkit_command

import rlkit
from rlkit.cli.main import main
from rlkit.core import checkpoint
from rlkit.core.statistics import EvaluationEpisode
from rlkit.core.types import RunError, UsageError
from rlkit.runs.plots.curve import moving_average, window
from rlkit.runs.run import Run

SMALL = ("agent=q_learning", "env=frozen_lake", "tuned=none", "total_steps=600", "video=none", "logger=[csv]")
PERIODS = ("eval.every=200", "eval.episodes=3", "checkpoint.every=200", "log.every=100")


@pytest.fixture(autouse=True)
def _away_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def small(*overrides: str, **keys: Any) -> Run:
    return rlkit.train(*SMALL, *PERIODS, *overrides, **keys)


def complaint(capsys: pytest.CaptureFixture[str], status: int, *arguments: str) -> str:
    assert main(list(arguments)) == status
    errors = capsys.readouterr().err
    assert errors.startswith("rlkit: ")
    assert errors.count("\n") == 1
    return errors.removeprefix("rlkit: ").strip()


def test_a_run_folder_holds_what_the_readme_says() -> None:
    run = small("logger=[csv,terminal]")
    assert {path.name for path in run.directory.iterdir()} == {
        *("config.yaml", "versions.json", "metrics.csv", "episodes.csv", "evaluations.csv", "timings.csv"),
        *("curve.png", "map.png", "train.log", "checkpoints"),
    }
    assert sorted(path.name for path in (run.directory / "checkpoints").iterdir()) == ["400", "600", "best"]


def test_equal_runs_leave_equal_files() -> None:
    for name in ("a", "b"):
        Path(name).mkdir()
        os.chdir(name)
        small()
        os.chdir("..")
    for file in ("metrics.csv", "episodes.csv", "evaluations.csv", "curve.png", "checkpoints/600/manifest.json"):
        path = Path("runs/q_learning_frozen_lake_s0") / file
        assert ("a" / path).read_bytes() == ("b" / path).read_bytes(), file


def test_columns_come_back_as_arrays() -> None:
    run = small()
    assert run.evaluations["step"].tolist() == [200.0] * 3 + [400.0] * 3 + [600.0] * 3
    assert run.metrics["step"].tolist() == [100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
    assert run.episodes["length"].sum() <= 600
    assert set(run.episodes["return/raw"]) <= {0.0, 1.0}


def test_a_default_name_that_is_taken_gets_a_number_and_an_explicit_one_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert [small(seed=4).name for _ in range(2)] == ["q_learning_frozen_lake_s4", "q_learning_frozen_lake_s4-2"]
    assert small(name="mine").directory == Path("runs/mine")
    text = complaint(capsys, 2, "train", *SMALL, "name=mine")
    assert text == (
        "run folder runs/mine exists and is never overwritten; choose another name=, or go on with resume=runs/mine"
    )


def test_a_preset_names_its_runs_and_a_gymnasium_id_is_part_of_the_name() -> None:
    run = rlkit.train("agent=random", "env=gym", "env.id=Acrobot-v1", "total_steps=50", "video=none", "logger=[csv]")
    assert run.name == "random_gym_Acrobot-v1_s0"


def test_best_is_the_checkpoint_of_the_best_evaluation_the_newest_of_equals() -> None:
    run = small()
    means = run.evaluation_means()
    best = max(score for _, score in means)
    expected = [step for step, score in means if score == best][-1]
    assert max(int(path.name) for path in (run.directory / "checkpoints/best").iterdir()) == expected


def test_evaluation_is_reproducible_and_never_repeats_the_training_evaluations_episodes() -> None:
    run = small()
    first, again, other = run.evaluate(20), run.evaluate(20), run.evaluate(20, seed=1)
    assert first == again
    assert set(first) == {"episodes", "return/raw", "length"}
    assert first["length"] != other["length"]


def test_eval_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    run = small()
    assert main(["eval", f"run={run.directory}", "episodes=7", "output=json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result == run.evaluate(7)
    assert set(result["return/raw"]) == {"mean", "std", "min", "max"}


def test_stop_at_without_evaluations_is_refused() -> None:
    with pytest.raises(UsageError, match=r"stop_at=5 waits for an evaluation, and eval.every=0 makes none"):
        small("eval.every=0", stop_at=5.0)


def test_stop_at_ends_the_run_at_the_evaluation_that_reaches_it() -> None:
    run = small(stop_at=0.0)
    assert run.stopped == "stop_at was reached"
    assert [step for step, _ in run.evaluation_means()] == [200]
    assert rlkit.load(run.directory).load_agent("200") is not None


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("num_envs=0", "num_envs is 0; it must be at least 1"),
        ("eval.episodes=0", "eval.episodes is 0; it must be at least 1"),
        ("checkpoint.keep=0", "checkpoint.keep is 0; it must be at least 1"),
    ],
)
def test_a_value_out_of_range_is_refused(override: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, 2, "train", *SMALL, override) == expected
    assert not Path("runs").exists()


def test_a_replay_that_does_not_fit_is_refused_before_it_is_allocated(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "agent=dqn", "env=cartpole", "replay.capacity=100000000000", "video=none", "logger=[csv]"]
    text = complaint(capsys, 2, *command)
    assert text.startswith("a replay of 100,000,000,000 transitions needs ")
    assert text.endswith("set replay.capacity lower, or replay.location=disk")


def test_agents_refuse_spaces_they_cannot_handle(capsys: pytest.CaptureFixture[str]) -> None:
    text = complaint(capsys, 2, "train", "agent=q_learning", "env=cartpole", "video=none")
    assert text.startswith("q_learning needs discrete observations, not Box")
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


class Breaks(gymnasium.Env[int, int]):
    """Raises in its 300th step."""

    observation_space = gymnasium.spaces.Discrete(3)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self) -> None:
        self._steps = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        if self._steps == 300:
            raise ValueError("the motor\nburned out")
        return self._steps % 3, 1.0, False, self._steps % 20 == 0, {}

    def get_state(self) -> dict[str, Any]:
        return {"steps": self._steps}

    def set_state(self, state: dict[str, Any]) -> None:
        self._steps = state["steps"]


def test_an_environment_that_raises_gives_one_line_and_keeps_what_was_checkpointed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    gymnasium.register("Breaks-v0", Breaks)
    command = ["train", "agent=random", "env=gym", "env.id=Breaks-v0", "total_steps=1000", "video=none"]
    text = complaint(capsys, 1, *command, "checkpoint.every=100", "eval.every=0", "logger=[csv]", "name=breaks")
    assert "the environment raised ValueError: the motor burned out" in text
    assert checkpoint.Store(Path("runs/breaks/checkpoints")).load_newest()[0] == 200
    assert 'raise ValueError("the motor' in Path("runs/breaks/train.log").read_text()


def test_a_full_disk_stops_the_run_and_the_previous_checkpoint_stays_usable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, calls = checkpoint.write_arrays, []

    def fill(*arguments: Any, **keywords: Any) -> None:
        calls.append(arguments)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(*arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "write_arrays", fill)
        text = complaint(capsys, 1, "train", *SMALL, "checkpoint.every=200", "eval.every=0", "name=full")
    assert text.startswith("disk full while writing checkpoint runs/full/checkpoints/600; the previous one is kept")
    assert [p.name for p in sorted(Path("runs/full/checkpoints").iterdir())] == ["200", "400"]
    resumed = rlkit.train(f"resume={Path('runs/full')}")
    assert resumed.stopped is None
    assert checkpoint.Store(Path("runs/full/checkpoints")).load_newest()[0] == 600


def test_cut_episodes_are_marked_and_outside_all_averages() -> None:
    run = rlkit.train(
        "agent=random",
        "env=lunar_lander",
        "total_steps=600",
        "checkpoint.every=100",
        "eval.every=0",
        "video=none",
        "logger=[csv]",
        "log.every=100",
    )
    cuts = run.episodes["truncated_by_checkpoint"] == 1
    assert run.episodes["step"][cuts].tolist() == [100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
    whole = run.episodes["length"][~cuts]
    logged = run.metrics["episode/length"]
    assert np.nanmin(logged) >= whole.min()
    assert np.nanmax(logged) <= whole.max()


def test_a_moving_average_is_the_mean_of_the_values_up_to_each() -> None:
    assert moving_average(np.array([2.0, 4.0, 9.0, 1.0]), 2).tolist() == [2.0, 3.0, 6.5, 5.0]
    assert moving_average(np.array([]), 3).tolist() == []


def test_of_few_episodes_an_average_takes_fewer() -> None:
    # Of the 90 episodes of CartPole as it comes, 50 would reach back to those of before anything was learnt.
    assert [window(episodes) for episodes in (0, 1, 90, 109, 110, 499, 500, 10_000)] == [10, 10, 10, 10, 11, 49, 50, 50]


def test_overlap_is_for_agents_with_a_replay(capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, 2, "train", *SMALL, "overlap=true")
    assert said.startswith("overlap=true learns one step behind, from a replay, which this agent does not have")
    assert not Path("runs").exists()


def steps_in(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir())


def test_best_after_a_resume_is_nothing_that_was_discarded() -> None:
    run = small()
    best = run.directory / "checkpoints/best"
    known = [step for step in steps_in(best) if step <= 400]
    shutil.rmtree(run.directory / "checkpoints/600")
    # An agent of a future that the resumed run may not see again.
    shutil.copytree(best / str(known[0]), best / "600", dirs_exist_ok=True)
    rlkit.train(f"resume={run.directory}", "total_steps=450", "eval.every=0", "video=none", "logger=[csv]")
    means = dict(run.evaluation_means())
    assert known
    assert steps_in(best)[-1] == max(step for step in means if means[step] == max(means.values()))


def test_the_best_of_each_checkpoint_is_kept_until_that_is_gone(tmp_path: Path) -> None:
    run = small("total_steps=2000", "checkpoint.keep=3")
    kept = run.checkpoints
    assert kept == [1600, 1800, 2000]
    means = run.evaluation_means()
    best = {max(range(end), key=lambda i: (means[i][1], i)) for end in (8, 9, 10)}
    assert {means[i][0] for i in best} == set(steps_in(run.directory / "checkpoints/best"))


def test_a_replay_that_would_not_fit_keeps_nobody_from_scoring_an_agent() -> None:
    words = ("agent=dqn", "env=cartpole", "tuned=none", "total_steps=100", "video=none", "logger=[csv]")
    run = rlkit.train(*words, "replay.capacity=12345")
    config = run.directory / "config.yaml"
    config.write_text(config.read_text().replace("12345", "1" + "0" * 14))
    assert Run(run.directory).evaluate(2, max_steps=5)["episodes"] == 2


@pytest.mark.parametrize("agent", ["a2c", "dqn"])
def test_learning_that_diverges_ends_in_a_line(agent: str, tmp_path: Path) -> None:
    words = ("env=cartpole", "tuned=none", "total_steps=5000", "video=none", "eval.every=0", "logger=[csv]")
    done = rlkit_command("train", f"agent={agent}", "agent.learning_rate=1e30", *words, cwd=tmp_path)
    assert done.returncode == 1
    what = r"loss/\w+ is (nan|inf) at step [\d,]+|an action's value is not a number"
    rule = rf"rlkit: ({what}): learning has diverged; start a new run with a lower .*"
    assert re.fullmatch(rule, done.stderr.splitlines()[-1])


def test_drawing_where_there_is_no_policy_is_refused_before_training(capsys: pytest.CaptureFixture[str]) -> None:
    line = complaint(capsys, 2, "train", *SMALL, "eval.sample=true")
    assert line == "sample= draws actions from a policy, which this agent does not have; leave it out, or set epsilon"
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("episodes=0", "episodes is 0; it must be at least 1"),
        ("num_envs=0", "num_envs is 0; it must be at least 1"),
        ("max_steps=-1", "max_steps is -1; it must be at least 1, or null"),
    ],
)
def test_scores_of_nothing_are_refused(word: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = small()
    assert complaint(capsys, 2, "eval", f"run={run.directory}", word) == line


@pytest.mark.parametrize("vectorization", ["sync", "async", "native"])
def test_masks_that_the_environment_does_not_give_are_a_mistake_of_one_line(
    vectorization: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = complaint(capsys, 2, "train", *SMALL, "action_mask=true", f"vectorization={vectorization}")
    assert text.startswith("action_mask=true, but the environment's info has no action_mask: leave it out, or let")
    assert not list(Path("runs").iterdir())


def test_a_mistake_that_shows_late_leaves_what_was_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([[EvaluationEpisode(0.0, 1, False)] * 3])

    def evaluated(*args: Any, **keys: Any) -> Any:
        for score in scores:
            return score
        raise UsageError("it cannot be")

    monkeypatch.setattr("rlkit.runs.evaluations.evaluate", evaluated)
    with pytest.raises(RunError, match=r"^the evaluation at step 400 failed: it cannot be; fix it, then resume"):
        small()
    assert Path("runs/q_learning_frozen_lake_s0/checkpoints/200").is_dir()
